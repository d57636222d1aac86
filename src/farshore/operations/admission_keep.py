"""Which recovery volumes a deletion can keep; see admission.py."""

from __future__ import annotations

from typing import Any

from farshore.errors import Conflict, NotFound, Unavailable
from farshore.model.vpg import Vpg
from farshore.operations.engine import in_thread
from farshore.site.site import Site

ASK_SECONDS = 0.7
"""How long the appliance may take: others were asked before, and an order is answered within 3 s."""


async def resolve_keep(site: Site, vpg: Vpg, operation: str, *, force: bool) -> dict[str, str]:
    """What the order says of it: `keep`, the operation by which they are kept, and `not_kept`, words for what is not.

    Raises Conflict when there is not all of them to keep; by force that is only said. Raises Unavailable when another
    site has them, by force too: they must not be lost for that.
    """
    can, lacking = await _look(site, vpg)
    if lacking and not force:
        raise Conflict(lacking, "Wait for a checkpoint; or delete it without keeping them, or by force.")
    found = {"keep": operation} if can else {}
    return found | {"not_kept": f"Recovery volumes that are not kept: {lacking}"} if lacking else found


async def _look(site: Site, vpg: Vpg) -> tuple[bool, str]:
    """Whether there are some to keep, and why not all of them."""
    if vpg.recovery_site_id != site.id:
        where = await in_thread(site.site_name, vpg.recovery_site_id)
        if vpg.way_home is not None:
            return False, f"The VPG {vpg.name} is not protected back yet, site {where} has no whole checkpoint of it."
        fact = f"The recovery volumes of VPG {vpg.name} are at site {where}, and only that site can keep them."
        raise Unavailable(fact, f"Delete it there, or here without keeping them: they go once site {where} answers.")
    asked: dict[str, Any] = {"vpg_id": vpg.id, "limit": 1, "newest_first": True}
    try:
        listed = await site.appliances.ask(site.id, "list_checkpoints", seconds=ASK_SECONDS, **asked)
    except NotFound:
        listed = []
    if not listed:
        return False, f"The VPG {vpg.name} has no checkpoint yet."
    later = {volume.vm_id for volume in vpg.volumes if volume.number not in listed[0]["volumes"]}
    names = ", ".join(vm.vm_name for vm in vpg.vms if vm.vm_id in later)
    lacking = f"VMs that were added to VPG {vpg.name} after its latest checkpoint: {names}." if names else ""
    return len(later) < len(vpg.vms), lacking
