"""Pause: the disks leave their taps, the bitmaps count, and the checkpoints that are there stay.

It runs at the protected site and needs nobody else: that it is paused is the state of this site's appliance alone,
durable there until somebody resumes.
"""

from __future__ import annotations

from farshore.errors import FarshoreError
from farshore.operations.engine import workflow
from farshore.operations.steps.finish_task import complete_task, fail_task, read_order
from farshore.operations.steps.steer import pause_protection


@workflow("pause")
async def pause(task_id: str) -> None:
    """Let the disks go."""
    vpg_id, _ = await read_order(task_id)
    try:
        await pause_protection(task_id, vpg_id)
        words = "Replication is paused; checkpoints stay usable. What is written meanwhile is counted, not sent."
    except FarshoreError as error:
        await fail_task(task_id, str(error))
        return
    await complete_task(task_id, words)
