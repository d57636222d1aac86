"""Recovered VMs become VMs of this site: what they need is written into disks of their own while they run."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from farshore.errors import Conflict, Fault, NotFound, Unavailable
from farshore.model.recovery import Recovery
from farshore.model.vpg import Vpg
from farshore.operations.engine import in_thread, site, stoppable_step
from farshore.operations.steps.recovery_rows import is_whole, recovery_of

POLL_SECONDS = 0.3
SILENT_SECONDS = 300.0
"""How long the appliance may not answer, or get no further, in a promotion."""
RUNNING = ("running", "paused")


@stoppable_step
async def demand_running(operation: str, vm_count: int) -> None:
    """Does: look whether all recovered VMs run before there is no way back. Twice: looks again. Fails: Conflict."""
    vms = await site().appliances.order(site().id, "recovered_status", operation=operation)
    down = [vm["name"] for vm in vms if vm["power"] not in RUNNING]
    if down or len(vms) < vm_count:
        fact = f"{', '.join(down) or 'A recovered VM'} does not run, so nothing is committed."
        raise Conflict(fact, "Roll back and recover again.")


@stoppable_step
async def promote_recovered(vpg_json: dict[str, Any]) -> None:
    """Does: begin to promote the recovered VMs' disks. Twice: it goes on. Fails: Unavailable, NotFound, BadInput."""
    vpg = Vpg.model_validate(vpg_json)
    recovery = recovery_of(vpg)
    await site().appliances.order(
        site().id,
        "promote_recovered",
        vpg_id=vpg.id,
        operation=recovery.operation,
        checkpoint_id=recovery.checkpoint_id,
        volumes=recovered_volumes(vpg, recovery),
    )


def recovered_volumes(vpg: Vpg, recovery: Recovery) -> dict[str, dict[str, int]]:
    """{recovered VM: {disk: volume number}}."""
    return {
        vm.vm_id: {volume.disk_id: volume.number for volume in vpg.volumes if volume.vm_id == vm.source_vm_id}
        for vm in recovery.vms
    }


@stoppable_step
async def await_promotion(operation: str, task_id: str) -> dict[str, Any]:
    """Does: wait until all is promoted, showing how far it is; gives the appliance's answer. Twice: looks again.

    Fails: Fault with the appliance's reason, Unavailable when it gets no further.
    """
    deadline, before = time.monotonic() + SILENT_SECONDS, -1
    while True:
        status: dict[str, Any] = await site().appliances.order(site().id, "promotion_status", operation=operation)
        if status["state"] == "done":
            return {"vms": status["vms"]}
        if status["state"] == "failed":
            raise Fault(f"The promotion failed: {status['reason']}", "Mend that and commit again; the VMs go on.")
        done, total = int(status["done_bytes"]), int(status["total_bytes"])
        if done != before:
            deadline, before = time.monotonic() + SILENT_SECONDS, done
        if time.monotonic() > deadline:
            raise Unavailable(f"The promotion got no further in {SILENT_SECONDS:g} s.", "Look at the watcher's log.")
        how_far = f": {done} of {total} bytes" if total else ""
        note = f"Writing the recovered VMs' disks{how_far}. The VMs run meanwhile."
        await in_thread(site().tasks.progress, task_id, 20 + (60 * done // total if total else 0), note)
        await asyncio.sleep(POLL_SECONDS)


@stoppable_step
async def adopt_recovered(operation: str) -> list[dict[str, Any]]:
    """Does: take the VMs into this site's inventory; gives their definitions. Twice: the same.

    Fails: Unavailable, Conflict.
    """
    adopted: list[dict[str, Any]] = await site().appliances.order(site().id, "adopt_recovered", operation=operation)
    return adopted


@stoppable_step
async def retire_journal(vpg_json: dict[str, Any]) -> None:
    """Does: remove the recovered volumes' history; its epoch stays and refuses an older stream. Twice: it is gone.

    Fails: Unavailable.
    """
    vpg = Vpg.model_validate(vpg_json)
    recovery = recovery_of(vpg)
    numbers = [number for of_vm in recovered_volumes(vpg, recovery).values() for number in of_vm.values()]
    volumes = None if is_whole(vpg) else sorted(numbers)
    await site().appliances.order(site().id, "retire_journal", within=60.0, vpg_id=vpg.id, volumes=volumes)


@stoppable_step
async def close_recovery(vpg_id: str, operation: str) -> None:
    """Does: close the views, drop the pin. Twice: they are gone. Fails: Unavailable, Conflict."""
    await site().appliances.order(site().id, "close_views", operation=operation)
    try:
        await site().appliances.order(site().id, "unpin_checkpoint", vpg_id=vpg_id, operation=operation)
    except NotFound:
        return


@stoppable_step
async def not_running(vm_ids: list[str]) -> list[str]:
    """Does: look which of these VMs of this site do not run; gives their names. Twice: looks again.

    Fails: Unavailable.
    """
    listed = await site().appliances.order(site().id, "list_vms")
    known = {vm["vm_id"]: vm for vm in listed}
    missing = [vm_id for vm_id in vm_ids if vm_id not in known]
    return missing + [vm["name"] for vm_id, vm in known.items() if vm_id in vm_ids and vm["power"] not in RUNNING]
