"""From what the site knows of disks, appliances and VMs' histories to what clients read of them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence

from fastapi import Request

from farshore.api.telling import link_to, tell_checkpoint
from farshore.api.wire.catalog import (
    AllowedOperationApi,
    PointInTimeApi,
    VmStatisticsApi,
    VolumeApi,
    VolumeDatastoreApi,
    VolumePathApi,
    VolumeSizeApi,
    VolumeVmApi,
    VolumeVpgApi,
    VraApi,
)
from farshore.api.wire.moments import moment
from farshore.model.resources import resource_id
from farshore.model.views import CheckpointView, LocalSiteView, ProtectedVmView, ResourceView, SiteDiskView

API_LEVEL = "10.0.60"
"""The version of the original whose API is spoken: clients choose their ways by it; always three parts."""
VRA_ID_LEAST = 1 << 53
MIB = 1 << 20


def tell_vra(request: Request, site: LocalSiteView, host: ResourceView) -> VraApi:
    """The appliance of a host. Its number is made from the host's identifier, over 2^53 as the original's are."""
    number = VRA_ID_LEAST + (uuid.uuid5(uuid.NAMESPACE_URL, host.resource_id).int >> 76)
    return VraApi(
        vra_identifier=number,
        vra_identifier_str=str(number),
        vra_name=f"appliance of {site.name}",
        vra_version=API_LEVEL,
        vra_display_version=f"Farshore {site.version}",
        host_identifier=host.resource_id,
        host_display_name=host.name,
        ip_address=site.host,
        link=link_to(request, "VraApi", "vras", str(number)),
    )


def volumes_of(view: ProtectedVmView, site_id: str) -> Iterator[VolumeApi]:
    """The volumes that a site has of a VM: its protected disks, or the copies that are recovered from."""
    if view.vpg.protected_site_id == site_id:
        kind = "Protected"
    elif view.vpg.recovery_site_id == site_id:
        kind = "Recovery"
    else:
        return
    for disk in view.disks:
        yield _tell_volume(view, disk, kind, site_id)


def _tell_volume(view: ProtectedVmView, disk: SiteDiskView, kind: str, site_id: str) -> VolumeApi:
    vm = VolumeVmApi(identifier=view.vm_id, name=view.vm_name)
    name = disk.disk_id if kind == "Protected" else f"{view.vpg.vpg_id}/{view.vm_id}/{disk.disk_id}"
    return VolumeApi(
        volume_identifier=name,
        volume_type=kind,
        path=VolumePathApi(full=name, relative=name, file_name=name.rpartition("/")[2]),
        size=VolumeSizeApi(used_in_bytes=disk.size_bytes, provisioned_in_bytes=disk.size_bytes),
        datastore=VolumeDatastoreApi(identifier=resource_id(site_id, "datastore"), name="the site's store"),
        owning_vm=vm if kind == "Protected" else None,
        protected_vm=vm,
        vpg=VolumeVpgApi(identifier=view.vpg.vpg_id, name=view.vpg.name),
    )


def tell_point(view: CheckpointView) -> PointInTimeApi:
    """A point to which a VM can be recovered; by itself, without its VPG, it cannot be mounted."""
    return PointInTimeApi(
        checkpoint=tell_checkpoint(view),
        can_mount=AllowedOperationApi(is_allowed=False, reason="Start a failover test of the VM instead."),
    )


def tell_statistics(view: ProtectedVmView, now_ns: int) -> VmStatisticsApi:
    """What was counted of a VM: the bytes that a sync sent, where the VPG has but this one."""
    vpg = view.vpg
    alone: Sequence[int] = (vpg.sync.sent_bytes,) if len(vpg.vms) == 1 and vpg.sync else ()
    return VmStatisticsApi(
        vm_identifier=view.vm_id,
        vpg_identifier=vpg.vpg_id,
        io_operations_counter=0,
        write_counter_in_mbs=0,
        sync_counter_in_mbs=sum(alone) // MIB,
        network_traffic_counter_in_mbs=0,
        sample_time=moment(now_ns),
    )
