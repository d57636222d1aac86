"""Whether an order is taken: each kind's checks, before its task is durable. What is refused here has begun nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from farshore.errors import BadInput, Conflict, NotFound, Unavailable
from farshore.model.actions import Action, Situation, refusal
from farshore.model.views import VpgOrder
from farshore.model.vpg import Vpg, VpgVm
from farshore.operations.admission_keep import resolve_keep
from farshore.operations.engine import in_thread
from farshore.operations.situations import stand
from farshore.site.failover_tests import FailoverTest
from farshore.site.site import Site
from farshore.site.tasks import TaskRow
from farshore.site.vpgs import VpgRow

CHECKPOINT_LIMIT = 1_000_000


@dataclass(frozen=True)
class Admitted:
    """An order that is taken: its task, and what is written in the same transaction."""

    task: TaskRow
    also: Callable[[sa.Connection], None] | None = None
    supersedes: str | None = None
    """A task that is ended in favour of this one."""


def demand(action: Action, situations: Collection[Situation], vpg: Vpg) -> None:
    """Raise the Conflict that the table of actions has for it, naming the task of a failover or move under way."""
    conflict = refusal(action, situations, vpg.name)
    if conflict is not None:
        task = f" (task {vpg.recovery.task_id})" if vpg.recovery else ""
        raise Conflict(f"{conflict.fact.rstrip('.')}{task}.", conflict.remedy)


async def admit_protect(site: Site, task: TaskRow) -> Admitted:
    """A new VPG: sites paired, VMs there and free, the name not taken."""
    order = VpgOrder.model_validate(task.request["order"])
    if order.recovery_site_id != site.id or order.protected_site_id == site.id:
        raise BadInput("A VPG's recovery site must be another than its protected site.", "Name two paired sites.")
    await in_thread(site.peers.get, order.protected_site_id)
    if not order.vm_ids or len(set(order.vm_ids)) != len(order.vm_ids):
        raise BadInput("A VPG needs at least one VM, and each only once.", "Name its VMs.")
    listed = await site.appliances.ask(order.protected_site_id, "list_vms")
    names = {vm["vm_id"]: vm["name"] for vm in listed if not vm.get("recovered")}
    for vm_id in order.vm_ids:
        if vm_id not in names:
            where = await in_thread(site.site_name, order.protected_site_id)
            raise BadInput(f"There is no VM {vm_id} at site {where}.", "List that site's VMs.")
        other = await in_thread(site.vpgs.protecting, vm_id)
        if other is not None:
            raise Conflict(f"VM {names[vm_id]} is protected by VPG {other.name}.", "Take it out of there first.")
    vpg = Vpg(
        id=task.vpg_id,
        name=order.name,
        protected_site_id=order.protected_site_id,
        recovery_site_id=order.recovery_site_id,
        owner_site_id=order.recovery_site_id,
        settings=order.settings,
        vms=tuple(VpgVm(vm_id=vm_id, vm_name=names[vm_id]) for vm_id in order.vm_ids),
    )
    admitted = replace(task, vpg_name=vpg.name, request={"vpg": vpg.model_dump(mode="json")})
    return Admitted(admitted, lambda connection: site.vpgs.insert(connection, VpgRow(vpg, "creating")))


async def admit_remove(site: Site, task: TaskRow) -> Admitted:
    """The end of a VPG. Without force the protected site must answer, so that its taps go too."""
    row = await in_thread(site.vpg, task.vpg_id)
    force = bool(task.request["force"])
    standing = await stand(site, row)
    demand(Action.Delete, standing.situations, row.vpg)
    if not force:
        await site.appliances.ask(site.other_site(row.vpg), "list_vms")
    request: dict[str, Any] = {"vpg": row.vpg.model_dump(mode="json"), "force": force}
    if task.request["keep_recovery_volumes"]:
        request |= await resolve_keep(site, row.vpg, task.id.split(".")[0], force=force)
    return Admitted(replace(task, vpg_name=row.vpg.name, request=request))


async def admit_checkpoint(site: Site, task: TaskRow) -> Admitted:
    """A tagged checkpoint: the protected site's appliance must be able to cut at once."""
    row = await in_thread(site.vpg, task.vpg_id)
    standing = await stand(site, row)
    demand(Action.Checkpoints, standing.situations, row.vpg)
    if standing.protection is None:
        where = await in_thread(site.site_name, row.vpg.protected_site_id)
        fact = f"The appliance of site {where}, which must cut the checkpoint, does not answer."
        raise Unavailable(fact, f"Try again, or ask for it at site {where}.")
    if standing.protection["state"] != "protecting":
        fact = f"The VPG {row.vpg.name} is {standing.protection['state']}: {standing.protection.get('reason') or '...'}"
        raise Conflict(fact, "Wait until it is protecting again.")
    request = {"vpg": row.vpg.model_dump(mode="json"), "name": task.request["name"]}
    return Admitted(replace(task, vpg_name=row.vpg.name, request=request))


