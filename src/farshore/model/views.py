"""What a site tells of itself to those who ask: the records between the manager and the faces (API, pages).

Times are unix nanoseconds, sizes bytes, durations seconds, until a face writes them in its own way.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from farshore.model.policies import CommitPolicy
from farshore.model.recovery import RecoveryKind, RecoveryStage
from farshore.model.scripts import ScriptRun
from farshore.model.site_kinds import PairingStatus, SiteKind
from farshore.model.task import TaskState
from farshore.model.vpg import VpgSettings, VpgVm
from farshore.model.vpg_states import SyncKind, VpgStatus, VpgSubStatus


class _View(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LocalSiteView(_View):
    """The site that is asked."""

    site_id: str
    name: str
    host: str
    version: str
    kind: SiteKind = SiteKind.Kvm
    location: str = ""
    utc_offset_minutes: int = 0
    commit_seconds: int = 3600
    shutdown_seconds: float = 300.0
    move_commit_policy: CommitPolicy = CommitPolicy.None_
    """What holds for a failover or move that does not say it."""


class PeerSiteView(_View):
    """A site that this one is paired with. `port` is where its manager listens for peers."""

    site_id: str
    name: str
    host: str
    port: int
    kind: SiteKind = SiteKind.Kvm
    pairing: PairingStatus = PairingStatus.Paired
    connected: bool = True
    version: str = ""
    location: str = ""


class TokenView(_View):
    """A pairing token."""

    token: str
    expires_ns: int


class SiteDiskView(_View):
    """A disk of a VM of a site."""

    disk_id: str
    size_bytes: int


class SiteVmView(_View):
    """A VM in a site's inventory, protected or not. `problem` says why it cannot be protected; "" if it can."""

    vm_id: str
    vm_name: str
    site_id: str
    power: str = "unknown"
    disks: tuple[SiteDiskView, ...] = ()
    problem: str = ""
    nic_ids: tuple[str, ...] = ()
    """Identifiers of its network interfaces."""


class ResourceView(_View):
    """A host, datastore, network, folder or resource pool of a site, by identifier and name."""

    resource_id: str
    name: str


class SiteResourcesView(_View):
    """What a site has to offer; no list is ever empty."""

    hosts: tuple[ResourceView, ...]
    datastores: tuple[ResourceView, ...]
    networks: tuple[ResourceView, ...]
    folders: tuple[ResourceView, ...]
    resource_pools: tuple[ResourceView, ...]


class CheckpointView(_View):
    """A point that can be recovered to. `checkpoint_id` is digits; `hole_before`: history is not continuous before."""

    checkpoint_id: str
    time_ns: int
    tag: str | None = None
    hole_before: bool = False


class RecoveredVmView(_View):
    """A VM that was made from a checkpoint."""

    vm_id: str
    vm_name: str
    power: str = "unknown"
    serial_log: str | None = None


class TestView(_View):
    """A failover test that has not ended. `task_id` is of the call that started it."""

    task_id: str
    checkpoint_id: str
    started_ns: int
    state: str = "running"
    vms: tuple[RecoveredVmView, ...] = ()


class RecoveryView(_View):
    """A failover or move that is neither committed nor rolled back. `task_id` is of the call that began it."""

    kind: RecoveryKind
    stage: RecoveryStage
    task_id: str
    checkpoint_id: str = ""
    commit_policy: CommitPolicy
    seconds_left: int | None = None
    """Until the policy is carried out; None: it never is, or Before Commit is not reached."""
    reverse_protection: bool = False
    keep_source_vms: bool = False
    vms: tuple[RecoveredVmView, ...] = ()


class WayHomeView(_View):
    """A VPG that runs at what was its recovery site and is not protected back yet.

    `asked`: it begins by itself; else the VPG needs configuration. `exact`: the old disks are what was recovered.
    `began`: the other site keeps a journal on the old disks, and the sync runs.
    """

    asked: bool
    exact: bool = False
    began: bool = False


