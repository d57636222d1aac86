"""One volume's copy: what the checkpoint has, into a sparse image that bears its name once it is whole and durable.

Until then the image is `.<name>.part`; beside it `.<name>.at` says up to which byte it is durable, so that a copy which
was killed goes on there. Zeros are left out: holes stay holes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from farshore.datapath.view.volume import VolumeView
from farshore.model.files import remove_durably, sync_directory, write_durably
from farshore.nbd.constants import STATE_ZERO

WINDOW_BYTES = 1 << 30
"""How much of a volume is asked about at once."""
PIECE_BYTES = 4 << 20
BLOCK_BYTES = 64 << 10
"""What is zero in so many bytes is left out."""
SYNC_BYTES = 32 << 20
"""So much may wait to be written by the store; a journal's own sync must not stand behind more."""
NOTE_BYTES = 64 << 20


def data_runs(view: VolumeView, start: int = 0) -> Iterator[tuple[int, int]]:
    """(start, end) of what may be other than zeros from `start` on, ascending."""
    at = start
    while at < view.size_bytes:
        for length, flags in view.allocation(at, min(WINDOW_BYTES, view.size_bytes - at)):
            if not flags & STATE_ZERO:
                yield at, at + length
            at += length


class ImageCopy:
    """The copy of one volume to `path`."""

    def __init__(self, view: VolumeView, path: Path) -> None:
        """Nothing is written before `write`."""
        self.view = view
        self.path = path
        self._part = path.with_name(f".{path.name}.part")
        self._note = path.with_name(f".{path.name}.at")
        self.total_bytes = sum(end - start for start, end in data_runs(view))

    @property
    def is_done(self) -> bool:
        """Whether the image is there."""
        return self.path.exists()

    def position(self) -> int:
        """Up to which byte it was copied before."""
        if self.is_done:
            return self.view.size_bytes
        try:
            return min(int(self._note.read_text()), self.view.size_bytes) if self._part.exists() else 0
        except (FileNotFoundError, ValueError):
            return 0

    def left_bytes(self) -> int:
        """Bytes that are still to be copied."""
        return sum(end - start for start, end in data_runs(self.view, self.position()))

    def write(self, count: Callable[[int], None], durable: Callable[[], None]) -> None:
        """Copy the rest. `count` gets the bytes of each piece; `durable` is called after each sync, and may raise.

        Raises OSError, Damaged.
        """
        if self.is_done:
            return
        position = self.position()
        fd = os.open(self._part, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if not position:
                os.ftruncate(fd, 0)
            os.ftruncate(fd, self.view.size_bytes)
            sync_directory(self.path.parent)
            self._copy(fd, position, count, durable)
            os.fsync(fd)
        finally:
            os.close(fd)
        self._part.rename(self.path)
        remove_durably(self._note)

    def _copy(self, fd: int, position: int, count: Callable[[int], None], durable: Callable[[], None]) -> None:
        buffer = memoryview(bytearray(PIECE_BYTES))
        waiting = since_note = 0
        for start, end in data_runs(self.view, position):
            at = start
            while at < end:
                part = buffer[: min(PIECE_BYTES, end - at)]
                self.view.read_into(part, at)
                _write_but_zeros(fd, part, at)
                at += len(part)
                waiting += len(part)
                since_note += len(part)
                count(len(part))
                if waiting >= SYNC_BYTES:
                    os.fdatasync(fd)
                    os.posix_fadvise(fd, 0, at, os.POSIX_FADV_DONTNEED)
                    durable()
                    waiting = 0
                    if since_note >= NOTE_BYTES:
                        write_durably(self._note, str(at).encode())
                        since_note = 0


def _write_but_zeros(fd: int, data: memoryview, offset: int) -> None:
    """Write what is not zero, in runs of whole blocks."""
    begin = 0
    for at in range(0, len(data), BLOCK_BYTES):
        if not np.frombuffer(data[at : at + BLOCK_BYTES], dtype=np.uint8).any():
            _write_all(fd, data[begin:at], offset + begin)
            begin = at + BLOCK_BYTES
    _write_all(fd, data[begin:], offset + begin)


def _write_all(fd: int, data: memoryview, offset: int) -> None:
    while data:
        written = os.pwrite(fd, data, offset)
        data = data[written:]
        offset += written