def resolve_vms(vpg: Vpg, wanted: list[str] | None) -> list[str]:
    """Identifiers of the VMs that are meant by identifiers or names; all when none are named [G9]. Raises BadInput."""
    if not wanted:
        return [vm.vm_id for vm in vpg.vms]
    found: list[str] = []
    for word in wanted:
        by_id = [vm.vm_id for vm in vpg.vms if vm.vm_id.lower() == word.lower()]
        matches = by_id or [vm.vm_id for vm in vpg.vms if vm.vm_name == word]
        if not matches:
            raise BadInput(f"VPG {vpg.name} has no VM {word}.", "Name VMs of the VPG.")
        if len(matches) > 1:
            raise BadInput(f"{word} is the name of {len(matches)} VMs: {', '.join(matches)}.", "Give identifiers.")
        found += matches
    return list(dict.fromkeys(found))


async def resolve_recovery(
    site: Site, vpg: Vpg, request: dict[str, Any], newest: dict[str, Any] | None
) -> tuple[str | None, list[str]]:
    """What is to be recovered: the checkpoint (None: the latest), once it was seen to be there, and VMs that it holds.

    VMs that were added to the VPG later are left out when none are named. `newest`: the latest one, if it is known.

    Raises BadInput, Conflict.
    """
    checkpoint_id, wanted = request["checkpoint_id"], request["vm_ids"]
    vm_ids = resolve_vms(vpg, wanted)
    checkpoint = newest if checkpoint_id is None else await _find_checkpoint(site, vpg, checkpoint_id)
    if checkpoint is None:
        return None, vm_ids
    held = set(checkpoint["volumes"])
    later = {volume.vm_id for volume in vpg.volumes if volume.number not in held}
    missing = [vm.vm_name for vm in vpg.vms if vm.vm_id in later and vm.vm_id in vm_ids]
    which = f"checkpoint {checkpoint_id}" if checkpoint_id else "the latest checkpoint"
    if wanted and missing:
        raise BadInput(f"VM {missing[0]} was added to VPG {vpg.name} after {which}.", "Name a later one, or other VMs.")
    if len(missing) == len(vm_ids):
        raise Conflict(f"Of VPG {vpg.name} as it is now nothing is in {which}.", "Name a later one.")
    return checkpoint_id, [vm_id for vm_id in vm_ids if vm_id not in later]


async def _find_checkpoint(site: Site, vpg: Vpg, checkpoint_id: str) -> dict[str, Any]:
    """The checkpoint. Raises BadInput."""
    listed = await site.appliances.ask(site.id, "list_checkpoints", vpg_id=vpg.id, limit=CHECKPOINT_LIMIT)
    for checkpoint in listed:
        if str(checkpoint["id"]) == checkpoint_id:
            return dict(checkpoint)
    fact = f"VPG {vpg.name} has no checkpoint {checkpoint_id}."
    raise BadInput(fact, "List its checkpoints; the oldest go as time passes.")


async def admit_failover_test(site: Site, task: TaskRow) -> Admitted:
    """A failover test: there must be a checkpoint; the one that is named must be there."""
    row = await in_thread(site.vpg, task.vpg_id)
    vpg = row.vpg
    standing = await stand(site, row)
    demand(Action.FailoverTest, standing.situations, vpg)
    operation = task.id.split(".")[0]
    checkpoint_id, vm_ids = await resolve_recovery(site, vpg, task.request, standing.newest_checkpoint)
    request = {
        "vpg": vpg.model_dump(mode="json"),
        "checkpoint_id": checkpoint_id,
        "vm_ids": vm_ids,
        "operation": operation,
    }
    test = FailoverTest(task_id=task.id, vpg_id=vpg.id, operation=operation)
    admitted = replace(task, vpg_name=vpg.name, request=request)
    return Admitted(admitted, lambda connection: site.tests.insert(connection, test))


async def admit_failover_test_stop(site: Site, task: TaskRow) -> Admitted:
    """The stop of tests: at least one must run; they are claimed with the order."""
    row = await in_thread(site.vpg, task.vpg_id)
    tests = await in_thread(site.tests.of, row.vpg.id, "running")
    only = task.request["test_task"]
    if only is not None and await in_thread(site.tests.get, only) is None:
        raise NotFound(f"There is no failover test {only}.", "Give the task identifier of its start.")
    demand(Action.FailoverTestStop, {Situation.TestRunning} if tests else set(), row.vpg)

    def claim(connection: sa.Connection) -> None:
        site.tests.claim(connection, row.vpg.id, task.id, only)

    request = {"success": bool(task.request["success"]), "summary": task.request["summary"] or None}
    return Admitted(replace(task, vpg_name=row.vpg.name, request=request), claim)
