"""The base images of a VPG's volumes: records are written into sparse raw files, or into the old disks of a seed.

`replica/<n>.raw` may be a symlink to an old disk, a raw file or a block device. It is never made, and a block device is
never truncated.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, Self

from farshore.datapath.segment import Kind
from farshore.datapath.segment.seal import Segment
from farshore.errors import Fault
from farshore.model.files import sync_directory

_PUNCH_HOLE_KEEP_SIZE = 2 | 1
_ZEROES = bytes(1 << 20)
_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_longlong, ctypes.c_longlong)


def image_path(journal: Path, number: int) -> Path:
    """The base image of a volume."""
    return journal / "replica" / f"{number}.raw"


def old_disk(journal: Path, number: int) -> Path | None:
    """The old disk that is the volume's base image; None when that is a file of the journal's own, or not there."""
    path = image_path(journal, number)
    return path.readlink() if path.is_symlink() else None


def open_image(journal: Path, number: int, flags: int) -> int:
    """Open the base image. Raises FileNotFoundError when there is none yet, Fault when the old disk is gone."""
    path = image_path(journal, number)
    try:
        return os.open(path, flags, 0o600)
    except FileNotFoundError as error:
        disk = old_disk(journal, number)
        if disk is None:
            raise
        raise Fault(
            f"{disk} is gone, the old disk that is the replica of volume {number}.",
            "Bring it back to its place; without it the checkpoints of this volume cannot be opened.",
        ) from error


class Images:
    """The base images while they are written; records of volumes in `leave_out` are dropped. A context manager."""

    def __init__(self, journal: Path, leave_out: AbstractSet[int] = frozenset()) -> None:
        self._journal = journal
        self._leave_out = leave_out
        self._open: dict[int, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for fd in self._open.values():
            os.close(fd)
        self._open.clear()

    def _fd(self, number: int) -> int:
        fd = self._open.get(number)
        if fd is None:
            try:
                fd = open_image(self._journal, number, os.O_RDWR)
            except FileNotFoundError:
                fd = open_image(self._journal, number, os.O_RDWR | os.O_CREAT | os.O_EXCL)
                sync_directory(image_path(self._journal, number).parent)
            self._open[number] = fd
        return fd

    def apply(self, segment: Segment) -> None:
        """Write a segment's records, in order. Raises OSError (no space, a broken device), Fault."""
        index, body = segment.index, segment.body
        columns = (index[name].tolist() for name in ("volume", "kind", "offset", "length", "position"))
        for volume, kind, offset, length, position in zip(*columns, strict=True):
            if volume in self._leave_out:
                continue
            if kind in (Kind.WRITE, Kind.SYNC):
                self.write(volume, body[position : position + length], offset)
            else:
                self.zero(volume, offset, length)

    def write(self, number: int, data: memoryview, offset: int) -> None:
        """Write bytes at a place. Raises OSError, Fault."""
        _write(self._fd(number), data, offset)

    def zero(self, number: int, offset: int, length: int) -> None:
        """Make a hole, or write zeros. Raises OSError, Fault."""
        _zero(self._fd(number), offset, length)

    def resize(self, volumes: list[dict[str, Any]]) -> None:
        """Bring the images to the volumes' sizes: cut or grown with zeros. Raises Fault for a device that is short."""
        for volume in volumes:
            number = int(volume["number"])
            if number not in self._leave_out:
                self.resize_one(number, int(volume["size_bytes"]))

    def resize_one(self, number: int, size_bytes: int) -> None:
        """As resize, for one."""
        fd = self._fd(number)
        if not stat.S_ISBLK(os.fstat(fd).st_mode):
            if os.fstat(fd).st_size != size_bytes:
                os.ftruncate(fd, size_bytes)
        elif (has := os.lseek(fd, 0, os.SEEK_END)) < size_bytes:
            raise Fault(
                f"{old_disk(self._journal, number)} has {has} bytes, volume {number} has {size_bytes}.",
                "Grow the block device; it goes on by itself.",
            )

    def sync(self) -> None:
        """Make all that was written durable. Raises OSError."""
        for fd in self._open.values():
            os.fdatasync(fd)


def _write(fd: int, data: memoryview, offset: int) -> None:
    while data:
        written = os.pwrite(fd, data, offset)
        data = data[written:]
        offset += written


def _zero(fd: int, offset: int, length: int) -> None:
    if _libc.fallocate(fd, _PUNCH_HOLE_KEEP_SIZE, offset, length) == 0:
        return
    error = ctypes.get_errno()
    if error not in (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
        raise OSError(error, os.strerror(error))
    # EINVAL: a block device takes whole sectors only, and nothing beyond its end
    end = min(offset + length, os.lseek(fd, 0, os.SEEK_END))
    while offset < end:
        step = min(len(_ZEROES), end - offset)
        _write(fd, memoryview(_ZEROES)[:step], offset)
        offset += step
