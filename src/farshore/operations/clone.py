"""A clone: independent copies of VMs as of a checkpoint, at the recovery site, off; protection goes on untouched.

The copies are files of their own, and nothing of the VPG needs them or is needed by them once the operation has ended.
"""

from __future__ import annotations

from typing import Any

from farshore.errors import FarshoreError
from farshore.model.vpg import Vpg
from farshore.operations.engine import workflow
from farshore.operations.steps.copy_clone import (
    adopt_clone,
    await_copied,
    begin_clone,
    keep_or_remove,
    let_go,
    remove_clone,
)
from farshore.operations.steps.finish_task import complete_task, fail_task, read_order, show_progress
from farshore.operations.steps.start_recovered_vms import pin_checkpoint, read_definitions, volume_numbers


@workflow("clone")
async def clone(task_id: str) -> None:
    """Pin the checkpoint, copy its volumes, take the copies over; undone whole on failure and when it is aborted."""
    vpg_id, order = await read_order(task_id)
    vpg, operation, datastore = Vpg.model_validate(order["vpg"]), order["operation"], order["datastore"]
    try:
        checkpoint: dict[str, Any] = await pin_checkpoint(task_id, vpg_id, order["checkpoint_id"], operation)
        definitions = await read_definitions(task_id, vpg_id, str(checkpoint["id"]), list(order["vm_ids"]))
        disks = volume_numbers(vpg, definitions)
        await show_progress(task_id, 5, f"Copying the volumes at checkpoint {checkpoint['id']}.")
        await begin_clone(task_id, vpg_id, operation, checkpoint, datastore["datastore_id"], definitions, disks)
        await await_copied(task_id, operation, task_id)
        cloned = await adopt_clone(task_id, operation)
        await let_go(task_id, vpg_id, operation)
    except FarshoreError as error:
        await fail_task(task_id, f"{error} {await undo(vpg_id, operation)}")
        return
    names = ", ".join(vm["name"] for vm in cloned)
    await complete_task(task_id, f"Checkpoint {checkpoint['id']} in datastore {datastore['name']}, off: {names}.")
    await keep_or_remove(task_id, vpg_id, operation)


async def undo(vpg_id: str, operation: str) -> str:
    """Remove files, VMs and pin; says so, or what is still owed."""
    return await remove_clone(vpg_id, operation) or "Nothing is left of it."
