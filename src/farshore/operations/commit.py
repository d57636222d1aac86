"""The part that the commits of failover and move share: from VMs on scratch to VMs of this site."""

from __future__ import annotations

from typing import Any

from farshore.errors import FarshoreError
from farshore.model.vpg import Vpg
from farshore.operations.steps.copy_clone import let_clones_end
from farshore.operations.steps.finish_task import complete_task, fail_task, show_progress
from farshore.operations.steps.promote import (
    adopt_recovered,
    await_promotion,
    close_recovery,
    demand_running,
    not_running,
    promote_recovered,
    retire_journal,
)
from farshore.operations.steps.put_away import leave_the_stream
from farshore.operations.steps.recovery_rows import is_whole, leave_to_a_person, raise_epoch, recovery_of
from farshore.operations.steps.turn_round import turn_round


async def make_them_ours(task_id: str, vpg: dict[str, Any]) -> dict[str, Any]:
    """Promote, adopt, end the journal, turn the row round; gives {"vpg", "rest"}. Raises what hinders it."""
    recovery = recovery_of(Vpg.model_validate(vpg))
    await demand_running(task_id, recovery.operation, len(recovery.vms))
    await let_clones_end(task_id, vpg["id"], task_id)  # they read what the recovered VMs are about to write to
    if is_whole(Vpg.model_validate(vpg)):
        vpg = await raise_epoch(task_id, vpg)
    await show_progress(task_id, 20, "Writing the recovered VMs' disks. The VMs run meanwhile.")
    await promote_recovered(task_id, vpg)
    promoted = await await_promotion(task_id, recovery.operation, task_id)
    await adopt_recovered(task_id, recovery.operation)
    await show_progress(task_id, 85, "Removing what is not needed any more.")
    await retire_journal(task_id, vpg)
    await close_recovery(task_id, vpg["id"], recovery.operation)
    written = await turn_round(task_id, vpg, promoted)
    if written["rest"] is not None:
        written["words"] = await leave_the_stream(written["rest"])
    return written


async def not_committed(task_id: str, vpg_id: str, error: FarshoreError) -> None:
    """End the task as failed; the recovered VMs go on, and the commit can be asked for again."""
    await leave_to_a_person(vpg_id, f"It could not be committed: {error}")
    await fail_task(task_id, f"{error} The recovered VMs go on, before commit; nothing more is done by itself.")


async def verified(task_id: str, written: dict[str, Any], note: str) -> None:
    """End the task: as completed only if every VM really runs."""
    vm_ids = [vm["vm_id"] for vm in written["vpg"]["vms"]]
    try:
        down = await not_running(task_id, vm_ids)
    except FarshoreError as error:
        await fail_task(task_id, f"It is committed, but whether the VMs run could not be seen: {error} {note}")
        return
    if down:
        await fail_task(task_id, f"It is committed, but {', '.join(down)} does not run. {note}")
        return
    await complete_task(task_id, note)
