"""VMs and resources of the sites, as the API lists them."""

from __future__ import annotations

import asyncio
from typing import Any

from farshore.errors import FarshoreError
from farshore.model.resources import resource_id
from farshore.model.views import (
    ProtectedVmView,
    ResourceView,
    SiteDiskView,
    SiteResourcesView,
    SiteVmView,
    VpgView,
)
from farshore.site.site import Site


def _vm_view(site_id: str, told: dict[str, Any]) -> SiteVmView:
    disks = tuple(SiteDiskView(disk_id=disk["disk_id"], size_bytes=disk["size_bytes"]) for disk in told["disks"])
    return SiteVmView(
        vm_id=told["vm_id"],
        vm_name=told["name"],
        site_id=site_id,
        power=told["power"],
        disks=disks,
        problem=told.get("problem") or "",
        nic_ids=tuple(told.get("nics", ())),
    )


KnownVms = dict[str, dict[str, SiteVmView] | None]
"""By site and identifier; None: the site does not answer."""


class Inventory:
    """What the sites have."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def vms(self, site_id: str) -> list[SiteVmView]:
        """The VMs of a site's inventory; recovered ones are no part of it. NotFound, Unavailable."""
        if site_id != self._site.id:
            await asyncio.to_thread(self._site.peers.get, site_id)
        told = await self._site.appliances.ask(site_id, "list_vms")
        return [_vm_view(site_id, vm) for vm in told if not vm.get("recovered")]

    async def resources(self, site_id: str) -> SiteResourcesView:
        """An embedded site is one host with one of everything but datastores; clients look for a folder named `/`.

        NotFound, Unavailable.
        """
        if site_id != self._site.id:
            await asyncio.to_thread(self._site.peers.get, site_id)
        name = await asyncio.to_thread(self._site.site_name, site_id)
        datastores = await self._site.appliances.ask(site_id, "datastores")

        def one(kind: str, words: str) -> tuple[ResourceView, ...]:
            return (ResourceView(resource_id=resource_id(site_id, kind), name=words),)

        return SiteResourcesView(
            hosts=one("host", name),
            datastores=tuple(ResourceView(resource_id=own["datastore_id"], name=own["name"]) for own in datastores),
            networks=one("network", "isolated test network"),
            folders=one("folder", "/"),
            resource_pools=one("pool", name),
        )

    async def known(self) -> KnownVms:
        """The VMs of every site that VPGs protect some of."""
        rows = await asyncio.to_thread(self._site.vpgs.listed)
        sites = list({row.vpg.protected_site_id for row in rows})
        return dict(zip(sites, await asyncio.gather(*(self._known(site_id) for site_id in sites)), strict=True))

    async def protected(self, vpgs: list[VpgView], known: KnownVms) -> list[ProtectedVmView]:
        """The VMs of these VPGs with their protected disks; one whose site does not answer counts as existing."""
        kept = await asyncio.to_thread(self._protected_disks)
        views = []
        for vpg in vpgs:
            there = known.get(vpg.protected_site_id)
            for vm in vpg.vms:
                found = (there or {}).get(vm.vm_id)
                exists = there is None or found is not None
                disks = kept.get((vpg.vpg_id, vm.vm_id)) or (found.disks if found else ())
                view = ProtectedVmView(vm_id=vm.vm_id, vm_name=vm.vm_name, vpg=vpg, exists=exists, disks=disks)
                views.append(view)
        return views

    def _protected_disks(self) -> dict[tuple[str, str], tuple[SiteDiskView, ...]]:
        """By VPG and VM, as this site keeps them: they are known with the other site dead."""
        disks: dict[tuple[str, str], tuple[SiteDiskView, ...]] = {}
        for row in self._site.vpgs.listed():
            for volume in row.vpg.volumes:
                key = (row.vpg.id, volume.vm_id)
                view = SiteDiskView(disk_id=volume.disk_id, size_bytes=volume.size_bytes)
                disks[key] = (*disks.get(key, ()), view)
        return disks

    async def _known(self, site_id: str) -> dict[str, SiteVmView] | None:
        try:
            return {vm.vm_id: vm for vm in await self.vms(site_id)}
        except FarshoreError:
            return None
