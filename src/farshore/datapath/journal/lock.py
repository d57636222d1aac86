"""One writer a journal: a lock on the file `lock`, held by the kernel for as long as the process lives.

The file holds the writer's process number, for whoever must end a writer that does not go by itself.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from farshore.datapath.journal.faults import JournalInUse
from farshore.model.process_lock import ProcessLock


class WriterLock(ProcessLock):
    """Held until `release` or the end of the process."""

    def __init__(self, journal: Path) -> None:
        """Take it. Raises JournalInUse when another process has it."""
        try:
            super().__init__(journal / "lock")
        except BlockingIOError as error:
            raise JournalInUse(f"Another process writes {journal}.", "One journal carrier a VPG may run.") from error


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
