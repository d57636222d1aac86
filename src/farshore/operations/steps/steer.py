"""Pause, resume and sync by hashes, at the protected site's own appliance: its manager carries these orders out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from farshore.errors import Unavailable
from farshore.operations.engine import in_thread, site, stoppable_step

POLL_SECONDS = 0.3
PAUSE_SECONDS_MAX = 60.0
PATIENCE_SECONDS = 10.0
"""How long a resumed VPG is waited for while the other site does not answer: it goes on by itself."""
SILENT_SECONDS = 600.0
"""How long a sync may get no further before its task ends as failed; the sync itself goes on."""


@stoppable_step
async def pause_protection(vpg_id: str) -> None:
    """Does: have the disks let go; returns once they have. Twice: they have. Fails: Unavailable, NotFound."""
    await site().appliances.order(site().id, "pause_protection", vpg_id=vpg_id)
    deadline = time.monotonic() + PAUSE_SECONDS_MAX
    while (await _status(vpg_id))["state"] != "paused":
        if time.monotonic() > deadline:
            fact = f"The disks have not left their taps within {PAUSE_SECONDS_MAX:g} s."
            raise Unavailable(fact, "It is paused as soon as they have; look at the watcher's log.")
        await asyncio.sleep(POLL_SECONDS)


@stoppable_step
async def resume_protection(vpg_id: str) -> None:
    """Does: have the disks taken again. Twice: they are. Fails: Unavailable, NotFound."""
    await site().appliances.order(site().id, "resume_protection", vpg_id=vpg_id)


@stoppable_step
async def force_sync(vpg_id: str, order: str) -> None:
    """Does: have all disks compared. Twice: once for each order. Fails: Unavailable, NotFound."""
    await site().appliances.order(site().id, "force_sync", vpg_id=vpg_id, task=order)


@stoppable_step
async def await_resumed(vpg_id: str, task_id: str) -> str:
    """Does: wait until it protects, showing the sync; gives words. Twice: looks again. Fails: Unavailable."""
    return await _await_sync(vpg_id, task_id, lambda _status: True, PATIENCE_SECONDS, goes_on=True)


@stoppable_step
async def await_compared(vpg_id: str, order: str, task_id: str) -> str:
    """Does: wait until the comparison is done, showing it; gives words. Twice: looks again. Fails: Unavailable."""

    def compared(status: dict[str, Any]) -> bool:
        return (status["last_sync"] or {}).get("forced") == order

    return await _await_sync(vpg_id, task_id, compared, SILENT_SECONDS, goes_on=False)


async def _await_sync(
    vpg_id: str, task_id: str, done: Callable[[dict[str, Any]], bool], patience_seconds: float, *, goes_on: bool
) -> str:
    """Until it protects and `done`; gives what the sync was.

    When it gets no further: gives that it goes on by itself, if `goes_on`, else raises Unavailable.
    """
    deadline, before = time.monotonic() + patience_seconds, -1
    while True:
        status = await _status(vpg_id)
        if status["state"] == "protecting" and done(status):
            return _words(status["last_sync"] or {})
        sync = status["sync"] or {}
        at, total = int(sync.get("done_bytes", 0)), int(sync.get("total_bytes", 0))
        if at != before:
            deadline, before = time.monotonic() + patience_seconds, at
        if time.monotonic() > deadline:
            if goes_on:
                return f"It goes on by itself ({status['state']}: {status['reason'] or status['link']})."
            raise Unavailable(f"The sync gets no further: {status['reason'] or status['link']}.", "It is tried again.")
        note = f"{sync.get('kind', 'Sync').capitalize()} sync: {at} of {total} bytes." if total else "Waiting to sync."
        await in_thread(site().tasks.progress, task_id, 5 + (90 * at // total if total else 0), note)
        await asyncio.sleep(POLL_SECONDS)


def _words(last: dict[str, Any]) -> str:
    read, sent = int(last.get("read_bytes", 0)), int(last.get("sent_bytes", 0))
    return f"{str(last.get('kind', 'no')).capitalize()} sync: {read} bytes read, {sent} sent."


async def _status(vpg_id: str) -> dict[str, Any]:
    """As the appliance says; asked again while the watcher is being started. Raises Unavailable, NotFound."""
    status: dict[str, Any] = await site().appliances.order(site().id, "protection_status", vpg_id=vpg_id)
    return status
