"""Which action a VPG takes in which state: the whole of row G12 as one table.

A VPG is in any number of *situations* at once (a test runs, and it is paused). An action is allowed when no situation
refuses it and what it needs is there; the first refusal is told. *Changing* actions exclude each other besides: one at
a time per VPG, which the site's database enforces. *Reading* ones (tests, clones, tagged checkpoints) go beside each
other and beside changing ones as far as this table lets them. A Failover supersedes: what stands in its way (a sync,
a pause, a move that is not yet in Before Commit) is told to stop, so no such situation refuses it.

docs/vpgs-post.md shows the table as `table_rows` gives it; a test keeps the two alike.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from farshore.errors import Conflict


class Action(Enum):
    """What can be asked of a VPG, by the name in the API's path."""

    Checkpoints = "Checkpoints"
    CloneStart = "CloneStart"
    CloneAbort = "CloneAbort"
    Failover = "Failover"
    FailoverCommit = "FailoverCommit"
    FailoverRollback = "FailoverRollback"
    FailoverTest = "FailoverTest"
    FailoverTestStop = "FailoverTestStop"
    ForceSync = "forcesync"
    Move = "move"
    MoveCommit = "moveCommit"
    MoveRollback = "moveRollback"
    Pause = "pause"
    Resume = "resume"
    Edit = "vpgSettings commit"
    Delete = "DELETE"

    @property
    def changing(self) -> bool:
        """Whether it is one of those of which a VPG runs one at a time."""
        return self not in _READING


class Situation(Enum):
    """What may be so of a VPG, in words that finish "The VPG ..."."""

    Creating = "is being created"
    Deleting = "is being deleted"
    Committing = "is committing"
    RollingBack = "is rolling back"
    Promoting = "is promoting what was recovered"
    FailoverBeforeCommit = "is in Before Commit of a failover"
    PartialFailoverBeforeCommit = "is in Before Commit of a failover of some of its VMs"
    MoveBeforeCommit = "is in Before Commit of a move"
    Moving = "is moving and not yet in Before Commit"
    FailingOver = "is failing over and not yet in Before Commit"
    NeedsConfiguration = "needs configuration"
    NoVms = "has no VMs"
    NoCheckpoint = "has no checkpoint yet"
    TestRunning = "has a failover test running"
    CloneRunning = "has a clone running"
    Paused = "is paused"
    Syncing = "is in a sync"
    ProtectedInCloud = "is protected at a site on Azure or AWS"


Steering = Literal["forcesync", "pause", "resume"]
"""What is ordered of a replication that goes on, by the names in the API's paths."""

_READING = frozenset(
    {Action.Checkpoints, Action.CloneStart, Action.CloneAbort, Action.FailoverTest, Action.FailoverTestStop}
)
_ALL = frozenset(Action)
_RECOVERY = frozenset({Action.Failover, Action.FailoverTest, Action.CloneStart, Action.Move})
_FAILOVER_END = frozenset({Action.FailoverCommit, Action.FailoverRollback})
_MOVE_END = frozenset({Action.MoveCommit, Action.MoveRollback})
_CLONE_END = frozenset({Action.CloneAbort})
"""Taken wherever a clone runs: a commit and a DELETE wait for it."""


@dataclass(frozen=True)
class Rule:
    """What one situation refuses, and what a person can do about it."""

    refuses: frozenset[Action]
    remedy: str


