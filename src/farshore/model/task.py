"""Tasks: one for each order, with a state that begins at InProgress and ends in one step.

A client may give up on a task that it sees in any state but InProgress and Completed, so no task of ours passes
through WaitingForUserInput, Paused or Cancelling: what waits for a person is a state of the VPG.
"""

from __future__ import annotations

import re
import uuid
from enum import Enum, IntEnum


class TaskState(IntEnum):
    """How a task stands. 0 is not used."""

    InProgress = 1
    WaitingForUserInput = 2
    Paused = 3
    Failed = 4
    Stopped = 5
    Completed = 6
    Cancelling = 7

    @property
    def over(self) -> bool:
        """Whether the task has ended."""
        return self in {TaskState.Failed, TaskState.Stopped, TaskState.Completed}


class TaskType(Enum):
    """What was ordered, by the name that clients know."""

    CreateProtectionGroup = "CreateProtectionGroup"
    UpdateProtectionGroup = "UpdateProtectionGroup"
    RemoveProtectionGroup = "RemoveProtectionGroup"
    InsertTaggedCP = "InsertTaggedCP"
    FailOverTest = "FailOverTest"
    StopFailOverTest = "StopFailOverTest"
    FailOver = "FailOver"
    FailoverBeforeCommit = "FailoverBeforeCommit"
    FailoverCommit = "FailoverCommit"
    FailoverRollback = "FailoverRollback"
    Move = "Move"
    MoveBeforeCommit = "MoveBeforeCommit"
    MoveCommit = "MoveCommit"
    MoveRollback = "MoveRollback"
    Clone = "Clone"
    AbortClone = "AbortClone"
    ForceSync = "ForceSync"
    PauseProtectionGroup = "PauseProtectionGroup"
    ResumeProtectionGroup = "ResumeProtectionGroup"
    PairSite = "PairSite"
    UnpairSite = "UnpairSite"


_TASK_ID = re.compile(r"([0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})[.:]([0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})")


def new_task_id(site_id: str) -> str:
    """A fresh identifier: GUID.GUID, of the task and of the site that got the call."""
    return f"{uuid.uuid4()}.{site_id}"


def understand_task_id(text: str) -> str | None:
    """`GUID.GUID` from that form or from `GUID:GUID`, in any case; None for anything else."""
    found = _TASK_ID.fullmatch(text.strip().lower())
    return f"{found[1]}.{found[2]}" if found else None