class SyncView(_View):
    """The sync that runs (`running`), or the last one's figures."""

    kind: SyncKind
    running: bool
    done_bytes: int = 0
    total_bytes: int = 0
    read_bytes: int = 0
    hash_bytes: int = 0
    sent_bytes: int = 0


class VpgView(_View):
    """A VPG as it stands now."""

    vpg_id: str
    name: str
    protected_site_id: str
    protected_site_name: str
    recovery_site_id: str
    recovery_site_name: str
    settings: VpgSettings = VpgSettings()
    vms: tuple[VpgVm, ...] = ()
    status: VpgStatus
    substatus: VpgSubStatus = VpgSubStatus.None_
    reason: str = ""
    """In words, what is wrong or going on; "" if there is nothing to say."""
    progress_percentage: int = Field(default=0, ge=0, le=100)
    """Of the sync that runs; 0 when none does."""
    actual_rpo_seconds: int | None = None
    """Age of the newest checkpoint; None: there is none."""
    earliest_checkpoint: CheckpointView | None = None
    latest_checkpoint: CheckpointView | None = None
    tests: tuple[TestView, ...] = ()
    recovery: RecoveryView | None = None
    way_home: WayHomeView | None = None
    sync: SyncView | None = None
    last_test_ns: int | None = None
    provisioned_bytes: int = 0
    used_journal_bytes: int = 0
    writes_per_second: int = 0
    bytes_per_second: int = 0


class ProtectedVmView(_View):
    """A VM of a VPG."""

    vm_id: str
    vm_name: str
    vpg: VpgView
    exists: bool = True
    """Whether the protected site's inventory still has it."""
    disks: tuple[SiteDiskView, ...] = ()


class VpgOrder(_View):
    """What a committed settings object asks for: a new VPG (`vpg_id` None), or that one changed. VMs by identifier."""

    vpg_id: str | None = None
    name: str = Field(min_length=1, max_length=255)
    protected_site_id: str
    recovery_site_id: str
    settings: VpgSettings = VpgSettings()
    vm_ids: tuple[str, ...] = ()


class TaskView(_View):
    """An order and how far it is. `id` is GUID.GUID; a live task is InProgress from the first moment."""

    task_id: str
    type: str
    state: TaskState
    progress: int = Field(ge=0, le=100)
    started_ns: int
    completed_ns: int | None = None
    reason: str = ""
    """Why it failed, or what it did."""
    who: str = ""
    vpg_id: str | None = None
    site_id: str | None = None


class ReportStep(_View):
    """A step of an operation as it was recorded; `error` says how it failed, "" when it did not."""

    name: str
    started_ns: int
    completed_ns: int | None = None
    error: str = ""


class ReportView(_View):
    """What an operation did, step by step, and what it came to."""

    task_id: str
    type: str
    vpg_id: str = ""
    vpg_name: str = ""
    protected_site_name: str = ""
    """As it was when the operation was ordered; so the next."""
    recovery_site_name: str = ""
    who: str = ""
    state: TaskState
    started_ns: int
    completed_ns: int | None = None
    reason: str = ""
    """Why it failed; "" if it did not."""
    note: str = ""
    """What it did, or is doing, in words."""
    checkpoint: CheckpointView | None = None
    """What was recovered to; None where nothing was."""
    rpo_seconds: float | None = None
    """Age of that checkpoint when the operation was ordered."""
    rto_seconds: float | None = None
    """From the order until the recovered VMs ran."""
    vms: tuple[str, ...] = ()
    """Names of the VMs that it was about."""
    steps: tuple[ReportStep, ...] = ()
    scripts: tuple[ScriptRun, ...] = ()
    """What came of the pre- and post-recovery scripts."""


class TaskFilter(_View):
    """Which tasks are asked for; None: no matter. Times are inclusive."""

    type: str | None = None
    state: TaskState | None = None
    started_before_ns: int | None = None
    started_after_ns: int | None = None
    completed_before_ns: int | None = None
    completed_after_ns: int | None = None
    limit: int = 1000