S, A = Situation, Action
_WAIT = "Wait until its task has ended."
RULES: dict[Situation, Rule] = {
    S.Creating: Rule(_ALL - {A.Delete}, _WAIT),
    S.Deleting: Rule(_ALL - _CLONE_END, _WAIT),
    S.Committing: Rule(_ALL - _CLONE_END, _WAIT),
    S.RollingBack: Rule(_ALL - _CLONE_END, _WAIT),
    S.Promoting: Rule(_ALL - _CLONE_END, _WAIT),
    S.FailoverBeforeCommit: Rule(_ALL - _FAILOVER_END - _CLONE_END, "Commit the failover or roll it back first."),
    S.PartialFailoverBeforeCommit: Rule(
        _ALL - _FAILOVER_END - _CLONE_END - {A.Checkpoints}, "Commit the failover or roll it back first."
    ),
    S.MoveBeforeCommit: Rule(_ALL - _MOVE_END - _CLONE_END, "Commit the move or roll it back first."),
    S.Moving: Rule(_ALL - {A.Failover, A.CloneStart, A.CloneAbort}, _WAIT),
    S.FailingOver: Rule(_ALL - {A.CloneStart, A.CloneAbort}, _WAIT),
    S.NeedsConfiguration: Rule(
        _ALL - {A.Edit, A.CloneStart, A.CloneAbort, A.Delete},
        "It must be protected back first (vpg protect-back, where that does not begin by itself), or deleted.",
    ),
    S.NoVms: Rule(_ALL - _CLONE_END - {A.Edit, A.Delete}, "Add a VM to it first."),
    S.NoCheckpoint: Rule(_RECOVERY, "Wait for its first checkpoint."),
    S.TestRunning: Rule(frozenset({A.Move, A.Delete}), "Stop the test first."),
    S.CloneRunning: Rule(frozenset(), "Wait for the clone, or abort it."),
    S.Paused: Rule(frozenset({A.Checkpoints, A.ForceSync, A.Move, A.Pause}), "Resume it first."),
    S.Syncing: Rule(frozenset({A.Checkpoints, A.Move}), "Wait until the sync has ended."),
    S.ProtectedInCloud: Rule(frozenset({A.Checkpoints}), "Use the checkpoints that are cut by themselves."),
}

NEEDS: dict[Action, tuple[frozenset[Situation], str]] = {
    A.FailoverCommit: (
        frozenset({S.FailoverBeforeCommit, S.PartialFailoverBeforeCommit}),
        "is not in Before Commit of a failover",
    ),
    A.FailoverRollback: (
        frozenset({S.FailoverBeforeCommit, S.PartialFailoverBeforeCommit}),
        "is not in Before Commit of a failover",
    ),
    A.MoveCommit: (frozenset({S.MoveBeforeCommit}), "is not in Before Commit of a move"),
    A.MoveRollback: (frozenset({S.MoveBeforeCommit}), "is not in Before Commit of a move"),
    A.FailoverTestStop: (frozenset({S.TestRunning}), "has no failover test running"),
    A.CloneAbort: (frozenset({S.CloneRunning}), "has no clone running"),
    A.Resume: (frozenset({S.Paused}), "is not paused"),
}
"""What must be so for an action: at least one of these situations; else the words finish "The VPG ..."."""


def refusal(action: Action, situations: Collection[Situation], name: str = "") -> Conflict | None:
    """Why the VPG does not take the action now, naming what stands in its way; None when it does."""
    vpg = f"The VPG {name}".rstrip()
    for situation in Situation:  # in the order of the table, so that the same facts always give the same words
        if situation in situations and action in RULES[situation].refuses:
            fact = f"{vpg} {situation.value}, so {action.value} is refused."
            return Conflict(fact, RULES[situation].remedy)
    needed, words = NEEDS.get(action, (frozenset(), ""))
    if needed and not needed & frozenset(situations):
        return Conflict(f"{vpg} {words}, so {action.value} is refused.", "Look at its state first.")
    return None


def require(action: Action, situations: Collection[Situation], name: str = "") -> None:
    """Raise the Conflict of `refusal` if there is one."""
    conflict = refusal(action, situations, name)
    if conflict is not None:
        raise conflict


def table_rows() -> list[list[str]]:
    """The table for people: a heading row, then one row a situation, each cell `yes` or `409`.

    What an action needs besides is not in the cells: `FailoverTestStop` needs a running test wherever it says yes.
    """
    heading = ["The VPG ...", *(action.value for action in Action)]
    rows = [
        [situation.value, *("409" if action in RULES[situation].refuses else "yes" for action in Action)]
        for situation in Situation
    ]
    return [heading, *rows]
