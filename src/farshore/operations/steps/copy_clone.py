"""The steps of a clone: have the appliance copy, wait for it, take the copies over; and wait for those that run."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

from farshore.errors import Fault, NotFound, Unavailable
from farshore.model.task import TaskState, TaskType
from farshore.operations.engine import in_thread, is_running, site, step, stoppable_step
from farshore.operations.owing import call_or_owe
from farshore.site.debts import Debt
from farshore.site.tasks import TaskRow

POLL_SECONDS = 0.3
SILENT_SECONDS = 300.0
"""How long the appliance may not answer while it copies; a copier that says nothing it ends by itself."""
STILL_SECONDS = 900.0
"""How long a copier may read nothing."""
REMOVE_SECONDS = 60.0
STOP_SECONDS = 8.0
"""How long is waited for a clone's workflow that was stopped; it stops at its next look."""
FIRST_PERCENT, LAST_PERCENT = 5, 95
DONE = ("copied", "adopted", "finished")


@stoppable_step
async def begin_clone(
    vpg_id: str,
    operation: str,
    checkpoint: dict[str, Any],
    datastore_id: str,
    definitions: dict[str, Any],
    disks: dict[str, dict[str, int]],
) -> None:
    """Does: begin to copy the VMs' volumes. Twice: it goes on. Fails: Unavailable, NotFound, BadInput."""
    await site().appliances.order(
        site().id,
        "begin_clone",
        vpg_id=vpg_id,
        operation=operation,
        checkpoint=checkpoint,
        datastore_id=datastore_id,
        definitions=list(definitions.values()),
        volumes=disks,
    )


@stoppable_step
async def await_copied(operation: str, task_id: str) -> None:
    """Does: wait until all is copied, showing how far it is. Twice: looks again.

    Fails: Fault with the appliance's reason, Unavailable when it gets no further, NotFound.
    """
    await follow_copy("clone_status", operation, task_id, LAST_PERCENT)


async def follow_copy(call: str, operation: str, task_id: str, last_percent: int) -> None:
    """Ask how far the copy is until it is done, and show it up to `last_percent`. Raises as `await_copied`."""
    before, deadline = -1, 0.0
    while True:
        status: dict[str, Any] = await site().appliances.order(
            site().id, call, within=SILENT_SECONDS, operation=operation
        )
        if status["state"] in DONE:
            await in_thread(site().tasks.progress, task_id, last_percent, "The disks are copied.")
            return
        if status["state"] == "failed":
            raise Fault(f"The copy failed: {status['reason']}", "")
        done, total = int(status["done_bytes"]), int(status["total_bytes"])
        if int(status["read_bytes"]) != before:
            before, deadline = int(status["read_bytes"]), time.monotonic() + STILL_SECONDS
        if time.monotonic() > deadline:
            raise Unavailable(f"The copy got no further in {STILL_SECONDS:g} s.", "Look at the stores of the site.")
        share = (last_percent - FIRST_PERCENT) * done // total if total else 0
        note = f"Copying the disks: {done} of {total} bytes." if done else "Reading the journal against its checksums."
        await in_thread(site().tasks.progress, task_id, FIRST_PERCENT + share, note)
        await asyncio.sleep(POLL_SECONDS)


@stoppable_step
async def adopt_clone(operation: str) -> list[dict[str, Any]]:
    """Does: put the clones into this site's inventory, off; gives their definitions. Twice: the same.

    Fails: Unavailable, Conflict, NotFound.
    """
    adopted: list[dict[str, Any]] = await site().appliances.order(site().id, "adopt_clone", operation=operation)
    return adopted


@stoppable_step
async def let_go(vpg_id: str, operation: str) -> None:
    """Does: unpin the checkpoint. Twice: it is gone. Fails: Unavailable."""
    await _unpin(vpg_id, operation)


async def _unpin(vpg_id: str, operation: str) -> None:
    with contextlib.suppress(NotFound):  # the journal is gone, and the pin with it
        call = {"vpg_id": vpg_id, "operation": operation}
        await site().appliances.order(site().id, "unpin_checkpoint", within=REMOVE_SECONDS, **call)


@step
async def keep_or_remove(task_id: str, vpg_id: str, operation: str) -> str:
    """Does: end the appliance's part: the VMs stay if the task has completed, and go if it was stopped just before.

    What the appliance does not do now is owed; gives words then. Twice: nothing more.
    Fails: only with the database.
    """
    task = await in_thread(site().tasks.get, task_id)
    if task is not None and task.state == TaskState.Completed:
        return await do_or_owe("keep_clone", {"operation": operation})
    return await take_away(vpg_id, operation)


async def take_away(vpg_id: str, operation: str) -> str:
    """Remove files, VMs and pin of a clone; safe to repeat. What cannot be done now is owed; gives words then."""
    return await do_or_owe("remove_clone", {"vpg_id": vpg_id, "operation": operation})


async def do_or_owe(call: str, arguments: dict[str, Any]) -> str:
    """Make the call of an operation, now or when it can be made; words when it is owed. Twice: nothing more."""
    # Of no VPG: it is owed also when that is gone.
    debt = Debt(f"{call} {arguments['operation']}", "", site().id, call, arguments)
    error = await call_or_owe(debt, REMOVE_SECONDS)
    return f"What is left is seen to as soon as it can be: {error}" if error else ""


@step
async def remove_clone(vpg_id: str, operation: str) -> str:
    """Does: stop the copy; its files, VMs and pin go. What cannot be done now is owed; gives words then.

    Twice: they are gone. Fails: only with the database.
    """
    return await take_away(vpg_id, operation)


@step
async def await_stopped(task_id: str) -> None:
    """Does: wait a few seconds until a clone that was stopped does nothing more. Twice: looks again."""
    await _until_stopped(task_id)


async def _until_stopped(task_id: str) -> None:
    deadline = time.monotonic() + STOP_SECONDS
    while is_running(task_id) and time.monotonic() < deadline:
        await asyncio.sleep(0.1)


async def running_clones(vpg_id: str) -> list[TaskRow]:
    """The clones of the VPG that run here."""
    reading = await in_thread(site().tasks.reading, vpg_id)
    return [task for task in reading if task.type == TaskType.Clone.value and task.runs_at == site().id]


@stoppable_step
async def let_clones_end(vpg_id: str, task_id: str) -> None:
    """Does: wait for the VPG's clones, which read what is about to go; they can be aborted. Twice: looks again.

    Its bound is theirs: a clone ends when it gets no further. Fails: only with the database.
    """
    while clones := await running_clones(vpg_id):
        how_far = ", ".join(f"{clone.progress} % (task {clone.id})" for clone in clones)
        await in_thread(
            site().tasks.progress, task_id, 10, f"Waiting for a clone to end: {how_far}. It can be aborted."
        )
        await asyncio.sleep(POLL_SECONDS)


@step
async def end_clones(vpg_id: str, reason: str) -> None:
    """Does: stop the VPG's clones for that reason, and remove what they have; what cannot be done now is owed.

    Twice: they are gone. Fails: only with the database.
    """
    for clone in await running_clones(vpg_id):
        await in_thread(site().tasks.stop_now, clone.id, reason)
        await _until_stopped(clone.id)
        await take_away(vpg_id, str(clone.request["operation"]))
