"""The abort of a VPG's clones: they were stopped with this order; their files, VMs and pins go."""

from __future__ import annotations

from farshore.operations.engine import workflow
from farshore.operations.steps.copy_clone import await_stopped, keep_or_remove
from farshore.operations.steps.finish_task import complete_task, read_order, show_progress


@workflow("clone_abort")
async def clone_abort(task_id: str) -> None:
    """Wait until each has stopped, and remove what it has."""
    vpg_id, order = await read_order(task_id)
    words: list[str] = []
    for clone in order["clones"]:
        await show_progress(task_id, 20, "Removing what was copied.")
        await await_stopped(clone["task_id"])
        words.append(
            await keep_or_remove(clone["task_id"], vpg_id, clone["operation"])
        )  # one may have ended just before
    count, owed = len(order["clones"]), " ".join(word for word in words if word)
    await complete_task(task_id, f"{count} clone{'s' if count > 1 else ''} aborted. {owed or 'Nothing is left.'}")
