"""An import: each VPG of an export is made, or changed back to what it was; one by one, and told one by one.

It never takes anything away: a VPG that is there stays, under its identifier, with all its VMs. What would need that is
refused in words, and a person can do it with a settings object.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from farshore.api.services import Services
from farshore.api.vpg_orders import completed, order_of_settings
from farshore.api.wire.vpg_exports import ExportedVpgSettingsApi
from farshore.errors import BadInput, Conflict, FarshoreError, NotFound, Unsupported
from farshore.model.views import VpgOrder, VpgView

AT_ONCE_MAX = 8
"""Orders under way at a time: each asks both sites."""
_REFUSALS = (BadInput, Conflict, NotFound, Unsupported)


@dataclass(frozen=True)
class Imported:
    """What became of a VPG: its task, why it was refused, or why it could not be ordered."""

    name: str
    task_id: str = ""
    refusal: str = ""
    failure: str = ""


async def import_vpgs(site: Services, contents: Sequence[ExportedVpgSettingsApi], who: str) -> list[Imported]:
    """Order all of them; what became of each, in their order."""
    present = await site.list_vpgs()
    turns = asyncio.Semaphore(AT_ONCE_MAX)

    async def one(sent: ExportedVpgSettingsApi) -> Imported:
        known = next((view for view in present if view.vpg_id == (sent.vpg_identifier or "").lower()), None)
        content = sent if known is None else completed(known, sent)
        name = content.basic.name or ""
        async with turns:
            try:
                order = order_of_settings(content)
                if known is not None:
                    return Imported(name, task_id=await _change(site, known, order, who))
                return Imported(name, task_id=await _make(site, present, order, who))
            except _REFUSALS as error:
                return Imported(name, refusal=str(error))
            except FarshoreError as error:
                return Imported(name, failure=str(error))

    return list(await asyncio.gather(*map(one, contents)))


async def _make(site: Services, present: Sequence[VpgView], order: VpgOrder, who: str) -> str:
    if any(view.name == order.name for view in present):
        fact = f"A VPG named {order.name} is there, and it is another one than that of the export."
        raise Conflict(fact, "Give one of the two another name, or change that VPG with a settings object.")
    return await site.create_vpg(order.model_copy(update={"vpg_id": None}), who)


async def _change(site: Services, known: VpgView, order: VpgOrder, who: str) -> str:
    _demand_all_stays(known, order)
    return await site.update_vpg(order, who)


def _demand_all_stays(view: VpgView, order: VpgOrder) -> None:
    """Raise Conflict when the VPG could become what the order says only by losing something."""
    if (view.protected_site_id, view.recovery_site_id) != (order.protected_site_id, order.recovery_site_id):
        fact = f"The sites of VPG {view.name} are not those of the export: it was failed over or moved since."
        raise Conflict(fact, "Move it back first, or export it as it is now.")
    if view.way_home is not None:
        raise Conflict(
            f"VPG {view.name} needs configuration: to commit it protects it back, over the old disks.",
            'Do that by itself: POST /v1/vpgSettings {"VpgIdentifier": ...}, then commit.',
        )
    lost = [vm.vm_name for vm in view.vms if vm.vm_id not in order.vm_ids]
    if lost:
        fact = f"VPG {view.name} has VMs that the export has not: {', '.join(lost)}. An import takes none out."
        raise Conflict(fact, "Take them out with a settings object, then import again.")
