"""Status and substatus of a VPG: the numbers that clients know, and how both follow from what is so.

The status says whether what was promised (RPO, history) is kept; the substatus says what is going on. Both are found
by going down one list, `judge`: the first line that fits is the answer, so each state has exactly one sentence.
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

_SYNC = {
    "initial": VpgSubStatus.InitialSync,
    "delta": VpgSubStatus.DeltaSync,
    "bitmap": VpgSubStatus.BitmapSync,
}


_FAILOVER: dict[RecoveryStage, VpgSubStatus] = {
    "before_commit": VpgSubStatus.FailingOverBeforeCommit,
    "committing": VpgSubStatus.FailingOverCommitting,
    "rolling_back": VpgSubStatus.FailingOverRollingBack,
}
_MOVE: dict[RecoveryStage, VpgSubStatus] = {
    "before_commit": VpgSubStatus.MovingBeforeCommit,
    "committing": VpgSubStatus.MovingCommitting,
    "rolling_back": VpgSubStatus.MovingRollingBack,
}


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
    interrupted: bool = False
    """Protection does not run though it should: a tap was lost, a VM is off, a disk was refused."""
    no_space: bool = False
    """The journal's store is full."""
    damaged: bool = False
    newest_checkpoint_age_seconds: float | None = None
    rpo_seconds: float = 300.0


def judge(facts: VpgFacts) -> tuple[VpgStatus, VpgSubStatus]:
    """Status and substatus that those facts make. Pure; the first line that fits is the answer."""
    return _status(facts), _substatus(facts)


def _status(facts: VpgFacts) -> VpgStatus:
    if facts.deleting:
        return VpgStatus.Deleting
    if facts.recovery is not None:
        return VpgStatus.FailingOver if facts.recovery[0] == "failover" else VpgStatus.Moving
    if facts.way_home is not None:
        return VpgStatus.NotMeetingSLA  # whatever checkpoints are there, they are of before the failover
    age = facts.newest_checkpoint_age_seconds
    if facts.creating or not facts.has_vms or (age is None and facts.syncing == "initial"):
        return VpgStatus.Initializing
    if age is None:
        # Nothing to recover from, and no sync on its way to a first checkpoint that could be waited for.
        return VpgStatus.NotMeetingSLA if facts.interrupted or facts.no_space else VpgStatus.Initializing
    if facts.damaged:
        return VpgStatus.NotMeetingSLA
    return VpgStatus.MeetingSLA if age <= facts.rpo_seconds else VpgStatus.RpoNotMeetingSLA


def _substatus(facts: VpgFacts) -> VpgSubStatus:
    lines = (
        (facts.deleting, VpgSubStatus.Deleting),
        (facts.recovery is not None, _of_recovery(facts)),
        (facts.way_home == "needed", VpgSubStatus.NeedsConfiguration),
        (facts.way_home == "asked" and not facts.connected, VpgSubStatus.DisconnectedFromPeer),
        (facts.way_home == "asked", VpgSubStatus.Sync),
        (facts.creating, VpgSubStatus.Creating),
        (not facts.has_vms, VpgSubStatus.EmptyProtectionGroup),
        (facts.damaged, VpgSubStatus.RecoveryStorageError),
        (facts.no_space, VpgSubStatus.JournalStorageError),
        (
            not facts.connected and facts.newest_checkpoint_age_seconds is None,
            VpgSubStatus.DisconnectedFromPeerNoRecoveryPoints,
        ),
        (not facts.connected, VpgSubStatus.DisconnectedFromPeer),
        (facts.syncing is not None, _SYNC.get(facts.syncing or "", VpgSubStatus.Sync)),
        (facts.interrupted, VpgSubStatus.VmNotProtectedError),
    )
    return next((substatus for fits, substatus in lines if fits), VpgSubStatus.None_)


def _of_recovery(facts: VpgFacts) -> VpgSubStatus:
    if facts.recovery is None:
        return VpgSubStatus.None_
    kind, stage = facts.recovery
    if stage == "committing" and facts.promoting:
        return VpgSubStatus.Promoting
    return (_FAILOVER if kind == "failover" else _MOVE).get(stage, VpgSubStatus.None_)
