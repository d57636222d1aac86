"""One writer a journal: a lock on the file `lock`, held by the kernel for as long as the process lives.

The file holds the writer's process number, for whoever must end a writer that does not go by itself.
"""

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
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

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


def writer_of(journal: Path) -> int | None:
    """The process that has the journal at the moment; None for none, or when it has not said so yet."""
    try:
        said = (journal / "lock").read_text().strip()
    except FileNotFoundError:
        return None
    return int(said) if said.isdecimal() and is_being_written(journal) else None
