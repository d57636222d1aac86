"""The numbers of the API in words: states of VPGs and tasks, priorities, pairing."""

from __future__ import annotations

from enum import IntEnum


class TaskState(IntEnum):
    """States of a task that a client must tell apart."""

    IN_PROGRESS = 1
    FAILED = 4
    STOPPED = 5
    COMPLETED = 6


_TASK_STATES = ("Unused", "InProgress", "WaitingForUserInput", "Paused", "Failed", "Stopped", "Completed", "Cancelling")

STATUS_NAMES = dict(
    enumerate(
        (
            "Initializing",
            "MeetingSLA",
            "NotMeetingSLA",
            "HistoryNotMeetingSLA",
            "RpoNotMeetingSLA",
            "FailingOver",
            "Moving",
            "Deleting",
            "Recovered",
        )
    )
)

SUBSTATUS_NAMES = dict(
    enumerate(
        (
            "None",
            "InitialSync",
            "Creating",
            "VolumeInitialSync",
            "Sync",
            "RecoveryPossible",
            "DeltaSync",
            "NeedsConfiguration",
            "Error",
            "EmptyProtectionGroup",
            "DisconnectedFromPeerNoRecoveryPoints",
            "FullSync",
            "VolumeDeltaSync",
            "VolumeFullSync",
            "FailingOverCommitting",
            "FailingOverBeforeCommit",
            "FailingOverRollingBack",
            "Promoting",
            "MovingCommitting",
            "MovingBeforeCommit",
            "MovingRollingBack",
            "Deleting",
            "PendingRemove",
            "BitmapSync",
            "DisconnectedFromPeer",
            "ReplicationPausedUserInitiated",
            "ReplicationPausedSystemInitiated",
            "RecoveryStorageProfileError",
            "Backup",
            "RollingBack",
            "RecoveryStorageError",
            "JournalStorageError",
            "VmNotProtectedError",
        )
    )
)

PRIORITY_NAMES = {0: "Low", 1: "Medium", 2: "High"}
PAIRING_NAMES = {0: "Paired", 1: "Pairing", 2: "Unpaired"}


def task_state_name(state: int) -> str:
    """The word for a task's state; the number itself when there is none."""
    return _TASK_STATES[state] if 0 <= state < len(_TASK_STATES) else str(state)


def vpg_state_text(status: int, substatus: int) -> str:
    """Status and, where it says more, substatus of a VPG, as one text."""
    words = STATUS_NAMES.get(status, str(status))
    return words if not substatus else f"{words}, {SUBSTATUS_NAMES.get(substatus, substatus)}"
