"""Status and substatus of a VPG: the numbers that clients know, and how both follow from what is so.

The status says whether what was promised (RPO, history) is kept; the substatus says what is going on. What of what is
so makes which of them is one table, in vpg_state_table.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from farshore.model.recovery import RecoveryKind, RecoveryStage


class VpgStatus(IntEnum):
    """Whether a VPG keeps its promises."""

    Initializing = 0
    MeetingSLA = 1
    NotMeetingSLA = 2
    HistoryNotMeetingSLA = 3
    RpoNotMeetingSLA = 4
    FailingOver = 5
    Moving = 6
    Deleting = 7
    Recovered = 8


class VpgSubStatus(IntEnum):
    """What a VPG is at. Clients use the names by index: no gaps."""

    None_ = 0
    InitialSync = 1
    Creating = 2
    VolumeInitialSync = 3
    Sync = 4
    RecoveryPossible = 5
    DeltaSync = 6
    NeedsConfiguration = 7
    Error = 8
    EmptyProtectionGroup = 9
    DisconnectedFromPeerNoRecoveryPoints = 10
    FullSync = 11
    VolumeDeltaSync = 12
    VolumeFullSync = 13
    FailingOverCommitting = 14
    FailingOverBeforeCommit = 15
    FailingOverRollingBack = 16
    Promoting = 17
    MovingCommitting = 18
    MovingBeforeCommit = 19
    MovingRollingBack = 20
    Deleting = 21
    PendingRemove = 22
    BitmapSync = 23
    DisconnectedFromPeer = 24
    ReplicationPausedUserInitiated = 25
    ReplicationPausedSystemInitiated = 26
    RecoveryStorageProfileError = 27
    Backup = 28
    RollingBack = 29
    RecoveryStorageError = 30
    JournalStorageError = 31
    VmNotProtectedError = 32


SyncKind = Literal["initial", "delta", "bitmap"]


@dataclass(frozen=True)
class VpgFacts:
    """What is known of a VPG when its state is asked for. Ages in seconds; None: there is no checkpoint."""

    has_vms: bool = True
    recovery: tuple[RecoveryKind, RecoveryStage] | None = None
    """The failover or move that is under way."""
    promoting: bool = False
    """Of a commit: what the recovered VMs need is being written into their disks."""
    way_home: Literal["needed", "asked", "began"] | None = None
    """It runs at what was its recovery site. Protecting back: needs configuration, begins by itself, or has begun."""
    creating: bool = False
    deleting: bool = False
    connected: bool = True
    """Whether the two sites' managers hear each other."""
    syncing: SyncKind | None = None
    preparing: bool = False
    """Its VMs are about to be synced: their taps are being put on."""
    paused: bool = False
    """A person has paused it."""
    interrupted: bool = False
    """Protection does not run though it should: a tap lost, a VM off, a disk refused, no watcher that answers."""
    no_space: bool = False
    """The journal's store is full."""
    damaged: bool = False
    newest_checkpoint_age_seconds: float | None = None
    rpo_seconds: float = 300.0
