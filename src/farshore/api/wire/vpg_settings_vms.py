"""What may be set for a VM in a settings object: places, journal, volumes, network interfaces.

A volume or interface stands in its VM's list once something was set for it; the lists that are read by themselves name
all that the VM has.
"""

from __future__ import annotations

from pydantic import Field

from farshore.api.wire.model import Wire
from farshore.api.wire.scalars import Boolean, WholeNumber


class VpgSettingsJournalLimitationApi(Wire):
    """How big a journal may grow."""

    hard_limit_in_mb: WholeNumber | None = None
    hard_limit_in_percent: WholeNumber | None = None
    warning_threshold_in_mb: WholeNumber | None = None
    warning_threshold_in_percent: WholeNumber | None = None


class VpgSettingsScratchLimitationApi(VpgSettingsJournalLimitationApi):
    """How big the scratch of a recovered VM may grow."""


class VpgSettingsScratchApi(Wire):
    """Where the scratch of recovered VMs is kept."""

    limitation: VpgSettingsScratchLimitationApi = VpgSettingsScratchLimitationApi()
    datastore_identifier: str | None = None
    datastore_cluster_identifier: str | None = None


class VpgSettingsVmJournalLimitationApi(VpgSettingsJournalLimitationApi):
    """How big a VM's part of the journal may grow."""


class VpgSettingsVmJournalApi(Wire):
    """Where a VM's part of the journal is kept."""

    limitation: VpgSettingsVmJournalLimitationApi = VpgSettingsVmJournalLimitationApi()
    datastore_identifier: str | None = None
    datastore_cluster_identifier: str | None = None


class VpgSettingsVmRecoveryApi(Wire):
    """Where a VM is recovered."""

    host_identifier: str | None = None
    host_cluster_identifier: str | None = None
    datastore_identifier: str | None = None
    datastore_cluster_identifier: str | None = None
    folder_identifier: str | None = None
    resource_pool_identifier: str | None = None


class VpgSettingsVmVolumePreseedApi(Wire):
    """A copy of the volume that is at the recovery site already."""

    datastore_identifier: str | None = None
    path: str | None = None


class VpgSettingsVmVolumeDatastoreApi(Wire):
    """Where a volume is recovered."""

    datastore_cluster_identifier: str | None = None
    datastore_identifier: str | None = None
    is_thin: Boolean = True


class VpgSettingsVmVolumeApi(Wire):
    """A volume of a VM."""

    volume_identifier: str = ""
    datastore: VpgSettingsVmVolumeDatastoreApi = VpgSettingsVmVolumeDatastoreApi()
    preseed: VpgSettingsVmVolumePreseedApi | None = None
    volume_sync_settings: str | None = None


class VpgSettingsVmNicHypervisorIpConfig(Wire):
    """Addresses of a network interface."""

    static_ip: str | None = None
    subnet_mask: str | None = None
    gateway: str | None = None
    primary_dns: str | None = None
    secondary_dns: str | None = None
    is_dhcp: Boolean = False


class VpgSettingsVmNicHypervisorNetworkApi(Wire):
    """The network of an interface, and what becomes of its addresses."""

    network_identifier: str | None = None
    should_replace_mac_address: Boolean = False
    dns_suffix: str | None = None
    ip_config: VpgSettingsVmNicHypervisorIpConfig | None = None
    should_replace_ip_configuration: Boolean = False


class VpgSettingsVmNicNetworkApi(Wire):
    """An interface in one operation."""

    hypervisor: VpgSettingsVmNicHypervisorNetworkApi = VpgSettingsVmNicHypervisorNetworkApi()


class VpgSettingsVmNicApi(Wire):
    """A network interface of a VM."""

    nic_identifier: str = ""
    failover: VpgSettingsVmNicNetworkApi = VpgSettingsVmNicNetworkApi()
    failover_test: VpgSettingsVmNicNetworkApi = VpgSettingsVmNicNetworkApi()


class VpgSettingsVmApi(Wire):
    """A VM of the VPG."""

    vm_identifier: str = Field(min_length=1)
    boot_group_identifier: str | None = None
    recovery: VpgSettingsVmRecoveryApi = VpgSettingsVmRecoveryApi()
    journal: VpgSettingsVmJournalApi = VpgSettingsVmJournalApi()
    scratch: VpgSettingsScratchApi = VpgSettingsScratchApi()
    volumes: list[VpgSettingsVmVolumeApi] = Field(default_factory=list)
    nics: list[VpgSettingsVmNicApi] = Field(default_factory=list)
