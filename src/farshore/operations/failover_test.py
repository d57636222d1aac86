"""A failover test: VMs of a checkpoint run at the recovery site on an isolated network; protection goes on untouched.

The test is a state that lasts until it is stopped; this operation ends when the VMs run.
"""

from __future__ import annotations

from typing import Any

from farshore.errors import FarshoreError
from farshore.model.vpg import Vpg
from farshore.operations.engine import workflow
from farshore.operations.scripting import FAILOVER_TEST, Scripts
from farshore.operations.steps.close_tests import remove_test
from farshore.operations.steps.finish_task import complete_task, fail_task, read_order, show_progress
from farshore.operations.steps.start_recovered_vms import (
    await_running,
    open_views,
    pin_checkpoint,
    read_definitions,
    record_test_failed,
    start_recovered_vms,
    volume_numbers,
)


@workflow("failover_test")
async def failover_test(task_id: str) -> None:
    """Pin the checkpoint, open its volumes, start the VMs, with the scripts around it; undone whole on failure."""
    vpg_id, order = await read_order(task_id)
    vpg, operation, vm_ids = Vpg.model_validate(order["vpg"]), order["operation"], list(order["vm_ids"])
    scripts = Scripts(task_id, FAILOVER_TEST, vpg, vm_ids)
    try:
        checkpoint: dict[str, Any] = await pin_checkpoint(task_id, vpg_id, order["checkpoint_id"], operation, task_id)
        notes = [await scripts.before(checkpoint)]
        definitions = await read_definitions(task_id, vpg_id, checkpoint["id"], vm_ids)
        disks = volume_numbers(vpg, definitions)
        await show_progress(task_id, 30, f"Opening the volumes at checkpoint {checkpoint['id']}.")
        volumes = sorted(number for of_vm in disks.values() for number in of_vm.values())
        views = await open_views(task_id, vpg_id, checkpoint["id"], operation, volumes)
        await show_progress(task_id, 60, "Starting the recovered VMs.")
        await start_recovered_vms(task_id, operation, definitions, disks, views)
        started = await await_running(task_id, operation, len(vm_ids), task_id)
        notes.append(await scripts.after(checkpoint, started))
    except FarshoreError as error:
        await fail_task(task_id, f"{error} {await undo(vpg_id, operation)}")
        await record_test_failed(task_id)
        return
    words = f"The recovered VMs of checkpoint {checkpoint['id']} run on the isolated network."
    await complete_task(task_id, " ".join(word for word in (words, *notes) if word))


async def undo(vpg_id: str, operation: str) -> str:
    """Remove VMs, views, scratch and pin; says what could not be removed."""
    try:
        await remove_test(vpg_id, operation)
    except FarshoreError as error:
        return f"Not all of it could be removed: {error}"
    return "Nothing is left of it."
