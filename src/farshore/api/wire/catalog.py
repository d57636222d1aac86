"""What there is at a site besides VPGs and VMs: volumes, appliances, and lists that a KVM site has nothing for.

A list that is always empty is there because clients ask for it; its entries never have members.
"""

from __future__ import annotations

from farshore.api.wire.links import ResourceLink
from farshore.api.wire.model import Wire
from farshore.api.wire.moments import Moment
from farshore.api.wire.vpgs import CheckpointApi


class VolumePathApi(Wire):
    """Where a volume is. Farshore's are named by their identifiers."""

    full: str
    relative: str
    file_name: str


class VolumeSizeApi(Wire):
    """How big it is; what is used of a disk is not counted, so both are its size."""

    used_in_bytes: int
    provisioned_in_bytes: int


class VolumeDatastoreApi(Wire):
    """On which datastore."""

    identifier: str
    name: str


class VolumeVmApi(Wire):
    """Of which VM."""

    identifier: str
    name: str


class VolumeVpgApi(Wire):
    """Of which VPG."""

    identifier: str
    name: str


class VolumeApi(Wire):
    """A protected disk, or what this site keeps of one."""

    volume_identifier: str
    volume_type: str
    is_thin_provisioned: bool = True
    path: VolumePathApi
    size: VolumeSizeApi
    datastore: VolumeDatastoreApi
    owning_vm: VolumeVmApi | None
    protected_vm: VolumeVmApi
    vpg: VolumeVpgApi


class VraApi(Wire):
    """The appliance of this site's host: part of Farshore, neither installed nor removed by itself."""

    vra_identifier: int
    vra_identifier_str: str
    vra_name: str
    status: int = 0
    progress: int = 0
    vra_version: str
    vra_display_version: str
    host_version: str = ""
    vra_group: str = ""
    host_identifier: str
    host_display_name: str
    ip_address: str
    is_ghost: bool = False
    is_vaio: bool = False
    link: ResourceLink


class AllowedOperationApi(Wire):
    """Whether something may be done, and why not."""

    is_allowed: bool
    reason: str


class PointInTimeApi(Wire):
    """A point to which a VM can be recovered."""

    checkpoint: CheckpointApi
    retention_set: str | None = None
    can_mount: AllowedOperationApi


class PointInTimeStatsApi(Wire):
    """The ends of a VM's history; null without checkpoints."""

    earliest: PointInTimeApi | None
    latest: PointInTimeApi | None


class VmStatisticsApi(Wire):
    """What was counted of a VM. Farshore counts a VPG's bytes, so a VM of several has no figures of its own: 0."""

    vm_identifier: str
    vpg_identifier: str
    io_operations_counter: int
    write_counter_in_mbs: int
    sync_counter_in_mbs: int
    network_traffic_counter_in_mbs: int
    sample_time: Moment


class LoginBannerSettingsApi(Wire):
    """A text shown before signing in: there is none."""

    is_login_banner_enabled: bool = False
    login_banner: str = ""


class ServiceProfileApi(Wire):
    """There are none."""


class ZorgApi(Wire):
    """There are none: a site has no organizations."""


class DeviceDataApi(Wire):
    """There are none: no raw devices are handed to VMs."""


class HostClusterNativeApi(Wire):
    """There are none: an embedded site is one host."""


class DatastoreClusterNativeApi(Wire):
    """There are none."""


class VCDvAppNativeApi(Wire):
    """There are none."""


class OrgVdcNativeApi(Wire):
    """There are none."""


class StoragePolicyNativeApi(Wire):
    """There are none."""


class RepositoryNativeApi(Wire):
    """There are none: no long-term retention."""


class VCDVmMachine(Wire):
    """There are none."""
