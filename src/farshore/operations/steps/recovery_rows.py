"""The VPG's row through a failover or move: its stages, its epoch, and how it ends."""

from __future__ import annotations

from typing import Any

from farshore.errors import Conflict
from farshore.model.policies import CommitPolicy
from farshore.model.recovery import RecoveredVm, Recovery
from farshore.model.vpg import Vpg
from farshore.operations.engine import in_thread, site, step, stoppable_step
from farshore.site.alerts import HINDERED
from farshore.site.clock import now_ns
from farshore.site.specs import keep_spec
from farshore.site.vpgs import VpgRow

HINDERED_REMEDY = "Mend what it names; then commit it to keep the recovered VMs, or roll it back."


def changed(vpg: Vpg, **changes: Any) -> Vpg:
    """The next version of it."""
    return VpgRow(vpg, "active").raised("active", **changes).vpg


def recovery_of(vpg: Vpg) -> Recovery:
    """What is under way. Raises Conflict."""
    if vpg.recovery is None:
        raise Conflict(f"The VPG {vpg.name} is in no failover or move.", "Look at its state.")
    return vpg.recovery


def is_whole(vpg: Vpg) -> bool:
    """Whether all VMs of the VPG are recovered, not only some."""
    return set(recovery_of(vpg).vm_ids) == {vm.vm_id for vm in vpg.vms}


async def put_row(vpg: Vpg) -> None:
    """Write the row; there already is fine. Raises Conflict when one of higher rank has taken its place."""
    row = VpgRow(vpg, "active")
    if not await in_thread(site().vpgs.put, row):
        present = await in_thread(site().vpgs.get, vpg.id)
        if present is None or present.rank > row.rank:
            epoch = present.vpg.epoch if present else "?"
            raise Conflict(f"It is superseded by epoch {epoch} of VPG {vpg.name}.", "Look at the VPG's state.")


@step
async def change_row(vpg_json: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Does: write the row with these members changed, one version on; gives the VPG. Twice: the same row.

    Fails: Conflict.
    """
    vpg = changed(Vpg.model_validate(vpg_json), **changes)
    await put_row(vpg)
    return vpg.model_dump(mode="json")


@stoppable_step
async def raise_epoch(vpg_json: dict[str, Any]) -> dict[str, Any]:
    """Does: raise the epoch in row and journal: an older stream is refused. Twice: the same epoch.

    Fails: Conflict, Unavailable, Fault.
    """
    before = Vpg.model_validate(vpg_json)
    vpg = changed(before, epoch=before.epoch + 1)
    await put_row(vpg)
    await site().appliances.order(vpg.recovery_site_id, "keep_vpg", spec=keep_spec(vpg))
    return vpg.model_dump(mode="json")


@stoppable_step
async def enter_before_commit(
    vpg_json: dict[str, Any], checkpoint: dict[str, Any], started: list[dict[str, Any]], exact: bool
) -> dict[str, Any]:
    """Does: record what runs, and let the policy's time begin. Twice: it has begun. Fails: Conflict."""
    vpg = Vpg.model_validate(vpg_json)
    vms = [
        RecoveredVm(
            vm_id=vm["vm_id"], vm_name=vm["name"], source_vm_id=vm["source_vm_id"], serial_log=vm.get("serial_log")
        )
        for vm in started
    ]
    recovery = recovery_of(vpg).model_copy(
        update={
            "stage": "before_commit",
            "checkpoint_id": str(checkpoint["id"]),
            "checkpoint_time_ns": checkpoint["time_ns"],
            "exact": exact,
            "vms": tuple(vms),
            "before_commit_ns": now_ns(),
        }
    )
    entered = await in_thread(_enter, VpgRow(vpg, "active"), changed(vpg, recovery=recovery))
    return entered.model_dump(mode="json")


def _enter(old: VpgRow, vpg: Vpg) -> Vpg:
    present = site().vpgs.get(vpg.id)
    new, recovery = VpgRow(vpg, "active"), recovery_of(vpg)
    if present is not None and present.rank == new.rank:
        return present.vpg
    with site().database.transaction() as connection:
        site().vpgs.replace(connection, old, new)
        if recovery.commit_policy is not CommitPolicy.None_:
            site().deadlines.begin(connection, vpg.id, float(recovery.policy_seconds))
    return vpg


@step
async def claim_undo(task_id: str, vpg_id: str) -> dict[str, Any] | None:
    """Does: mark the VPG as rolling back, unless the task was ended from outside (None). Twice: it is marked.

    Fails: only with the database.
    """
    vpg = await in_thread(_claim, task_id, vpg_id)
    return vpg.model_dump(mode="json") if vpg else None


def _claim(task_id: str, vpg_id: str) -> Vpg | None:
    row = site().vpgs.get(vpg_id)
    if row is None or row.vpg.recovery is None or row.vpg.recovery.task_id != task_id:
        return None
    recovery = row.vpg.recovery
    if recovery.stage == "rolling_back":
        return row.vpg
    vpg = changed(row.vpg, recovery=recovery.model_copy(update={"stage": "rolling_back"}))
    with site().database.transaction() as connection:
        if not site().tasks.is_live(connection, task_id):
            return None
        site().vpgs.replace(connection, row, VpgRow(vpg, "active"))
    return vpg


@step
async def end_recovery(vpg_json: dict[str, Any], raised: bool) -> dict[str, Any]:
    """Does: end the failover or move in the row; an epoch that was raised is raised again, in the journal too.

    Twice: the same row. Fails: Conflict, Unavailable.
    """
    before = Vpg.model_validate(vpg_json)
    vpg = changed(before, recovery=None, epoch=before.epoch + int(raised))
    await put_row(vpg)
    if raised:
        await site().appliances.order(vpg.recovery_site_id, "keep_vpg", spec=keep_spec(vpg))
    return vpg.model_dump(mode="json")


@step
async def leave_to_a_person(vpg_id: str, fact: str) -> None:
    """Does: put the VPG into Before Commit with no policy any more; commit or rollback can be asked for again.

    An alert says so, with what hindered it (`fact`), until the failover or move has ended. Twice: it is there, and
    one alert. Fails: only with the database.
    """
    await in_thread(_leave, vpg_id)
    await in_thread(_tell_hindered, vpg_id, fact)


def _tell_hindered(vpg_id: str, fact: str) -> None:
    row = site().vpgs.get(vpg_id)
    if row is not None and row.vpg.recovery is not None:
        told = f"VPG {row.vpg.name} stays in Before Commit, and nothing more is done by itself. {fact}"
        site().alerts.raise_alert(f"{HINDERED}{vpg_id}", told, HINDERED_REMEDY, level="error", vpg_id=vpg_id)


def _leave(vpg_id: str) -> None:
    row = site().vpgs.get(vpg_id)
    if row is None or row.vpg.recovery is None or row.vpg.recovery.stage == "before_commit":
        return
    vpg = changed(row.vpg, recovery=row.vpg.recovery.model_copy(update={"stage": "before_commit"}))
    with site().database.transaction() as connection:
        site().vpgs.replace(connection, row, VpgRow(vpg, "active"))
        site().deadlines.end(connection, vpg_id)
