"""The part that failover and move share: from a checkpoint to VMs that run, and to Before Commit."""

from __future__ import annotations

from typing import Any

from farshore.errors import FarshoreError
from farshore.model.recovery import Recovery
from farshore.model.vpg import Vpg
from farshore.operations.scripting import Scripts
from farshore.operations.steps.finish_task import fail_task, show_progress
from farshore.operations.steps.give_back import give_back, unpin_guard
from farshore.operations.steps.recovery_rows import claim_undo, enter_before_commit, leave_to_a_person
from farshore.operations.steps.start_recovered_vms import (
    await_running,
    open_views,
    pin_checkpoint,
    read_definitions,
    start_recovered_vms,
    volume_numbers,
)


async def bring_up(
    task_id: str,
    vpg_json: dict[str, Any],
    recovery: Recovery,
    checkpoint_id: str | None,
    scripts: Scripts,
    *,
    exact: bool,
) -> tuple[dict[str, Any], str]:
    """Pin, read the definitions, open the volumes, start the VMs, run the script that follows.

    Gives the checkpoint, and in words how that script failed. Raises what hinders it.
    """
    vpg, operation = Vpg.model_validate(vpg_json), recovery.operation
    checkpoint: dict[str, Any] = await pin_checkpoint(task_id, vpg.id, checkpoint_id, operation)
    await unpin_guard(vpg.id, operation)
    definitions = await read_definitions(task_id, vpg.id, str(checkpoint["id"]), list(recovery.vm_ids))
    disks = volume_numbers(vpg, definitions)
    await show_progress(task_id, 70, f"Opening the volumes at checkpoint {checkpoint['id']}.")
    volumes = sorted(number for of_vm in disks.values() for number in of_vm.values())
    views = await open_views(task_id, vpg.id, str(checkpoint["id"]), operation, volumes)
    await show_progress(task_id, 80, "Starting the recovered VMs.")
    await start_recovered_vms(task_id, operation, definitions, disks, views, isolated=False)
    started = await await_running(task_id, operation, len(recovery.vm_ids))
    note = await scripts.after(checkpoint, started)  # before the time in Before Commit begins
    await enter_before_commit(task_id, vpg_json, checkpoint, started, exact)
    return checkpoint, note


async def all_as_before(task_id: str, vpg: dict[str, Any], error: FarshoreError) -> None:
    """Take back a failover or move that did not reach Before Commit, and end its task with the cause.

    One that was superseded takes nothing back: whoever superseded it does.
    """
    claimed = await claim_undo(task_id, vpg["id"])
    if claimed is None:
        await fail_task(task_id, str(error))  # one that was superseded has ended, and an end is final
        return
    try:
        words = await give_back(claimed, raised=claimed["epoch"] > vpg["epoch"])
    except FarshoreError as second:
        await leave_to_a_person(vpg["id"], f"{error} Not all could be taken back: {second}")
        await fail_task(task_id, f"{error} Not all could be taken back: {second} Roll it back when that is mended.")
        return
    await fail_task(task_id, f"{error} All is as before. {words}".strip())
