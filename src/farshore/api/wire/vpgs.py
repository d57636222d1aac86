"""VPGs, their VMs and checkpoints as clients read them.

Members of our own stand at the end of each model: what the original has no place for.
"""

from __future__ import annotations

from pydantic import Field

from farshore.api.wire.links import ResourceLink
from farshore.api.wire.model import Wire
from farshore.api.wire.moments import Moment, MomentOrNone
from farshore.model.policies import CommitPolicy
from farshore.model.site_kinds import EntityKind
from farshore.model.vpg import Priority
from farshore.model.vpg_states import VpgStatus, VpgSubStatus


class CheckpointApi(Wire):
    """A point that can be recovered to. Our own: `HoleBefore`, history is not continuous before it."""

    checkpoint_identifier: str
    time_stamp: Moment
    tag: str | None
    hole_before: bool = False


class VpgCheckpointsStatsApi(Wire):
    """The ends of the history; null without checkpoints."""

    earliest: CheckpointApi | None
    latest: CheckpointApi | None


class HistoryStatusApi(Wire):
    """How far back one can go."""

    actual_history_in_minutes: int
    configured_history_in_minutes: int
    earliest_checkpoint: CheckpointApi | None


class JournalHealthStatusApi(Wire):
    """The history that is kept in any case."""

    actual_fail_safe_history: int
    configured_fail_safe_history: int
    fail_safe_description: str


class RecoveredVmApi(Wire):
    """A VM of a running test, failover or move (our own)."""

    vm_identifier: str
    vm_name: str
    power_state: str
    serial_log: str | None


class FailOverTestApi(Wire):
    """A failover test that has not ended. All but `Stage` are our own."""

    stage: str
    task_identifier: str
    checkpoint_identifier: str
    started: Moment
    vms: list[RecoveredVmApi]


class RunningRecoveryApi(Wire):
    """A failover or move that is neither committed nor rolled back (our own)."""

    kind: str
    """failover or move."""
    stage: str
    """recovering, before_commit, committing or rolling_back."""
    task_identifier: str
    checkpoint_identifier: str | None
    commit_policy: CommitPolicy
    seconds_left: int | None
    """Until the policy is carried out by itself; null: it never is, or not yet counted."""
    is_reverse_protection: bool
    keep_source_vms: bool
    vms: list[RecoveredVmApi]


class VpgActiveProcessesApi(Wire):
    """What runs; null: it does not. Our own: `RunningFailOverTests`, all of them, and `RunningRecovery`."""

    running_fail_over_test_api: FailOverTestApi | None
    running_fail_over_tests: list[FailOverTestApi]
    running_recovery: RunningRecoveryApi | None


class WayHomeApi(Wire):
    """A VPG that was committed at the other site and is not protected back yet (our own)."""

    is_asked: bool
    """It begins by itself; else the VPG needs configuration."""
    is_exact: bool
    """The old disks are what was recovered, so only what was written since is sent."""
    has_begun: bool


class SyncApi(Wire):
    """The sync that runs, or what the last one came to (our own)."""

    kind: str
    """initial, delta or bitmap."""
    is_running: bool
    done_in_bytes: int
    total_in_bytes: int
    read_in_bytes: int
    hashes_in_bytes: int
    sent_in_bytes: int


class VpgEntitiesApi(Wire):
    """What the two ends are."""

    protected: EntityKind = EntityKind.VCenter
    recovery: EntityKind = EntityKind.VCenter
    source: EntityKind = EntityKind.VCenter
    target: EntityKind = EntityKind.VCenter


_ENTITIES = VpgEntitiesApi()
"""One for all: a default that pydantic would copy, for each of a thousand VPGs."""


class VpgApi(Wire):
    """One VPG."""

    vpg_identifier: str
    vpg_name: str
    organization_name: str = ""
    status: VpgStatus
    sub_status: VpgSubStatus
    status_description: str
    priority: Priority
    actual_rpo: int
    """Seconds; 0 without a checkpoint, when the substatus says why."""
    configured_rpo_seconds: int
    iops: int
    throughput_in_mb: float
    used_storage_in_mb: int
    provisioned_storage_in_mb: int
    vms_count: int
    source_site: str
    target_site: str
    protected_site: ResourceLink
    recovery_site: ResourceLink
    last_test: MomentOrNone
    progress_percentage: int
    backup_enabled: bool = False
    active_processes_api: VpgActiveProcessesApi
    history_status_api: HistoryStatusApi
    fail_safe_history: JournalHealthStatusApi
    entities: VpgEntitiesApi = Field(default_factory=lambda: _ENTITIES)
    service_profile: ResourceLink | None = None
    service_profile_identifier: str | None = None
    service_profile_name: str = ""
    zorg: ResourceLink | None = None
    vpg_type: str = "Remote"
    link: ResourceLink
    checkpoint_interval_in_seconds: float
    """Our own, as those that follow."""
    has_checkpoint: bool
    latest_checkpoint: CheckpointApi | None
    way_home: WayHomeApi | None
    sync: SyncApi | None
    pre_recovery_script: str | None
    post_recovery_script: str | None


class VmJournalLimitApi(Wire):
    """A limit of a journal: type 0 is none."""

    limit_type: int = 0
    limit_value: int = 0


_NO_LIMIT = VmJournalLimitApi()


class VmVolumeApi(Wire):
    """A protected disk."""

    vm_volume_identifier: str


class VmApi(Wire):
    """One VM of a VPG."""

    vm_identifier: str
    vm_name: str
    vpg_identifier: str
    vpg_name: str
    organization_name: str = ""
    status: VpgStatus
    sub_status: VpgSubStatus
    priority: Priority
    actual_rpo: int
    entities: VpgEntitiesApi = Field(default_factory=lambda: _ENTITIES)
    iops: int
    throughput_in_mb: float
    outgoing_band_width_in_mbps: float = 0.0
    journal_hard_limit: VmJournalLimitApi = Field(default_factory=lambda: _NO_LIMIT)
    journal_warning_threshold: VmJournalLimitApi = Field(default_factory=lambda: _NO_LIMIT)
    journal_used_storage_mb: int
    provisioned_storage_in_mb: int
    used_storage_in_mb: int
    recovery_host_identifier: str
    recovery_host_name: str
    source_site: str
    target_site: str
    protected_site: ResourceLink
    recovery_site: ResourceLink
    last_test: MomentOrNone
    volumes: list[VmVolumeApi]
    is_vm_exists: bool
    link: ResourceLink
