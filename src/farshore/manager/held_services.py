"""VMs of this site that are held from being started, and their release by a person."""

from __future__ import annotations

import asyncio
from typing import Any

from farshore.errors import Conflict, NotFound
from farshore.model.record_views import HeldVmView
from farshore.site.site import Site


class HeldServices:
    """See api.services for what each method promises. The hold is a file beside the VM's definition."""

    _site: Site

    async def held_vms(self) -> list[HeldVmView]:
        """The VMs of this site that are held, by name, each with what needs it so."""
        told = await self._site.appliances.ask(self._site.id, "held_vms")
        views = await asyncio.to_thread(self._views_of, told)
        return sorted(views, key=lambda view: (view.vm_name, view.vm_id))

    async def release_vm(self, vm_id: str, who: str) -> None:
        """Release it, unless a VPG needs it held."""
        found = next((vm for vm in await self.held_vms() if vm.vm_id == vm_id), None)
        if found is None:
            raise NotFound(f"No VM {vm_id} is held at this site.", "farshore vm held shows those that are.")
        if found.needed_by:
            raise Conflict(
                f"VM {found.vm_name} stays held: {found.needed_by}",
                "Delete the VPG first, or protect it back and move it here.",
            )
        await self._site.appliances.order(self._site.id, "release_held", within=10.0, vm_id=vm_id)
        text = f"VM {found.vm_name} was released and can be started. It was held: {found.reason}"
        await asyncio.to_thread(self._site.alerts.record, "released", text, who=who)

    def _views_of(self, told: list[dict[str, Any]]) -> list[HeldVmView]:
        names = {row.vpg.id: row.vpg.name for row in self._site.vpgs.all()}
        needs, views = self._needs(), []
        for vm in told:
            base = vm["base_of"]
            needed = f"its disks are the replica of VPG {names.get(base, base)}." if base else ""
            needed = needed or needs.get(vm["vm_id"], "")
            views.append(HeldVmView(vm_id=vm["vm_id"], vm_name=vm["name"], reason=vm["reason"], needed_by=needed))
        return views

    def _needs(self) -> dict[str, str]:
        """{identifier of a VM: why a VPG needs it held}."""
        needs: dict[str, str] = {}
        for row in self._site.vpgs.listed():
            vpg = row.vpg
            if vpg.protected_site_id == self._site.id:
                words = f"VPG {vpg.name} protects it here, or has not told yet that it was failed over."
                needs |= {vm.vm_id: words for vm in vpg.vms}
            elif vpg.way_home is not None:
                words = f"VPG {vpg.name} runs at the other site and can be protected back onto its disks."
                needs |= dict.fromkeys(vpg.way_home.source_vm_ids.values(), words)
        return needs
