"""What there is at this site and its peers: VMs that can be protected, and what there is to recover to."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fastapi import APIRouter, Request, Response

from farshore.api.services import Services
from farshore.api.state import SIGNED_IN, Site
from farshore.api.telling import site_link
from farshore.api.wire.model import Wire
from farshore.api.wire.reply import reply, reply_list
from farshore.api.wire.sites import (
    DatastoreNativeApi,
    FolderNativeApi,
    HostNativeApi,
    NetworkNativeApi,
    ResourcePoolNativeApi,
    VirtualizationSiteApi,
    VmNativeApi,
    VmNativeVolumeApi,
)
from farshore.errors import NotFound
from farshore.model.views import LocalSiteView, PeerSiteView, ResourceView, SiteResourcesView

PATH = "/v1/virtualizationsites"
router = APIRouter(prefix=PATH, dependencies=SIGNED_IN)
_Choose = Callable[[SiteResourcesView], Sequence[ResourceView]]


async def _sites(site: Services) -> dict[str, LocalSiteView | PeerSiteView]:
    here = await site.local_site()
    return {here.site_id: here, **{peer.site_id: peer for peer in await site.peer_sites()}}


def _tell(request: Request, view: LocalSiteView | PeerSiteView) -> VirtualizationSiteApi:
    return VirtualizationSiteApi(
        site_identifier=view.site_id,
        virtualization_site_name=view.name,
        site_type=view.kind.word,
        link=site_link(request, view.site_id),
    )


@router.get("")
async def list_sites(request: Request, site: Site) -> Response:
    """This site and its peers."""
    sites = await _sites(site)
    return reply_list(request, VirtualizationSiteApi, [_tell(request, view) for view in sites.values()])


@router.get("/{site_id}")
async def get_site(request: Request, site_id: str, site: Site) -> Response:
    """One of them."""
    sites = await _sites(site)
    if site_id.lower() not in sites:
        raise NotFound(f"There is no site {site_id}.", f"List them with GET {PATH}.")
    return reply(request, _tell(request, sites[site_id.lower()]))


@router.get("/{site_id}/vms")
async def list_vms(request: Request, site_id: str, site: Site) -> Response:
    """The site's VMs, protected or not."""
    told = [
        VmNativeApi(
            vm_identifier=view.vm_id,
            vm_name=view.vm_name,
            power_state=view.power,
            problem=view.problem or None,
            volumes=[
                VmNativeVolumeApi(volume_identifier=disk.disk_id, size_in_bytes=disk.size_bytes) for disk in view.disks
            ],
        )
        for view in await site.site_vms(site_id.lower())
    ]
    return reply_list(request, VmNativeApi, told)


def _route_to(path: str, kind: type[Wire], choose: _Choose, show: Callable[[ResourceView], Wire]) -> None:
    """Let `/{site_id}/<path>` list the site's resources of one kind."""

    async def list_resources(request: Request, site_id: str, site: Site) -> Response:
        found = choose(await site.site_resources(site_id.lower()))
        return reply_list(request, kind, [show(one) for one in found])

    router.add_api_route(f"/{{site_id}}/{path}", list_resources, methods=["GET"], name=f"list_{path}")


@router.get("/{site_id}/hosts/{host_id}")
async def get_host(request: Request, site_id: str, host_id: str, site: Site) -> Response:
    """One host."""
    for one in (await site.site_resources(site_id.lower())).hosts:
        if one.resource_id.lower() == host_id.lower():
            return reply(request, HostNativeApi(host_identifier=one.resource_id, virtualization_host_name=one.name))
    raise NotFound(f"Site {site_id} has no host {host_id}.", f"List them with GET {PATH}/{site_id}/hosts.")


_route_to(
    "hosts",
    HostNativeApi,
    lambda there: there.hosts,
    lambda one: HostNativeApi(host_identifier=one.resource_id, virtualization_host_name=one.name),
)
_route_to(
    "datastores",
    DatastoreNativeApi,
    lambda there: there.datastores,
    lambda one: DatastoreNativeApi(datastore_identifier=one.resource_id, datastore_name=one.name),
)
_route_to(
    "networks",
    NetworkNativeApi,
    lambda there: there.networks,
    lambda one: NetworkNativeApi(network_identifier=one.resource_id, virtualization_network_name=one.name),
)
_route_to(
    "folders",
    FolderNativeApi,
    lambda there: there.folders,
    lambda one: FolderNativeApi(folder_identifier=one.resource_id, folder_name=one.name),
)
_route_to(
    "resourcepools",
    ResourcePoolNativeApi,
    lambda there: there.resource_pools,
    lambda one: ResourcePoolNativeApi(resource_pool_identifier=one.resource_id, resource_pool_name=one.name),
)
