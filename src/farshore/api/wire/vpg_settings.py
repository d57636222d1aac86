"""The settings object of a VPG, as clients fill it.

A new one comes whole, since a client gets it, sets members in place and puts everything back. What this version makes
no use of (boot groups, host and datastore choices) is kept in the draft and given back; a commit that sets one
of them to something is warned about. `CheckpointIntervalInSeconds`, `JournalHistoryInSeconds` and `WindowInMB` are our
own: no client of the original knows them, and their defaults do for those.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, PlainSerializer

from farshore.api.wire.model import Wire
from farshore.api.wire.scalars import Boolean, Choice, Decimal, WholeNumber
from farshore.api.wire.vpg_settings_vms import (
    VpgSettingsJournalLimitationApi,
    VpgSettingsScratchApi,
    VpgSettingsVmApi,
)
from farshore.model.enumerations import word
from farshore.model.vpg import Priority


class VpgSettingsBasicApi(Wire):
    """Name, sites, promises."""

    name: str | None = None
    vpg_type: str | None = "Remote"
    rpo_in_seconds: WholeNumber = 300
    test_interval_in_minutes: WholeNumber = 262080
    journal_history_in_hours: WholeNumber = 1
    priority: Annotated[Priority, Choice(Priority), PlainSerializer(word)] = Priority.Medium
    """By name, unlike in a VPG."""
    use_wan_compression: Boolean = True
    service_profile_identifier: str | None = None
    zorg_identifier: str | None = None
    protected_site_identifier: str | None = None
    recovery_site_identifier: str | None = None
    checkpoint_interval_in_seconds: Decimal = 5.0
    journal_history_in_seconds: WholeNumber | None = None
    """Goes before the hours."""
    window_in_mb: WholeNumber | None = None


class VpgSettingsScriptApi(Wire):
    """A script of the recovery site: the bare name of a file in its folder; 0 s stand for the default."""

    command: str | None = None
    parameters: str | None = None
    timeout_in_seconds: WholeNumber = 0


class VpgSettingsScriptsApi(Wire):
    """Scripts before and after a recovery."""

    pre_recovery: VpgSettingsScriptApi = VpgSettingsScriptApi()
    post_recovery: VpgSettingsScriptApi = VpgSettingsScriptApi()


class VpgSettingsBootGroupApi(Wire):
    """VMs that start together."""

    boot_group_identifier: str | None = None
    name: str | None = None
    boot_delay_in_seconds: WholeNumber = 0


class VpgSettingsBootGroupsApi(Wire):
    """All boot groups."""

    boot_groups: list[VpgSettingsBootGroupApi] = Field(default_factory=list)


class VpgSettingsJournalApi(Wire):
    """Where the journal is kept."""

    limitation: VpgSettingsJournalLimitationApi = VpgSettingsJournalLimitationApi()
    datastore_identifier: str | None = None
    datastore_cluster_identifier: str | None = None


class VpgSettingsHypervisorNetworkApi(Wire):
    """A network by default."""

    default_network_identifier: str | None = None


class VpgSettingsNetworkApi(Wire):
    """The network of an operation."""

    hypervisor: VpgSettingsHypervisorNetworkApi = VpgSettingsHypervisorNetworkApi()


class VpgSettingsNetworksApi(Wire):
    """The networks of failover and failover test."""

    failover: VpgSettingsNetworkApi = VpgSettingsNetworkApi()
    failover_test: VpgSettingsNetworkApi = VpgSettingsNetworkApi()


class VpgSettingsRecoveryApi(Wire):
    """Where the VPG is recovered."""

    default_host_identifier: str | None = None
    default_host_cluster_identifier: str | None = None
    default_datastore_identifier: str | None = None
    default_datastore_cluster_identifier: str | None = None
    default_folder_identifier: str | None = None
    resource_pool_identifier: str | None = None


class VpgSettingsApi(Wire):
    """The whole object. `VpgIdentifier`: the VPG that it changes; null for a new one."""

    vpg_identifier: str | None = None
    vpg_settings_identifier: str | None = None
    basic: VpgSettingsBasicApi = VpgSettingsBasicApi()
    boot_groups: VpgSettingsBootGroupsApi = VpgSettingsBootGroupsApi()
    journal: VpgSettingsJournalApi = VpgSettingsJournalApi()
    networks: VpgSettingsNetworksApi = VpgSettingsNetworksApi()
    recovery: VpgSettingsRecoveryApi = VpgSettingsRecoveryApi()
    scratch: VpgSettingsScratchApi = VpgSettingsScratchApi()
    scripting: VpgSettingsScriptsApi = VpgSettingsScriptsApi()
    vms: list[VpgSettingsVmApi] = Field(default_factory=list)

    also: ClassVar[dict[str, tuple[str, ...]]] = {"boot_groups": ("BootGroup",)}
