"""Take a failover or move back: what was recovered goes, the protected VMs run and are protected as before."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from farshore.errors import FarshoreError, NotFound
from farshore.model.recovery import GUARD
from farshore.model.vpg import Vpg
from farshore.operations.engine import in_thread, is_running, site, step, stoppable_step
from farshore.operations.steps.close_tests import TEARDOWN_SECONDS, tear_down
from farshore.operations.steps.halt_vms import revive_vms
from farshore.operations.steps.promote import recovered_volumes
from farshore.operations.steps.recovery_rows import end_recovery, recovery_of
from farshore.site.failover_tests import OPEN_STATES
from farshore.site.specs import protect_spec
from farshore.site.vpgs import VpgRow

TELL_SECONDS = 5.0
END_SECONDS = 8.0
"""How long a failover waits for the workflow that it superseded; that one stops at its next look."""


def guard(operation: str) -> str:
    """The name of the pin that keeps a checkpoint while VMs are still being shut down."""
    return f"{operation}{GUARD}"


@step
async def unpin_guard(vpg_id: str, operation: str) -> None:
    """Does: let go of the first pin, when the operation has its own. Twice: it is gone. Fails: Unavailable."""
    await _unpin(vpg_id, guard(operation))


async def _unpin(vpg_id: str, name: str) -> None:
    with contextlib.suppress(NotFound):
        call = {"vpg_id": vpg_id, "operation": name}
        await site().appliances.order(site().id, "unpin_checkpoint", within=TEARDOWN_SECONDS, **call)


@step
async def remove_recovered(vpg_id: str, operation: str) -> None:
    """Does: remove the recovered VMs, views, scratch and pins. Twice: they are gone.

    Fails: Unavailable, Conflict (they are being committed), Fault.
    """
    await tear_down(vpg_id, operation)
    await _unpin(vpg_id, guard(operation))


@step
async def protect_again(vpg_json: dict[str, Any]) -> str:
    """Does: tell the protected site's appliance the epoch that holds now; the manager's timer goes on telling.

    Gives words when it does not answer. Twice: it knows. Fails: only with the database.
    """
    vpg = Vpg.model_validate(vpg_json)
    try:
        await tell_row(vpg)
        spec = await in_thread(protect_spec, site(), vpg)
        await site().appliances.order(vpg.protected_site_id, "protect_vpg", within=TELL_SECONDS, spec=spec)
    except FarshoreError as error:
        return f"Protection goes on when the protected site answers ({error.fact})."
    return ""


async def tell_row(vpg: Vpg) -> None:
    """Give the row to the other site. Raises Unavailable."""
    row = VpgRow(vpg, "active").to_json()
    await site().client.call(site().other_site(vpg), "put_vpg", {"row": row}, TELL_SECONDS)


@step
async def discard_recovered(vpg_json: dict[str, Any]) -> str:
    """Does: put what the recovered VMs had written away for a while, and end them; gives words. Twice: it is there.

    Fails: Unavailable, Conflict (they are being committed), Fault.
    """
    vpg = Vpg.model_validate(vpg_json)
    recovery, seconds = recovery_of(vpg), site().config.settings.keep_discarded_seconds
    if seconds <= 0 or recovery.checkpoint_id is None:
        return ""
    await site().appliances.order(
        site().id,
        "discard_recovered",
        within=TEARDOWN_SECONDS,
        vpg_id=vpg.id,
        vpg_name=vpg.name,
        operation=recovery.operation,
        checkpoint_id=recovery.checkpoint_id,
        checkpoint_time_ns=recovery.checkpoint_time_ns,
        volumes=recovered_volumes(vpg, recovery),
        keep_seconds=seconds,
    )
    hours = seconds / 3600
    return f"What the recovered VMs wrote is kept for {hours:g} h: farshore discarded list."


async def give_back(vpg: dict[str, Any], *, raised: bool, keep: bool = False) -> str:
    """All as before: runs these steps in order; gives words about what is still owed. Raises what hinders it.

    `keep`: what the recovered VMs wrote is put away for a while first.
    """
    before = Vpg.model_validate(vpg)
    recovery = recovery_of(before)
    words = [await discard_recovered(vpg)] if keep else []
    await remove_recovered(before.id, recovery.operation)
    vpg = await end_recovery(vpg, raised)
    words += [await revive_vms(vpg, recovery.operation)] if recovery.halted else []
    if recovery.also_halted:
        words.append(await revive_vms(vpg, recovery.also_halted))
    words.append(await protect_again(vpg))
    return " ".join(word for word in words if word)


@stoppable_step
async def end_superseded(vpg_id: str, other_task_id: str, operation: str) -> None:
    """Does: wait a few seconds until the superseded operation has stopped; remove what it has at this site.

    Twice: it is gone. Fails: Unavailable, Fault.
    """
    await _until_stopped(other_task_id)
    await tear_down(vpg_id, operation)
    await _unpin(vpg_id, guard(operation))


async def _until_stopped(task_id: str) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + END_SECONDS
    while is_running(task_id) and loop.time() < deadline:
        await asyncio.sleep(0.1)


@stoppable_step
async def stop_tests(vpg_id: str, stopper: str) -> int:
    """Does: end the VPG's failover tests; gives how many. Twice: they are gone. Fails: Unavailable, Fault."""
    for test in await in_thread(site().tests.of, vpg_id, *OPEN_STATES):
        await in_thread(site().tests.update, test.task_id, state="stopping", stop_task_id=stopper)
    tests = await in_thread(site().tests.claimed, stopper)
    for test in tests:
        await tear_down(vpg_id, test.operation)
        await in_thread(site().tests.end, test.task_id, success=False, summary="Ended: the VPG was failed over.")
    return len(tests)
