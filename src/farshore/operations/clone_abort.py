"""The abort of a VPG's clones: they were stopped with this order; their files, VMs and pins go."""

from __future__ import annotations

from farshore.errors import FarshoreError
from farshore.operations.engine import workflow
from farshore.operations.steps.copy_clone import await_stopped, keep_or_remove
from farshore.operations.steps.finish_task import complete_task, fail_task, read_order, show_progress


@workflow("clone_abort")
async def clone_abort(task_id: str) -> None:
    """Wait until each has stopped, and remove what it has."""
    vpg_id, order = await read_order(task_id)
    failed: list[str] = []
    for clone in order["clones"]:
        await show_progress(task_id, 20, "Removing what was copied.")
        await await_stopped(clone["task_id"])
        try:
            await keep_or_remove(clone["task_id"], vpg_id, clone["operation"])  # one may have ended just before
        except FarshoreError as error:
            failed.append(str(error))
    count = len(order["clones"])
    if failed:
        await fail_task(task_id, f"Not all of it could be removed: {' '.join(failed)}")
    else:
        await complete_task(task_id, f"{count} clone{'s' if count > 1 else ''} aborted; nothing is left.")
