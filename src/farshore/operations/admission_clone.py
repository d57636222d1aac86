"""Whether a clone, or the abort of clones, is taken; see admission.py."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from farshore.errors import BadInput, Conflict, NotFound
from farshore.model.actions import Action, Situation
from farshore.model.site_kinds import CLOUDS, SiteKind
from farshore.model.task import TaskType
from farshore.model.vpg import Vpg
from farshore.operations.admission import Admitted, demand, resolve_recovery
from farshore.operations.engine import in_thread
from farshore.operations.situations import Standing, stand
from farshore.operations.steps.copy_clone import running_clones
from farshore.site.site import Site
from farshore.site.tasks import TaskRow

ASK_SECONDS = 0.7
"""How long the appliance may take: `stand` has waited for it already, and an order is answered within 3 s."""
WITHOUT_DATASTORES = CLOUDS | {SiteKind.Vcd}
"""Kinds of recovery sites at which no datastore may be named [L2]."""


async def admit_clone(site: Site, task: TaskRow) -> Admitted:
    """A clone: a checkpoint and the datastore must be there, and no other clone of such a VM to that place run."""
    row = await in_thread(site.vpg, task.vpg_id)
    vpg = row.vpg
    if vpg.recovery_site_id != site.id:
        where = await in_thread(site.site_name, vpg.recovery_site_id)
        raise Conflict(f"The recovery site of VPG {vpg.name} is {where}.", "Ask there; it has changed over.")
    standing = await stand(site, row)
    situations = await _with_checkpoints(site, vpg, standing)
    demand(Action.CloneStart, situations, vpg)
    checkpoint_id, vm_ids = await resolve_recovery(site, vpg, task.request, standing.newest_checkpoint)
    request: dict[str, Any] = {
        "vpg": vpg.model_dump(mode="json"),
        "checkpoint_id": checkpoint_id,
        "vm_ids": vm_ids,
        "datastore": await _choose_datastore(site, task.request["datastore_id"]),
        "operation": task.id.split(".")[0],
    }

    def demand_none_like_it(connection: sa.Connection) -> None:
        site.vpgs.demand_same(connection, row)  # a commit that has begun since would not wait for it
        for other in site.tasks.running(connection, vpg.id, TaskType.Clone.value):
            same = other.id != task.id and other.request.get("datastore") and _overlap(other.request, request)
            if same:
                name = next(vm.vm_name for vm in vpg.vms if vm.vm_id == same)
                fact = f"VM {name} is being cloned to {request['datastore']['name']} already (task {other.id})."
                raise Conflict(fact, "Wait for that clone, abort it, or name another datastore.")

    return Admitted(replace(task, vpg_name=vpg.name, request=request), demand_none_like_it)


def _overlap(one: dict[str, Any], other: dict[str, Any]) -> str | None:
    """A VM that both clone to the same place."""
    if one["datastore"]["datastore_id"] != other["datastore"]["datastore_id"]:
        return None
    return next((vm_id for vm_id in other["vm_ids"] if vm_id in one["vm_ids"]), None)


async def _with_checkpoints(site: Site, vpg: Vpg, standing: Standing) -> frozenset[Situation]:
    """The situations; a VPG whose journal is not here (it needs configuration) has no checkpoint."""
    if standing.newest_checkpoint is not None:
        return standing.situations
    try:
        listed = await site.appliances.ask(site.id, "list_checkpoints", seconds=ASK_SECONDS, vpg_id=vpg.id, limit=1)
    except NotFound:
        listed = []
    return standing.situations if listed else standing.situations | {Situation.NoCheckpoint}


async def _choose_datastore(site: Site, wanted: str | None) -> dict[str, Any]:
    """The one that is named, or the one with the most room. Raises BadInput, Unavailable."""
    kind = site.config.settings.kind
    if wanted is not None and kind in WITHOUT_DATASTORES:
        fact = f"DatastoreIdentifier: the recovery site is of the kind {kind.word}, where none may be named."
        raise BadInput(fact, "Leave it out.")
    there: list[dict[str, Any]] = await site.appliances.ask(site.id, "datastores", seconds=ASK_SECONDS)
    if wanted is None:
        return max(there, key=lambda one: int(one["room_bytes"]))
    found = next((one for one in there if one["datastore_id"] == wanted.lower()), None)
    if found is None:
        names = ", ".join(f"{one['name']} ({one['datastore_id']})" for one in there)
        raise BadInput(f"DatastoreIdentifier: the recovery site has no datastore {wanted}.", f"It has: {names}.")
    return found


async def admit_clone_abort(site: Site, task: TaskRow) -> Admitted:
    """The abort of the VPG's clones: at least one must run; they are stopped with the order."""
    row = await in_thread(site.vpg, task.vpg_id)
    clones = await running_clones(row.vpg.id)
    demand(Action.CloneAbort, (await stand(site, row)).situations, row.vpg)
    request = {"clones": [{"task_id": clone.id, "operation": clone.request["operation"]} for clone in clones]}

    def stop_them(connection: sa.Connection) -> None:
        live = {clone.id for clone in site.tasks.running(connection, row.vpg.id, TaskType.Clone.value)}
        if not live & {clone.id for clone in clones}:
            raise Conflict(f"The VPG {row.vpg.name} has no clone running.", "See its tasks.")
        for clone in clones:
            site.tasks.stop(connection, clone.id, f"It was aborted by {task.who or 'somebody'} (task {task.id}).")

    return Admitted(replace(task, vpg_name=row.vpg.name, request=request), stop_them)
