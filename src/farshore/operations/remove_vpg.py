"""Delete a VPG: stop the taps, remove the journal, forget the rows. Runs at the owner; with force at either site.

Without force the other site must answer before anything is touched. With force this site's half goes at once, and the
other site is told as soon as it answers. Recovery volumes that are to be kept are copied first, while the VPG is still
protected, and are whole and known before its journal goes: a failure until then leaves it as before, without copies. A
failure after that leaves the copies too, since nobody knows how far the journal's removal came.
"""

from __future__ import annotations

from typing import Any

from farshore.errors import FarshoreError
from farshore.operations.engine import workflow
from farshore.operations.steps.begin_protection import begin_protection, stop_protection
from farshore.operations.steps.close_tests import close_tests
from farshore.operations.steps.copy_clone import end_clones, let_clones_end
from farshore.operations.steps.finish_task import complete_task, fail_task, read_order, show_progress
from farshore.operations.steps.keep_volumes import await_kept, begin_keep, drop_keep, finish_keep
from farshore.operations.steps.record_vpg import record_vpg, release_at_peer, release_here, release_row, tell_peer
from farshore.operations.steps.start_recovered_vms import pin_checkpoint


@workflow("remove_vpg")
async def remove_vpg(task_id: str) -> None:
    """Mark it, keep what is to be kept, stop protection, remove the journal, forget it at both sites."""
    _, order = await read_order(task_id)
    vpg: dict[str, Any] = order["vpg"]
    force: bool = order["force"]
    keep: str = order.get("keep") or ""
    not_kept: str = order.get("not_kept") or ""
    kept = "" if keep or not_kept else "Its recovery volumes were not kept."
    whole = False
    try:
        vpg = await record_vpg(vpg, "removing", vpg["version"] + 1)
        if keep:
            await copy_volumes(task_id, vpg, keep)
        if not force:
            await stop_protection(vpg)
        if force:
            await end_clones(vpg["id"], "It ended: the VPG was deleted by force.")
        await let_clones_end(task_id, vpg["id"], task_id)
        await close_tests(vpg["id"])
        await show_progress(task_id, 50, "Removing this site's half.")
        if keep:
            kept, whole = await finish_keep(keep), True
        await release_here(vpg)
    except FarshoreError as error:
        words = f"{error} {await put_back(vpg, protected=not force)}"
        if keep:
            words += f" {kept if whole else await drop_keep(vpg['id'], keep)}".rstrip()
        await fail_task(task_id, words)
        return
    await release_row(vpg)
    note = "The VPG is gone at both sites."
    try:
        await release_at_peer(vpg)
    except FarshoreError as error:
        note = f"The VPG is gone here; the other site is told as soon as it answers: {error}"
    await complete_task(task_id, " ".join(filter(None, (note, kept, not_kept))))


async def copy_volumes(task_id: str, vpg: dict[str, Any], operation: str) -> None:
    """Copy all volumes at the newest checkpoint, which stays until then. Raises what hinders it."""
    checkpoint = await pin_checkpoint(task_id, vpg["id"], None, operation)
    await begin_keep(task_id, vpg, operation, checkpoint)
    await await_kept(task_id, operation, task_id)


async def put_back(vpg: dict[str, Any], *, protected: bool) -> str:
    """Protect again as before; says how that went."""
    try:
        vpg = await record_vpg(vpg, "active", vpg["version"] + 1)
        if protected:
            await begin_protection(vpg)
            await tell_peer(vpg, "active")
    except FarshoreError as error:
        return f"The VPG is still there, but may not be protected: {error}"
    return "The VPG is as before."
