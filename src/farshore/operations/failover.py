"""A failover: VMs of a checkpoint run at the recovery site under their own names, until commit or rollback.

It waits for the protected site only when a shutdown there was asked for. The operation ends when the VMs run: Before
Commit is a state of the VPG, and whoever commits or rolls back begins an operation of its own.
"""

from __future__ import annotations

from typing import Any

from farshore.errors import FarshoreError
from farshore.model.policies import ShutdownPolicy
from farshore.model.vpg import Vpg
from farshore.operations.bring_up import all_as_before, bring_up
from farshore.operations.engine import workflow
from farshore.operations.scripting import FAILOVER, Scripts
from farshore.operations.steps.finish_task import complete_task, read_order, show_progress
from farshore.operations.steps.give_back import end_superseded, guard, stop_tests
from farshore.operations.steps.halt_vms import cut_last_checkpoint, halt_vms
from farshore.operations.steps.recovery_rows import is_whole, raise_epoch, recovery_of
from farshore.operations.steps.start_recovered_vms import pin_checkpoint

LAST_TAG = "last before the failover"


@workflow("failover")
async def failover(task_id: str) -> None:
    """Pin, clear the way, shut down if asked to, fence off the old stream, start the VMs; undone whole on failure."""
    vpg_id, order = await read_order(task_id)
    vpg: dict[str, Any] = order["vpg"]
    recovery = recovery_of(Vpg.model_validate(vpg))
    wanted, exact = order["checkpoint_id"], False
    notes: list[str] = []
    scripts = Scripts(task_id, FAILOVER, Vpg.model_validate(vpg), recovery.vm_ids)
    try:
        named = await pin_checkpoint(task_id, vpg_id, wanted, guard(recovery.operation))
        if order["superseded"]:
            await end_superseded(task_id, vpg_id, order["superseded"]["task_id"], order["superseded"]["operation"])
            notes.append(f"It superseded the move {order['superseded']['task_id']}.")
        stopped = await stop_tests(task_id, vpg_id, task_id)
        if stopped:
            notes.append(f"{stopped} failover test{'s were' if stopped > 1 else ' was'} stopped for it.")
        notes.append(await scripts.before(named if wanted else None))  # it goes on: this may be the worst day
        if recovery.shutdown_policy is not ShutdownPolicy.None_:
            await show_progress(task_id, 10, "Shutting down the protected VMs.")
            force = recovery.shutdown_policy is ShutdownPolicy.ForceShutdown
            states = await halt_vms(
                task_id, vpg, list(recovery.vm_ids), recovery.operation, order["shutdown_seconds"], force
            )
            if wanted is None and "off" not in states.values():
                await show_progress(task_id, 40, "Waiting for the last writes to be durable here.")
                last = await cut_last_checkpoint(task_id, vpg, LAST_TAG, recovery.operation)
                wanted, exact = last["id"], True
            elif wanted is None:
                notes.append(
                    "A VM was off already: what it wrote since the last checkpoint is not in the recovered one."
                )
        if is_whole(Vpg.model_validate(vpg)):
            vpg = await raise_epoch(task_id, vpg)
        checkpoint, note = await bring_up(task_id, vpg, recovery, wanted, scripts, exact=exact)
    except FarshoreError as error:
        await all_as_before(task_id, order["vpg"], error)
        return
    words = f"The VMs run as of checkpoint {checkpoint['id']}, before commit."
    await complete_task(task_id, " ".join(word for word in (words, *notes, note) if word))
