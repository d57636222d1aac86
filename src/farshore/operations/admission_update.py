"""Whether a change of a protected VPG is taken: its name, its settings, VMs added or taken out; see admission.py.

The row says the new state from the moment that the order is durable; the operation carries it to both appliances.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from farshore.errors import BadInput, Conflict
from farshore.model.actions import Action
from farshore.model.views import VpgOrder
from farshore.model.vpg import Volume, Vpg, VpgVm
from farshore.operations.admission import Admitted, demand
from farshore.operations.engine import in_thread
from farshore.operations.situations import stand
from farshore.operations.steps.recovery_rows import changed
from farshore.site.site import Site
from farshore.site.tasks import TaskRow
from farshore.site.vpgs import VpgRow


async def admit_update(site: Site, task: TaskRow) -> Admitted:
    """Its sites stay, at least one VM stays, and what is added is there, free, and has disks."""
    order = VpgOrder.model_validate(task.request["update"])
    row = await in_thread(site.vpg, task.vpg_id)
    vpg = row.vpg
    if vpg.recovery_site_id != site.id:
        where = await in_thread(site.site_name, vpg.recovery_site_id)
        raise Conflict(f"The recovery site of VPG {vpg.name} is {where}.", "Ask there; it has changed over.")
    demand(Action.Edit, (await stand(site, row)).situations, vpg)
    if vpg.way_home is not None:
        raise Conflict(f"The VPG {vpg.name} is being protected back.", "Wait for its first checkpoint, then change it.")
    if (order.protected_site_id, order.recovery_site_id) != (vpg.protected_site_id, vpg.recovery_site_id):
        raise BadInput("A VPG's sites cannot be changed.", "Leave them, or move the VPG to its other site.")
    if not order.vm_ids:
        raise BadInput("A VPG needs at least one VM.", "Leave one in it, or delete the VPG.")
    new = await _with_members(site, vpg, order)
    present, wanted = {vm.vm_id for vm in vpg.vms}, set(order.vm_ids)
    request: dict[str, Any] = {
        "update": order.model_dump(mode="json"),
        "before": vpg.model_dump(mode="json"),
        "vpg": new.model_dump(mode="json"),
        "added": sorted(wanted - present),
        "removed": sorted(present - wanted),
    }
    admitted = replace(task, vpg_name=new.name, request=request)
    return Admitted(admitted, lambda connection: site.vpgs.replace(connection, row, VpgRow(new, "active")))


async def _with_members(site: Site, vpg: Vpg, order: VpgOrder) -> Vpg:
    """The VPG as ordered: who stays keeps its volumes' numbers, who comes gets new ones."""
    stay = {vm.vm_id: vm for vm in vpg.vms if vm.vm_id in order.vm_ids}
    come = [vm_id for vm_id in order.vm_ids if vm_id not in stay]
    vms = dict(stay)
    volumes = [volume for volume in vpg.volumes if volume.vm_id in stay]
    number = vpg.next_number
    for definition in await _definitions(site, vpg.protected_site_id, come):
        vm_id = str(definition["vm_id"])
        vms[vm_id] = VpgVm(vm_id=vm_id, vm_name=definition["name"])
        for disk in definition["disks"]:
            volumes.append(Volume(number=number, vm_id=vm_id, disk_id=disk["id"], size_bytes=disk["size_bytes"]))
            number += 1
    members = {"vms": [vms[vm_id] for vm_id in order.vm_ids], "volumes": volumes}
    return changed(vpg, name=order.name, settings=order.settings, **members)


async def _definitions(site: Site, protected: str, vm_ids: list[str]) -> list[dict[str, Any]]:
    """What the VMs are that are to be added. Raises BadInput, Conflict, Unavailable."""
    if not vm_ids:
        return []
    where = await in_thread(site.site_name, protected)
    listed = {vm["vm_id"]: vm for vm in await site.appliances.ask(protected, "list_vms") if not vm.get("recovered")}
    for vm_id in vm_ids:
        if vm_id not in listed:
            raise BadInput(f"There is no VM {vm_id} at site {where}.", "List that site's VMs.")
        name = listed[vm_id]["name"]
        other = await in_thread(site.vpgs.protecting, vm_id)
        if other is not None:
            raise Conflict(f"VM {name} is protected by VPG {other.name}.", "Take it out of there first.")
        if listed[vm_id].get("problem"):
            raise Conflict(f"VM {name} cannot be protected: {listed[vm_id]['problem']}", "See to that first.")
    asked = (site.appliances.ask(protected, "vm_definition", vm_id=vm_id) for vm_id in vm_ids)
    found: list[dict[str, Any]] = [
        {**definition, "vm_id": vm_id} for vm_id, definition in zip(vm_ids, await asyncio.gather(*asked), strict=True)
    ]
    for definition in found:
        if not definition["disks"]:
            raise BadInput(f"VM {definition['name']} has no disks.", "Leave it out, or give it a disk.")
    return found
