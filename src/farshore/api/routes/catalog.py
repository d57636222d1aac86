"""What there is at this site besides VPGs and VMs: volumes, appliances, datastores; the history of a VM; counters."""

from __future__ import annotations

import time

from fastapi import APIRouter, Request, Response

from farshore.api.routes.spans import time_of
from farshore.api.services import Services
from farshore.api.state import SIGNED_IN, Site, query_of
from farshore.api.telling_catalog import tell_point, tell_statistics, tell_vra, volumes_of
from farshore.api.wire.catalog import PointInTimeApi, PointInTimeStatsApi, VmStatisticsApi, VolumeApi, VraApi
from farshore.api.wire.reply import reply, reply_list, reply_texts
from farshore.api.wire.sites import DatastoreNativeApi
from farshore.errors import NotFound
from farshore.model.views import ProtectedVmView, ResourceView

router = APIRouter(prefix="/v1", dependencies=SIGNED_IN)

VRA_STATUSES = (
    "Installed",
    "UnsupportedEsxVersion",
    "NotInstalled",
    "Installing",
    "Removing",
    "InstallationError",
    "HostPasswordChanged",
    "UpdatingIpSettings",
    "DuringChangeHost",
    "HostInMaintenanceMode",
)
IP_TYPES = ("Dhcp", "Static")


@router.get("/volumes")
async def list_volumes(request: Request, site: Site) -> Response:
    """The protected disks of this site, and what it keeps of those of others."""
    here, query = (await site.local_site()).site_id, query_of(request)
    told = [volume for view in await site.protected_vms() for volume in volumes_of(view, here)]

    def fits(volume: VolumeApi) -> bool:
        owner = volume.owning_vm.identifier if volume.owning_vm else ""
        given = (
            ("volumetype", volume.volume_type),
            ("vpgidentifier", volume.vpg.identifier),
            ("datastoreidentifier", volume.datastore.identifier),
            ("protectedvmidentifier", volume.protected_vm.identifier),
            ("owningvmidentifier", owner),
        )
        return all(query.get(key, value).lower() == value.lower() for key, value in given)

    return reply_list(request, VolumeApi, [volume for volume in told if fits(volume)])


async def _vras(request: Request, site: Services) -> list[VraApi]:
    here = await site.local_site()
    return [tell_vra(request, here, host) for host in (await site.site_resources(here.site_id)).hosts]


@router.get("/vras")
async def list_vras(request: Request, site: Site) -> Response:
    """The appliance of this site's host."""
    name = query_of(request).get("vraname")
    return reply_list(request, VraApi, [vra for vra in await _vras(request, site) if name in {None, vra.vra_name}])


@router.get("/vras/statuses")
async def list_vra_statuses(request: Request) -> Response:
    """The words for how a VRA is, by number; Farshore's is always Installed."""
    return reply_texts(request, VRA_STATUSES)


@router.get("/vras/ipconfigurationtypes")
async def list_ip_types(request: Request) -> Response:
    """The words for how a VRA got its address."""
    return reply_texts(request, IP_TYPES)


@router.get("/vras/{vra_id}")
async def get_vra(request: Request, vra_id: str, site: Site) -> Response:
    """One appliance, by its number."""
    for vra in await _vras(request, site):
        if vra.vra_identifier_str == vra_id:
            return reply(request, vra)
    raise NotFound(f"There is no VRA {vra_id}.", "List them with GET /v1/vras.")


def _datastore(one: ResourceView) -> DatastoreNativeApi:
    return DatastoreNativeApi(datastore_identifier=one.resource_id, datastore_name=one.name)


@router.get("/datastores")
async def list_datastores(request: Request, site: Site) -> Response:
    """The places for disks of this site."""
    found = await site.site_resources((await site.local_site()).site_id)
    return reply_list(request, DatastoreNativeApi, [_datastore(one) for one in found.datastores])


@router.get("/datastores/{datastore_id}")
async def get_datastore(request: Request, datastore_id: str, site: Site) -> Response:
    """One of them."""
    found = await site.site_resources((await site.local_site()).site_id)
    for one in found.datastores:
        if one.resource_id.lower() == datastore_id.lower():
            return reply(request, _datastore(one))
    raise NotFound(f"There is no datastore {datastore_id}.", "List them with GET /v1/datastores.")


@router.get("/statistics/vms")
async def list_statistics(request: Request, site: Site) -> Response:
    """What was counted of the protected VMs."""
    now_ns = time.time_ns()
    told = [tell_statistics(view, now_ns) for view in await site.protected_vms()]
    return reply_list(request, VmStatisticsApi, told)


async def _vm(request: Request, vm_id: str, site: Services) -> ProtectedVmView:
    vpg_id = query_of(request).get("vpgidentifier", "").lower()
    for view in await site.protected_vms():
        if view.vm_id.lower() == vm_id.lower() and vpg_id in {"", view.vpg.vpg_id}:
            return view
    raise NotFound(f"No VPG has a VM {vm_id}.", "List the protected ones with GET /v1/vms.")


@router.get("/vms/{vm_id}/pointsInTime")
async def list_points(request: Request, vm_id: str, site: Site) -> Response:
    """The checkpoints of the VM's VPG, oldest first; `startDate` and `endDate` inclusive."""
    query = query_of(request)
    start, end = time_of(query, "startDate"), time_of(query, "endDate", end=True)
    view = await _vm(request, vm_id, site)
    found = await site.checkpoints(view.vpg.vpg_id, start, end)
    return reply_list(request, PointInTimeApi, [tell_point(one) for one in found])


@router.get("/vms/{vm_id}/pointsInTime/stats")
async def point_stats(request: Request, vm_id: str, site: Site) -> Response:
    """The oldest and the newest of them."""
    vpg = (await _vm(request, vm_id, site)).vpg
    ends = [None if end is None else tell_point(end) for end in (vpg.earliest_checkpoint, vpg.latest_checkpoint)]
    return reply(request, PointInTimeStatsApi(earliest=ends[0], latest=ends[1]))
