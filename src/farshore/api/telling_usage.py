"""From a protected VM to the line of the resources report that clients read."""

from __future__ import annotations

from farshore.api.wire.moments import moment
from farshore.api.wire.usage import (
    ComputeResourceReportApi,
    PerformanceResourceReportApi,
    ProtectedSiteResourceReportApi,
    ProtectedStorageResourceReportApi,
    RecoverySiteResourceReportApi,
    RecoveryStorageResourceReportApi,
    VmInfoResourceReportApi,
    VmResourcesReportApi,
    VpgResourceReportApi,
)
from farshore.model.views import ProtectedVmView

GIB = 1 << 30


def tell_usage(view: ProtectedVmView, now_ns: int) -> VmResourcesReportApi:
    """What the VM takes now. What only the VPG's figures tell is told where the VM is its only one."""
    vpg = view.vpg
    size = round(sum(disk.size_bytes for disk in view.disks) / GIB, 3)
    alone = len(vpg.vms) == 1
    rate = float(vpg.bytes_per_second) if alone else 0.0
    return VmResourcesReportApi(
        sample_time=moment(now_ns),
        performance=PerformanceResourceReportApi(bandwidth_in_bps=rate, throughput_in_bps=rate),
        vpg=VpgResourceReportApi(vpg_name=vpg.name),
        protected_site=ProtectedSiteResourceReportApi(
            compute=ComputeResourceReportApi(host_name=vpg.protected_site_name),
            storage=ProtectedStorageResourceReportApi(
                number_of_volumes=len(view.disks),
                volumes_provisioned_storage_in_gb=size,
                volumes_used_storage_in_gb=size,
            ),
            vm_info=VmInfoResourceReportApi(vm_identifier=view.vm_id, vm_name=view.vm_name),
            site_name=vpg.protected_site_name,
        ),
        recovery_site=RecoverySiteResourceReportApi(
            compute=ComputeResourceReportApi(host_name=vpg.recovery_site_name),
            storage=RecoveryStorageResourceReportApi(
                journal_used_storage_in_gb=round(vpg.used_journal_bytes / GIB, 3) if alone else 0.0,
                volumes_provisioned_storage_in_gb=size,
                volumes_used_storage_in_gb=size,
            ),
            site_name=vpg.recovery_site_name,
        ),
    )
