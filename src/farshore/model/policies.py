"""What happens to a failover or move in Before Commit, and to the protected VMs before one."""

from __future__ import annotations

from enum import IntEnum


class CommitPolicy(IntEnum):
    """What is done by itself when the time in Before Commit is over."""

    Rollback = 0
    Commit = 1
    None_ = 2


class ShutdownPolicy(IntEnum):
    """What is done to the protected VMs before a failover."""

    None_ = 0
    Shutdown = 1
    ForceShutdown = 2
