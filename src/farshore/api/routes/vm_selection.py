"""Which VMs of a VPG an action names [G9]: by identifier or by name; twice counts once."""

from __future__ import annotations

from collections.abc import Sequence

from farshore.errors import BadInput
from farshore.model.vpg import VpgVm


def select_vms(wanted: Sequence[str] | None, vms: Sequence[VpgVm], vpg_name: str) -> list[str] | None:
    """The identifiers, in the VPG's order; None (also for an empty list): all. Raises BadInput.

    An identifier goes before a name; a name that two VMs bear is refused with their identifiers.
    """
    if not wanted:
        return None
    chosen: set[str] = set()
    for one in wanted:
        found = [vm for vm in vms if vm.vm_id == one] or [vm for vm in vms if vm.vm_name == one]
        found = found or [vm for vm in vms if vm.vm_id.lower() == one.lower()]
        if not found:
            there = ", ".join(f"{vm.vm_name} ({vm.vm_id})" for vm in vms) or "none"
            raise BadInput(f"VmIdentifiers: {one} is no VM of the VPG {vpg_name}.", f"Its VMs are: {there}.")
        if len(found) > 1:
            ids = ", ".join(vm.vm_id for vm in found)
            raise BadInput(f"VmIdentifiers: {len(found)} VMs are called {one}.", f"Name one by its identifier: {ids}.")
        chosen.add(found[0].vm_id)
    return [vm.vm_id for vm in vms if vm.vm_id in chosen]
