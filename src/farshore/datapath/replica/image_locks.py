"""QEMU's own image locks, held on an old disk that has become a replica: a QEMU that opens it fails, in its own words.

QEMU (block/file-posix.c) locks single bytes of an image, shared and by open file description: byte 100 + i says "I use
permission i", byte 200 + i says "I do not let others use permission i". Each side takes its bytes first and then looks
whether anybody holds what contradicts them, so that of two that come at the same time at least one gives way.
The permissions: 0 consistent read, 1 write, 2 write unchanged, 3 resize.
"""

from __future__ import annotations

import fcntl
import os
import stat
import struct
from pathlib import Path

from farshore.datapath.stream.messages import Refusal
from farshore.errors import Unavailable

USED_BASE = 100
REFUSED_BASE = 200
USED = (0, 1, 2, 3)
REFUSED = (1, 2, 3)
_FLOCK = struct.Struct("@hhqqi4x")


class ImageInUse(Unavailable):
    """A QEMU has the image open, or it cannot be opened here; it is tried again."""

    refusal = Refusal.BASE_IN_USE


class ImageLock:
    """The locks of a QEMU that writes the image and shares it with readers of its own will only."""

    def __init__(self, path: Path) -> None:
        """Take them. Raises ImageInUse when a QEMU that writes, or will not have others write, has the image open.

        A block device is opened exclusively as well, so that it cannot be mounted.
        """
        self.path = path
        self._fd = -1
        try:
            exclusive = os.O_EXCL if stat.S_ISBLK(path.stat().st_mode) else 0
            self._fd = os.open(path, os.O_RDONLY | exclusive)
            for byte in (*(USED_BASE + i for i in USED), *(REFUSED_BASE + i for i in REFUSED)):
                self._demand(byte, fcntl.F_OFD_SETLK, fcntl.F_RDLCK)
            for byte in (*(REFUSED_BASE + i for i in USED), *(USED_BASE + i for i in REFUSED)):
                self._demand(byte, fcntl.F_OFD_GETLK, fcntl.F_WRLCK)
        except OSError as error:
            self.release()
            raise ImageInUse(
                f"{path}, an old disk under the journal, cannot be held: {error.strerror}.",
                "Bring it back, unmount it, or look at its device; it is tried again by itself.",
            ) from error
        except BaseException:
            self.release()
            raise

    def _demand(self, byte: int, command: int, kind: int) -> None:
        """Lock a byte, or (F_OFD_GETLK) see that nobody else's lock is in the way of such a one."""
        wanted = _FLOCK.pack(kind, os.SEEK_SET, byte, 1, 0)
        try:
            found = fcntl.fcntl(self._fd, command, wanted)
            free = command != fcntl.F_OFD_GETLK or _FLOCK.unpack(found)[0] == fcntl.F_UNLCK
        except (BlockingIOError, PermissionError):
            free = False
        if not free:
            raise ImageInUse(
                f"{self.path} is an old disk under the journal, and a QEMU has it open.",
                "End the VM that runs on it; it is tried again by itself.",
            )

    def release(self) -> None:
        """Let go; again is fine."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)
