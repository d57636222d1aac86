"""A move: the protected VMs are shut down, their last write is made durable here, and they run here. Nothing is lost.

The other site must be there and protect without a break, else nothing is begun.
"""

from __future__ import annotations

from typing import Any

from farshore.errors import Conflict, FarshoreError
from farshore.model.vpg import Vpg
from farshore.operations.bring_up import all_as_before, bring_up
from farshore.operations.engine import workflow
from farshore.operations.scripting import MOVE, Scripts
from farshore.operations.steps.finish_task import complete_task, read_order, show_progress
from farshore.operations.steps.give_back import guard
from farshore.operations.steps.halt_vms import cut_last_checkpoint, halt_vms
from farshore.operations.steps.recovery_rows import raise_epoch, recovery_of
from farshore.operations.steps.start_recovered_vms import pin_checkpoint

LAST_TAG = "last before the move"


@workflow("move")
async def move(task_id: str) -> None:
    """Pin, shut down, make the last write durable, fence off the old stream, start the VMs; undone whole on failure.

    The scripts run before the shutdown and after the start.
    """
    vpg_id, order = await read_order(task_id)
    vpg: dict[str, Any] = order["vpg"]
    recovery = recovery_of(Vpg.model_validate(vpg))
    scripts = Scripts(task_id, MOVE, Vpg.model_validate(vpg), recovery.vm_ids)
    notes: list[str] = []
    try:
        await pin_checkpoint(task_id, vpg_id, None, guard(recovery.operation))
        if order.get("continue_on_script_failure"):
            notes.append(await scripts.before())
        else:
            await scripts.demand_before()
        await show_progress(task_id, 10, "Shutting down the protected VMs.")
        vm_ids = list(recovery.vm_ids)
        states = await halt_vms(task_id, vpg, vm_ids, recovery.operation, order["shutdown_seconds"], True)
        demand_all_halted(Vpg.model_validate(vpg), states)
        await show_progress(task_id, 40, "Waiting for the last writes to be durable here.")
        last = await cut_last_checkpoint(task_id, vpg, LAST_TAG, recovery.operation)
        vpg = await raise_epoch(task_id, vpg)
        _, note = await bring_up(task_id, vpg, recovery, last["id"], scripts, exact=True)
    except FarshoreError as error:
        await all_as_before(task_id, order["vpg"], error)
        return
    words = f"The VMs run as of checkpoint {last['id']}, their last write in it, before commit."
    await complete_task(task_id, " ".join(word for word in (words, *notes, note) if word))


def demand_all_halted(vpg: Vpg, states: dict[str, str]) -> None:
    """Raises Conflict for a VM that was off: its last writes cannot be vouched for, and a move loses nothing."""
    off = [vm.vm_name for vm in vpg.vms if states.get(vm.vm_id) == "off"]
    if off:
        fact = f"{', '.join(off)} was off before it could be shut down, so its last writes are not sure to be here."
        raise Conflict(fact, "Start it, wait until the VPG is protecting, and move again; or fail over.")
