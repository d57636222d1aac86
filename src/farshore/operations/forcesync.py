"""Force sync: every disk is compared with the other site's copy by hashes. Runs at the protected site.

Earlier checkpoints stay usable; the next one comes when the comparison is done.
"""

from __future__ import annotations

from farshore.errors import FarshoreError
from farshore.operations.engine import workflow
from farshore.operations.steps.finish_task import complete_task, fail_task, read_order
from farshore.operations.steps.steer import await_compared, force_sync


@workflow("forcesync")
async def forcesync(task_id: str) -> None:
    """Have all disks compared, and wait for it."""
    vpg_id, _ = await read_order(task_id)
    try:
        await force_sync(task_id, vpg_id, task_id)
        words = await await_compared(task_id, vpg_id, task_id, task_id)
    except FarshoreError as error:
        await fail_task(task_id, str(error))
        return
    await complete_task(task_id, words)
