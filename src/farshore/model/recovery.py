"""A failover or move under way, and what is kept of it for the way home.

A `Recovery` stands in the VPG's row from the order until it is committed or rolled back. Before Commit is a state of
the VPG, not of a running operation: whoever commits, a person or the policy, begins an operation of its own. After the
commit the row holds a `WayHome` until the VPG is protected back.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from farshore.model.policies import CommitPolicy, ShutdownPolicy

GUARD = "-guard"
"""How the name of the pin ends that keeps an operation's checkpoint while VMs are still being shut down."""
RecoveryKind = Literal["failover", "move"]
RecoveryStage = Literal["recovering", "before_commit", "committing", "rolling_back"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RecoveredVm(_Record):
    """A VM that was made from a checkpoint: its own identifier and the one of the protected VM that it stands for."""

    vm_id: str
    vm_name: str
    source_vm_id: str
    serial_log: str | None = None


class Recovery(_Record):
    """What was ordered and how far it is. `operation` names pin, views, scratch and VMs at the appliance."""

    kind: RecoveryKind
    stage: RecoveryStage
    task_id: str
    operation: str
    vm_ids: tuple[str, ...]
    """The protected VMs that it recovers; fewer than the VPG's for a failover of some."""
    commit_policy: CommitPolicy
    policy_seconds: int
    """How long Before Commit lasts before the policy is carried out."""
    shutdown_policy: ShutdownPolicy
    reverse_protection: bool
    keep_source_vms: bool = False
    checkpoint_id: str = ""
    checkpoint_time_ns: int | None = None
    halted: bool = False
    """The protected VMs were halted for it: a rollback lets them run again."""
    exact: bool = False
    """The checkpoint was cut after the VMs had halted: the old disks are exactly what was recovered."""
    vms: tuple[RecoveredVm, ...] = ()
    also_halted: str = ""
    """Operation of a move that this failover superseded: a rollback lets run again what that one had halted, too."""
    began_ns: int = 0
    before_commit_ns: int | None = None


class Seed(_Record):
    """An old disk at the site that becomes the recovery site: the base of the volume's new replica."""

    number: int
    vm_id: str
    """The old VM, at that site."""
    path: str


class WayHome(_Record):
    """After a commit, until the first completed sync back: what protecting back begins from."""

    asked: bool
    """Reverse protection was asked for, so it begins by itself; else the VPG needs configuration."""
    exact: bool
    """The old disks are exactly what was recovered, so the recovered VMs' bitmaps are the whole difference."""
    source_vm_ids: dict[str, str] = {}
    """By recovered VM the old one at the other site."""
    source_vpg_id: str = ""
    """The VPG that protected the old VMs there, when it is another: this one was made of some of its VMs."""
    seeds: tuple[Seed, ...] = ()
    instances: dict[str, str] = {}
    """By VM the process whose bitmaps have counted since before the promotion."""
    recovered_checkpoint_ns: int | None = None
    began: bool = False
    """The other site has accepted it: it keeps a journal on the old disks."""
