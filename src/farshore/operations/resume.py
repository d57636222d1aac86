"""Resume: the disks are taken again, and what the bitmaps counted is read. Runs at the protected site.

The task ends when the VPG protects again; where the other site does not answer it says so and goes on by itself.
"""

from __future__ import annotations

from farshore.errors import FarshoreError
from farshore.operations.engine import workflow
from farshore.operations.steps.finish_task import complete_task, fail_task, read_order
from farshore.operations.steps.steer import await_resumed, resume_protection


@workflow("resume")
async def resume(task_id: str) -> None:
    """Take the disks again, and wait for the sync."""
    vpg_id, _ = await read_order(task_id)
    try:
        await resume_protection(task_id, vpg_id)
        words = await await_resumed(task_id, vpg_id, task_id)
    except FarshoreError as error:
        await fail_task(task_id, str(error))
        return
    await complete_task(task_id, words)
