"""A lock on a file that the kernel holds for as long as a process lives; the file says which process that is."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class ProcessLock:
    """Held until `release` or the end of the process."""

    def __init__(self, path: Path) -> None:
        """Take it. Raises BlockingIOError when another process has it."""
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)
        except BaseException:
            os.close(self._fd)
            raise

    def release(self) -> None:
        """Let go."""
        os.close(self._fd)


def holder_of(path: Path) -> int | None:
    """The process that has the lock at the moment; None for none, or when it has not said so yet."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        said = os.pread(fd, 32, 0).decode(errors="replace").strip()
        return int(said) if said.isdecimal() else None
    finally:
        os.close(fd)
    return None
