"""The base images of a VPG's volumes: records are written into sparse raw files."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path
from typing import Any, Self

from farshore.datapath.segment import Kind
from farshore.datapath.segment.seal import Segment
from farshore.model.files import sync_directory

_PUNCH_HOLE_KEEP_SIZE = 2 | 1
_ZEROES = bytes(1 << 20)
_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_longlong, ctypes.c_longlong)


def image_path(journal: Path, number: int) -> Path:
    """The base image of a volume."""
    return journal / "replica" / f"{number}.raw"


class Images:
    """The base images while they are written. Use as a context manager."""

    def __init__(self, journal: Path) -> None:
        self._journal = journal
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
            path = image_path(self._journal, number)
            new = not path.exists()
            fd = self._open[number] = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            if new:
                sync_directory(path.parent)
        return fd

    def apply(self, segment: Segment) -> None:
        """Write a segment's records, in order. Raises OSError (no space, a broken device)."""
        index, body = segment.index, segment.body
        columns = (index[name].tolist() for name in ("volume", "kind", "offset", "length", "position"))
        for volume, kind, offset, length, position in zip(*columns, strict=True):
            fd = self._fd(volume)
            if kind in (Kind.WRITE, Kind.SYNC):
                _write(fd, body[position : position + length], offset)
            else:
                _zero(fd, offset, length)

    def resize(self, volumes: list[dict[str, Any]]) -> None:
        """Bring the images to the volumes' sizes: cut or grown with zeros."""
        for volume in volumes:
            fd = self._fd(int(volume["number"]))
            size = int(volume["size_bytes"])
            if os.fstat(fd).st_size != size:
                os.ftruncate(fd, size)

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
    if error not in (errno.EOPNOTSUPP, errno.ENOSYS):
        raise OSError(error, os.strerror(error))
    end = min(offset + length, os.fstat(fd).st_size)
    while offset < end:
        step = min(len(_ZEROES), end - offset)
        _write(fd, memoryview(_ZEROES)[:step], offset)
        offset += step
