"""Look at the VMs that are to be protected, and give their disks numbers."""

from __future__ import annotations

from typing import Any

from farshore.errors import BadInput, Conflict
from farshore.model.vpg import Volume, Vpg, VpgVm
from farshore.operations.engine import in_thread, site, step


@step
async def validate_vms(vpg_id: str) -> dict[str, Any]:
    """Does: find the VMs at the protected site and number their disks; gives the row of the VPG with both.

    Twice: reads the same. Fails: BadInput, Conflict (protected already), Unavailable; nothing was begun.
    """
    row = await in_thread(site().vpg, vpg_id)
    protected = row.vpg.protected_site_id
    listed = await site().appliances.order(protected, "list_vms")
    known = {vm["vm_id"]: vm for vm in listed}
    vms: list[VpgVm] = []
    volumes: list[Volume] = []
    for wanted in row.vpg.vms:
        summary = known.get(wanted.vm_id)
        if summary is None:
            raise BadInput(f"There is no VM {wanted.vm_id} at site {site().site_name(protected)}.", "List its VMs.")
        if summary.get("problem"):
            raise Conflict(f"VM {summary['name']} cannot be protected: {summary['problem']}", "See to that first.")
        definition = await site().appliances.order(protected, "vm_definition", vm_id=wanted.vm_id)
        if not definition["disks"]:
            raise BadInput(f"VM {definition['name']} has no disks.", "Leave it out, or give it a disk.")
        vms.append(VpgVm(vm_id=wanted.vm_id, vm_name=definition["name"]))
        for disk in definition["disks"]:
            number = len(volumes)
            size = disk["size_bytes"]
            volumes.append(Volume(number=number, vm_id=wanted.vm_id, disk_id=disk["id"], size_bytes=size))
    vpg = Vpg.model_validate(row.vpg.model_dump() | {"vms": vms, "volumes": volumes})
    return vpg.model_dump(mode="json")
