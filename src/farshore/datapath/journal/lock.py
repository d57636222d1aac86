"""One writer a journal: a lock on the file `lock`, held by the kernel for as long as the process lives."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from farshore.datapath.journal.faults import JournalInUse


class WriterLock:
    """Held until `release` or the end of the process."""

    def __init__(self, journal: Path) -> None:
        """Take it. Raises JournalInUse when another process has it."""
        self._fd = os.open(journal / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._fd)
            raise JournalInUse(f"Another process writes {journal}.", "One journal carrier a VPG may run.") from error

    def release(self) -> None:
        """Let go."""
        os.close(self._fd)


def is_being_written(journal: Path) -> bool:
    """Whether a writer has the journal at the moment."""
    try:
        fd = os.open(journal / "lock", os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
