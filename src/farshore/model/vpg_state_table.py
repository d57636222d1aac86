"""Which status and substatus what is so of a VPG makes: the one table, that docs/vpg-states.md shows.

Both are found by going down a list; the first line that fits is the answer, so each state has exactly one sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from farshore.model.recovery import RecoveryKind, RecoveryStage
from farshore.model.vpg_states import SyncKind, VpgFacts, VpgStatus, VpgSubStatus

Code = TypeVar("Code", VpgStatus, VpgSubStatus)
Fits = Callable[[VpgFacts], bool]


@dataclass(frozen=True)
class Line(Generic[Code]):
    """A line of the table: the VPG ... (in words), whether that is so, and what it makes."""

    words: str
    fits: Fits
    code: Code


def _recovering(kind: RecoveryKind, stage: RecoveryStage | None = None) -> Fits:
    return lambda facts: facts.recovery is not None and facts.recovery[0] == kind and stage in {None, facts.recovery[1]}


def _syncing(kind: SyncKind) -> Fits:
    return lambda facts: facts.syncing == kind


def _no_checkpoint(facts: VpgFacts) -> bool:
    return facts.newest_checkpoint_age_seconds is None


def _kept(facts: VpgFacts) -> bool:
    age = facts.newest_checkpoint_age_seconds
    return age is not None and age <= facts.rpo_seconds


def _always(_facts: VpgFacts) -> bool:
    return True


STATUS_LINES: tuple[Line[VpgStatus], ...] = (
    Line("is being deleted", lambda facts: facts.deleting, VpgStatus.Deleting),
    Line("is failing over", _recovering("failover"), VpgStatus.FailingOver),
    Line("is moving", _recovering("move"), VpgStatus.Moving),
    # Whatever checkpoints are there, they are of before the failover.
    Line("was recovered and is not protected back", lambda facts: facts.way_home is not None, VpgStatus.NotMeetingSLA),
    Line("is being created", lambda facts: facts.creating, VpgStatus.Initializing),
    Line("has no VMs", lambda facts: not facts.has_vms, VpgStatus.Initializing),
    Line(
        "is in its initial sync and has no checkpoint",
        lambda facts: _no_checkpoint(facts) and facts.syncing == "initial",
        VpgStatus.Initializing,
    ),
    # Nothing to recover from, and no sync on its way to a first checkpoint that could be waited for.
    Line(
        "has no checkpoint, and protection does not run or the journal's store is full",
        lambda facts: _no_checkpoint(facts) and (facts.interrupted or facts.no_space),
        VpgStatus.NotMeetingSLA,
    ),
    Line("has no checkpoint yet", _no_checkpoint, VpgStatus.Initializing),
    Line("has a journal that is damaged", lambda facts: facts.damaged, VpgStatus.NotMeetingSLA),
    Line("has a newest checkpoint that is not older than its RPO", _kept, VpgStatus.MeetingSLA),
    Line("has a newest checkpoint that is older than its RPO", _always, VpgStatus.RpoNotMeetingSLA),
)

SUBSTATUS_LINES: tuple[Line[VpgSubStatus], ...] = (
    Line("is being deleted", lambda facts: facts.deleting, VpgSubStatus.Deleting),
    Line(
        "is committing, and what the recovered VMs need is being written into their disks",
        lambda facts: facts.promoting and facts.recovery is not None and facts.recovery[1] == "committing",
        VpgSubStatus.Promoting,
    ),
    Line(
        "is in Before Commit of a failover",
        _recovering("failover", "before_commit"),
        VpgSubStatus.FailingOverBeforeCommit,
    ),
    Line("commits a failover", _recovering("failover", "committing"), VpgSubStatus.FailingOverCommitting),
    Line("rolls a failover back", _recovering("failover", "rolling_back"), VpgSubStatus.FailingOverRollingBack),
    Line("is in Before Commit of a move", _recovering("move", "before_commit"), VpgSubStatus.MovingBeforeCommit),
    Line("commits a move", _recovering("move", "committing"), VpgSubStatus.MovingCommitting),
    Line("rolls a move back", _recovering("move", "rolling_back"), VpgSubStatus.MovingRollingBack),
    Line(
        "is failing over or moving, and not yet in Before Commit",
        lambda facts: facts.recovery is not None,
        VpgSubStatus.None_,
    ),
    Line(
        "was recovered, and a person has to protect it back",
        lambda facts: facts.way_home == "needed",
        VpgSubStatus.NeedsConfiguration,
    ),
    Line(
        "was recovered and will be protected back by itself when the other site answers",
        lambda facts: facts.way_home == "asked" and not facts.connected,
        VpgSubStatus.DisconnectedFromPeer,
    ),
    Line("was recovered and is about to be protected back", lambda facts: facts.way_home == "asked", VpgSubStatus.Sync),
    Line("is being created", lambda facts: facts.creating, VpgSubStatus.Creating),
    Line("has no VMs", lambda facts: not facts.has_vms, VpgSubStatus.EmptyProtectionGroup),
    Line("has a journal that is damaged", lambda facts: facts.damaged, VpgSubStatus.RecoveryStorageError),
    Line("has no room left for its journal", lambda facts: facts.no_space, VpgSubStatus.JournalStorageError),
    Line(
        "has no checkpoint, and the sites do not hear each other",
        lambda facts: not facts.connected and _no_checkpoint(facts),
        VpgSubStatus.DisconnectedFromPeerNoRecoveryPoints,
    ),
    Line(
        "has sites that do not hear each other",
        lambda facts: not facts.connected,
        VpgSubStatus.DisconnectedFromPeer,
    ),
    Line("was paused by a person", lambda facts: facts.paused, VpgSubStatus.ReplicationPausedUserInitiated),
    Line("is in its initial sync", _syncing("initial"), VpgSubStatus.InitialSync),
    Line("is in a delta sync", _syncing("delta"), VpgSubStatus.DeltaSync),
    Line("is in a bitmap sync", _syncing("bitmap"), VpgSubStatus.BitmapSync),
    Line("is about to be synced: its VMs are being tapped", lambda facts: facts.preparing, VpgSubStatus.Sync),
    Line(
        "is not protected though it should be: a tap was lost, a VM is off, a disk was refused, a watcher is silent",
        lambda facts: facts.interrupted,
        VpgSubStatus.VmNotProtectedError,
    ),
    Line("has nothing going on", _always, VpgSubStatus.None_),
)


def judge(facts: VpgFacts) -> tuple[VpgStatus, VpgSubStatus]:
    """Status and substatus that those facts make. Pure; the first line that fits is the answer."""
    return _first(STATUS_LINES, facts), _first(SUBSTATUS_LINES, facts)


def _first(lines: Iterable[Line[Code]], facts: VpgFacts) -> Code:
    for line in lines:
        if line.fits(facts):
            return line.code
    raise AssertionError("the last line always fits")
