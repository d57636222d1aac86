"""The first words and the last of every operation: its progress and its end, in its task."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from farshore.errors import Fault
from farshore.operations.engine import in_thread, site, step


async def read_order(task_id: str) -> tuple[str, dict[str, Any]]:
    """The VPG and the arguments of the order. They never change, so this is no step."""
    task = await in_thread(site().tasks.get, task_id)
    if task is None:
        raise Fault(f"The task {task_id} is not there.", "The site's database was put back: order it again.")
    return task.vpg_id, task.request


@step
async def show_progress(task_id: str, percent: int, note: str) -> None:
    """Does: write how far the task is. Twice: writes the same. Fails: only with the database."""
    await in_thread(site().tasks.progress, task_id, percent, note)


@step
async def complete_task(task_id: str, note: str) -> None:
    """Does: end the task as completed, and record the event. Twice: an end is final. Fails: only with the database."""
    await in_thread(site().tasks.complete, task_id, note, await _event_of(task_id, note))


@step
async def fail_task(task_id: str, reason: str) -> None:
    """Does: end the task as failed. Twice: an end is final. Fails: only with the database."""
    await in_thread(site().tasks.fail, task_id, reason, await _event_of(task_id, f"failed: {reason}"))


async def _event_of(task_id: str, text: str) -> Callable[[sa.Connection], None]:
    """What writes the event of the task's end, in the transaction that ends it."""
    task = await in_thread(site().tasks.get, task_id)
    assert task is not None
    return functools.partial(site().alerts.record_in, kind=task.type, text=text, who=task.who, vpg_id=task.vpg_id)
