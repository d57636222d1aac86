"""Pin a checkpoint, open its volumes, start VMs on them: for a failover test, a failover, a move."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from farshore.errors import Fault
from farshore.model.vpg import Vpg
from farshore.operations.engine import in_thread, site, step, stoppable_step

START_SECONDS = 60.0
POLL_SECONDS = 0.1


@stoppable_step
async def pin_checkpoint(vpg_id: str, checkpoint_id: str | None, operation: str, test_task: str = "") -> dict[str, Any]:
    """Does: pin the checkpoint (None: the latest) so that it stays; gives it. Twice: the same pin.

    Fails: NotFound when the checkpoint is gone, Conflict when there is none, Unavailable.
    """
    call: dict[str, Any] = {"vpg_id": vpg_id, "checkpoint_id": checkpoint_id, "operation": operation}
    checkpoint: dict[str, Any] = await site().appliances.order(site().id, "pin_checkpoint", **call)
    await in_thread(site().tests.update, test_task, checkpoint_id=str(checkpoint["id"]))
    return checkpoint


@stoppable_step
async def read_definitions(vpg_id: str, checkpoint_id: str, vm_ids: list[str]) -> dict[str, Any]:
    """Does: read the VMs' definitions as of the checkpoint. Twice: the same. Fails: Fault when one is missing."""
    call: dict[str, Any] = {"vpg_id": vpg_id, "checkpoint_id": checkpoint_id}
    all_of_them = await site().appliances.order(site().id, "definitions_at", **call)
    missing = [vm_id for vm_id in vm_ids if vm_id not in all_of_them]
    if missing:
        raise Fault(f"The checkpoint holds no definition of VM {missing[0]}.", "Choose a later checkpoint.")
    return {vm_id: all_of_them[vm_id] for vm_id in vm_ids}


def volume_numbers(vpg: Vpg, definitions: dict[str, Any]) -> dict[str, dict[str, int]]:
    """{vm_id: {disk_id: volume number}} of the VMs. Raises Fault for a disk that is no volume."""
    numbers = {(volume.vm_id, volume.disk_id): volume.number for volume in vpg.volumes}
    disks: dict[str, dict[str, int]] = {}
    for vm_id, definition in definitions.items():
        for disk in definition["disks"]:
            number = numbers.get((vm_id, disk["id"]))
            if number is None:
                raise Fault(f"Disk {disk['id']} of {definition['name']} is in no journal.", "")
            disks.setdefault(vm_id, {})[disk["id"]] = number
    return disks


@stoppable_step
async def open_views(vpg_id: str, checkpoint_id: str, operation: str, volumes: list[int]) -> dict[str, Any]:
    """Does: open the volumes at the checkpoint; gives {number: {"socket", "export"}}. Twice: they are open.

    Fails: Unavailable, Fault.
    """
    call: dict[str, Any] = {
        "vpg_id": vpg_id,
        "checkpoint_id": checkpoint_id,
        "operation": operation,
        "volumes": volumes,
    }
    opened: dict[str, Any] = await site().appliances.order(site().id, "open_views", **call)
    return {str(number): view for number, view in opened.items()}


@stoppable_step
async def start_recovered_vms(
    operation: str,
    definitions: dict[str, Any],
    disks: dict[str, dict[str, int]],
    views: dict[str, Any],
    isolated: bool = True,
) -> list[dict[str, Any]]:
    """Does: start the VMs, isolated on a network of their own and named as tests. Twice: those that run stay.

    Fails: Unavailable, Fault, Unsupported.
    """
    of_vms = {vm: {disk: views[str(number)] for disk, number in of_vm.items()} for vm, of_vm in disks.items()}
    call: dict[str, Any] = {
        "operation": operation,
        "label": "test" if isolated else "",
        "definitions": list(definitions.values()),
        "views": of_vms,
        "isolated": isolated,
    }
    started: list[dict[str, Any]] = await site().appliances.order(
        site().id, "start_recovered_vms", within=START_SECONDS, **call
    )
    return started


@stoppable_step
async def await_running(operation: str, vm_count: int, test_task: str = "") -> list[dict[str, Any]]:
    """Does: wait until all VMs of the operation run; a test is recorded as running. Twice: looks again.

    Fails: Fault.
    """
    deadline = time.monotonic() + START_SECONDS
    while True:
        vms = await site().appliances.order(site().id, "recovered_status", operation=operation)
        if len(vms) == vm_count and all(vm["power"] == "running" for vm in vms):
            break
        if time.monotonic() > deadline:
            states = ", ".join(f"{vm['name']}: {vm['power']}" for vm in vms) or "none is there"
            raise Fault(
                f"The recovered VMs did not run within {START_SECONDS:g} s ({states}).", "See their serial logs."
            )
        await asyncio.sleep(POLL_SECONDS)
    await in_thread(site().tests.update, test_task, state="running", vms=vms)
    return list(vms)


@step
async def record_test_failed(test_task_id: str) -> None:
    """Does: record that the test was undone. Twice: the same. Fails: only with the database."""
    await in_thread(site().tests.update, test_task_id, state="failed")
