"""Whether a failover, a move, their commits and rollbacks, or protecting back are taken; see admission.py."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from farshore.errors import BadInput, Conflict, NotFound, Unavailable
from farshore.model.actions import Action, Situation
from farshore.model.policies import CommitPolicy, ShutdownPolicy
from farshore.model.recovery import Recovery, RecoveryKind
from farshore.model.site_kinds import SiteKind
from farshore.model.task import TaskType
from farshore.model.vpg import Vpg, VpgSettings
from farshore.operations.admission import Admitted, demand, resolve_recovery
from farshore.operations.engine import in_thread
from farshore.operations.situations import Standing, stand
from farshore.operations.steps.recovery_rows import changed, recovery_of
from farshore.site.clock import now_ns
from farshore.site.site import Site
from farshore.site.tasks import TaskRow
from farshore.site.vpgs import VpgRow

NO_TIME_LIMIT = 0
Admit = Callable[[Site, TaskRow], Awaitable[Admitted]]


async def demand_idle(site: Site, vpg_id: str) -> TaskRow | None:
    """Raises Conflict naming what runs on the VPG, but for a move, which a failover may supersede: that is given."""
    running = await in_thread(site.tasks.changing, vpg_id)
    if running is None or running.type == TaskType.Move.value:
        return running
    fact = f"The VPG is busy with {running.type} (task {running.id})."
    raise Conflict(fact, "Wait until that task has ended.")


async def _own_row(site: Site, task: TaskRow) -> VpgRow:
    row = await in_thread(site.vpg, task.vpg_id)
    if row.vpg.recovery_site_id != site.id:
        where = await in_thread(site.site_name, row.vpg.recovery_site_id)
        raise Conflict(f"The recovery site of VPG {row.vpg.name} is {where}.", "Ask there; it has changed over.")
    return row


def _recovery(site: Site, task: TaskRow, kind: RecoveryKind, vm_ids: list[str], policy: CommitPolicy) -> Recovery:
    seconds = task.request["wait_seconds"]
    return Recovery(
        kind=kind,
        stage="recovering",
        task_id=task.id,
        operation=task.id.split(".")[0],
        vm_ids=tuple(vm_ids),
        commit_policy=policy,
        policy_seconds=site.config.settings.commit_seconds if seconds is None else int(seconds),
        shutdown_policy=ShutdownPolicy(task.request.get("shutdown_policy", ShutdownPolicy.ForceShutdown)),
        reverse_protection=bool(task.request["reverse_protection"]),
        keep_source_vms=bool(task.request.get("keep_source_vms")),
        halted=kind == "move" or task.request["shutdown_policy"] != ShutdownPolicy.None_,
        began_ns=now_ns(),
    )


async def admit_failover(site: Site, task: TaskRow) -> Admitted:
    """A failover: there must be a checkpoint. A move that is not in Before Commit yet ends in its favour."""
    row = await _own_row(site, task)
    running = await demand_idle(site, task.vpg_id)
    standing = await stand(site, row)
    demand(Action.Failover, standing.situations, row.vpg)
    checkpoint_id, vm_ids = await resolve_recovery(site, row.vpg, task.request, standing.newest_checkpoint)
    recovery = _recovery(site, task, "failover", vm_ids, CommitPolicy(task.request["commit_policy"]))
    if Situation.Paused in standing.situations and recovery.halted and checkpoint_id is None:
        fact = f"The VPG {row.vpg.name} is paused: what a shutdown would save is not at this site."
        raise Conflict(fact, "Resume it first, name a checkpoint, or fail over with ShutdownPolicy 0.")
    superseded = None
    if running is not None:
        moving = row.vpg.recovery
        if moving is None or moving.task_id != running.id or moving.stage != "recovering":
            raise Conflict(f"The VPG is busy with {running.type} (task {running.id}).", "Wait until it has ended.")
        superseded = {"task_id": running.id, "operation": moving.operation}
    owed = [debt for debt in await in_thread(site.debts.of, row.vpg.id) if debt.call == "revive_vms"]
    halted = superseded["operation"] if superseded else owed[-1].arguments["operation"] if owed else ""
    recovery = recovery.model_copy(update={"also_halted": halted})
    vpg = changed(row.vpg, recovery=recovery, owner_site_id=site.id)

    def also(connection: sa.Connection) -> None:
        site.vpgs.replace(connection, row, VpgRow(vpg, "active"))
        site.debts.forget(connection, vpg.id, "revive_vms")  # a rollback lets those run again

    request = {
        "vpg": vpg.model_dump(mode="json"),
        "checkpoint_id": checkpoint_id,
        "superseded": superseded,
        "shutdown_seconds": site.config.settings.shutdown_seconds,
    }
    admitted = replace(task, vpg_name=vpg.name, request=request)
    return Admitted(admitted, also, supersedes=running.id if running else None)


async def admit_move(site: Site, task: TaskRow) -> Admitted:
    """A move: the other site must be there and protect without a break, since nothing may be lost [M1]."""
    row = await _own_row(site, task)
    if task.request["force_shutdown"] is None and site.config.settings.kind is SiteKind.Csp:
        fact = "ForceShutdown: it is mandatory, since the recovery site is a cloud service provider's."
        raise BadInput(fact, "Say True (VMs are powered off) or False (their systems are shut down).")
    standing = await stand(site, row)
    demand(Action.Move, standing.situations, row.vpg)
    await _demand_protecting(site, row.vpg, standing)
    policy = task.request["commit_policy"]
    settled = site.config.settings.default_move_commit_policy if policy is None else CommitPolicy(policy)
    recovery = _recovery(site, task, "move", [vm.vm_id for vm in row.vpg.vms], settled)
    vpg = changed(row.vpg, recovery=recovery)
    seconds = 0.0 if task.request["force_shutdown"] else site.config.settings.shutdown_seconds
    request = {
        "vpg": vpg.model_dump(mode="json"),
        "shutdown_seconds": seconds,
        "continue_on_script_failure": bool(task.request.get("continue_on_script_failure")),
    }
    admitted = replace(task, vpg_name=vpg.name, request=request)
    return Admitted(admitted, lambda connection: site.vpgs.replace(connection, row, VpgRow(vpg, "active")))


async def _demand_protecting(site: Site, vpg: Vpg, standing: Standing) -> None:
    protection = standing.protection
    where = await in_thread(site.site_name, vpg.protected_site_id)
    if protection is None:
        fact = f"Site {where}, which protects VPG {vpg.name}, does not answer, so move is refused: it loses nothing."
        raise Conflict(fact, "Wait until the sites hear each other, or fail over.")
    if protection["state"] != "protecting" or protection.get("link", "connected") != "connected":
        state = protection["state"] if protection["state"] != "protecting" else f"not connected ({protection['link']})"
        fact = f"The VPG {vpg.name} is {state} at site {where}, so move is refused: it loses nothing."
        raise Conflict(fact, "Wait until it is protecting again.")


def _staged(site: Site, row: VpgRow, **changes: Any) -> tuple[Vpg, Callable[[sa.Connection], None]]:
    """The row at its recovery's next stage, and what writes it; the policy's time is over with that."""
    recovery = recovery_of(row.vpg).model_copy(update=changes)
    vpg = changed(row.vpg, recovery=recovery)

    def also(connection: sa.Connection) -> None:
        site.vpgs.replace(connection, row, VpgRow(vpg, "active"))
        site.deadlines.end(connection, vpg.id)

    return vpg, also


def admit_commit(action: Action) -> Admit:
    """The commit of a failover or of a move."""

    async def admit(site: Site, task: TaskRow) -> Admitted:
        row = await in_thread(site.vpg, task.vpg_id)
        demand(action, (await stand(site, row)).situations, row.vpg)
        recovery = recovery_of(row.vpg)
        reverse, keep = task.request["reverse_protection"], task.request.get("keep_source_vms")
        vpg, also = _staged(
            site,
            row,
            stage="committing",
            reverse_protection=recovery.reverse_protection if reverse is None else bool(reverse),
            keep_source_vms=recovery.keep_source_vms if keep is None else bool(keep),
        )
        admitted = replace(task, vpg_name=vpg.name, request={"vpg": vpg.model_dump(mode="json")})
        return Admitted(admitted, also)

    return admit


def admit_rollback(action: Action) -> Admit:
    """The rollback of a failover or of a move; not after a commit has begun to write into the disks."""

    async def admit(site: Site, task: TaskRow) -> Admitted:
        row = await in_thread(site.vpg, task.vpg_id)
        demand(action, (await stand(site, row)).situations, row.vpg)
        try:
            await site.appliances.ask(site.id, "promotion_status", operation=recovery_of(row.vpg).operation)
        except NotFound:
            vpg, also = _staged(site, row, stage="rolling_back")
        else:
            fact = f"A commit of VPG {row.vpg.name} has begun to write into the disks, so {action.value} is refused."
            raise Conflict(fact, "Commit it again.")
        request = {"vpg": vpg.model_dump(mode="json"), "keep": bool(task.request.get("keep"))}
        admitted = replace(task, vpg_name=vpg.name, request=request)
        return Admitted(admitted, also)

    return admit


async def admit_protect_back(site: Site, task: TaskRow) -> Admitted:
    """Protecting back: the VPG runs here since a commit, and the other site must be there."""
    row = await in_thread(site.vpg, task.vpg_id)
    vpg = row.vpg
    demand(Action.Edit, (await stand(site, row)).situations, vpg)
    if vpg.way_home is None or vpg.way_home.began or vpg.protected_site_id != site.id:
        raise Conflict(f"The VPG {vpg.name} is protected.", "There is nothing to protect back.")
    if not site.peers.connected(vpg.recovery_site_id):
        where = await in_thread(site.site_name, vpg.recovery_site_id)
        fact = f"Site {where}, to which VPG {vpg.name} is to be protected, does not answer."
        raise Unavailable(fact, "Try again when it does.")
    changes: dict[str, Any] = {}
    if task.request.get("settings") is not None:
        changes["settings"] = VpgSettings.model_validate(task.request["settings"])
    if task.request.get("name") not in (None, vpg.name):
        raise BadInput("A VPG cannot be renamed while it is protected back.", "Leave its name as it is.")
    new = changed(vpg, **changes) if changes else vpg

    def also(connection: sa.Connection) -> None:
        if changes:
            site.vpgs.replace(connection, row, VpgRow(new, "active"))

    return Admitted(replace(task, vpg_name=vpg.name, request={"vpg": new.model_dump(mode="json")}), also)
