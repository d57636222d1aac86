"""The resources report: what a protected VM takes of both sites."""

from __future__ import annotations

from farshore.api.wire.model import Wire
from farshore.api.wire.moments import Moment


class PerformanceResourceReportApi(Wire):
    """Bytes a second. Farshore counts a VPG's; a VM of several has no figures of its own: 0."""

    bandwidth_in_bps: float
    throughput_in_bps: float


class VpgResourceReportApi(Wire):
    """Of which VPG."""

    crm_identifier: str = ""
    service_profile_name: str = ""
    vpg_name: str
    protected_and_recovery_type: str = "KVM to KVM"
    zorg_name: str = ""


class ComputeResourceReportApi(Wire):
    """On which host."""

    cluster_name: str = ""
    host_name: str
    vra_name: str = ""
    org_vdc_name: str = ""
    resource_pool_name: str = ""


class ProtectedStorageResourceReportApi(Wire):
    """The VM's disks."""

    number_of_volumes: int
    volumes_provisioned_storage_in_gb: float
    volumes_used_storage_in_gb: float


class VmInfoResourceReportApi(Wire):
    """Which VM."""

    vm_identifier: str
    vm_name: str


class ProtectedSiteResourceReportApi(Wire):
    """What it takes where it runs."""

    compute: ComputeResourceReportApi
    storage: ProtectedStorageResourceReportApi
    vm_info: VmInfoResourceReportApi
    site_name: str
    vcd_org_name: str = ""


class RecoveryStorageResourceReportApi(Wire):
    """What is kept of it."""

    datastore_name: str = ""
    journal_provisioned_storage_in_gb: float = 0.0
    journal_used_storage_in_gb: float
    storage_policy_name: str = ""
    volumes_provisioned_storage_in_gb: float
    volumes_used_storage_in_gb: float


class RecoverySiteResourceReportApi(Wire):
    """What it takes at the other site."""

    compute: ComputeResourceReportApi
    storage: RecoveryStorageResourceReportApi
    site_name: str
    vcd_org_name: str = ""


class VmResourcesReportApi(Wire):
    """One VM at one time."""

    sample_time: Moment
    performance: PerformanceResourceReportApi
    vpg: VpgResourceReportApi
    protected_site: ProtectedSiteResourceReportApi
    recovery_site: RecoverySiteResourceReportApi
