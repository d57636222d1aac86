"""Sites as clients read them: this one, its peers, what can be protected there and what there is to recover to."""

from __future__ import annotations

from farshore.api.wire.links import ResourceLink
from farshore.api.wire.model import Wire
from farshore.model.policies import CommitPolicy
from farshore.model.site_kinds import PairingStatus


class LocalSiteApi(Wire):
    """This site. `Version` is the level of the API that is spoken, `DisplayVersion` the program's own.

    The three before the link are our own: what holds for a failover or move that does not say it.
    """

    site_identifier: str
    site_name: str
    site_type: str
    version: str
    display_version: str
    zvm_api_version: str
    ip_address: str
    location: str
    contact_email: str = ""
    contact_name: str = ""
    contact_phone: str = ""
    utc_offset_in_minutes: int
    is_replication_to_self_enabled: bool = False
    is_login_banner_enabled: bool = False
    login_banner: str = ""
    bandwidth_throttling: float = -1.0
    commit_seconds: int
    shutdown_seconds: float
    move_commit_policy: CommitPolicy
    link: ResourceLink


class PeerSiteApi(Wire):
    """A paired site. `IsConnected` is our own: whether the two managers hear each other."""

    site_identifier: str
    peer_site_name: str
    host_name: str
    port: int
    pairing_status: PairingStatus
    version: str
    location: str
    site_type: str
    is_connected: bool
    incoming_throughput_in_mb: float = 0.0
    outgoing_band_width: float = 0.0
    provisioned_storage: int = 0
    used_storage: int = 0
    region_name: str = ""
    link: ResourceLink


class PairingTokenResult(Wire):
    """A one-time token and when it ends."""

    token: str
    utc_expiration_date: str


class VirtualizationSiteApi(Wire):
    """A site whose VMs can be looked at. `SiteType` is our own."""

    site_identifier: str
    virtualization_site_name: str
    site_type: str
    link: ResourceLink


class VmNativeVolumeApi(Wire):
    """A disk of a VM."""

    volume_identifier: str
    size_in_bytes: int


class VmNativeApi(Wire):
    """A VM of a site's inventory. `PowerState` and `Problem` (why it cannot be protected, or null) are our own."""

    vm_identifier: str
    vm_name: str
    power_state: str
    problem: str | None
    volumes: list[VmNativeVolumeApi]


class HostNativeApi(Wire):
    """A host."""

    host_identifier: str
    virtualization_host_name: str


class DatastoreNativeApi(Wire):
    """A place for disks."""

    datastore_identifier: str
    datastore_name: str


class NetworkNativeApi(Wire):
    """A network."""

    network_identifier: str
    virtualization_network_name: str


class FolderNativeApi(Wire):
    """A folder of VMs; one named / is always there."""

    folder_identifier: str
    folder_name: str


class ResourcePoolNativeApi(Wire):
    """A share of a host's means."""

    resource_pool_identifier: str
    resource_pool_name: str


class ServerDateTimeApi(Wire):
    """What time it is at the site."""

    server_date_time_utc: str
    server_date_time_local: str
