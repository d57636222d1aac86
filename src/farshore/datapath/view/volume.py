"""Reading a volume through its map: from the journal's files, and from the base image where the map has nothing."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

from farshore.datapath.journal import Journal
from farshore.datapath.journal.journal import OPEN_ATTEMPTS
from farshore.datapath.replica.image import open_image
from farshore.datapath.view.extents import ZERO
from farshore.datapath.view.mapping import build_map, volume_size
from farshore.errors import Conflict, Damaged
from farshore.nbd.constants import STATE_HOLE, STATE_ZERO

_RUNS_MAX = 1024


class VolumeView:
    """One volume at one ordinal; safe for threads. Holds open what it may read, so that deleting files is no harm."""

    def __init__(self, journal: Journal, volume: int, ordinal: int) -> None:
        """Build the map and open the files.

        Raises NotFound, Conflict (the volume was taken out), DamagedJournal, FileNotFoundError (see open_view), Fault.
        """
        journal.taken.demand_shown(volume, ordinal)
        self._size = volume_size(journal, volume, ordinal)
        floor = journal.floor.ordinal
        self._files: dict[int, int] = {}
        self._base = -1
        try:
            for file in journal.files():
                if file.last > floor and file.first <= ordinal:
                    self._files[file.first] = os.open(file.path, os.O_RDONLY)
            self._map = build_map(journal, volume, ordinal).cut(0, self._size)
            with contextlib.suppress(FileNotFoundError):  # nothing was promoted yet; an old disk must be there
                self._base = open_image(journal.path, volume, os.O_RDONLY)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        for fd in self._files.values():
            os.close(fd)
        self._files = {}
        if self._base >= 0:
            os.close(self._base)
            self._base = -1

    @property
    def size_bytes(self) -> int:
        """Bytes of the volume at this checkpoint."""
        return self._size

    @property
    def extent_count(self) -> int:
        """Runs in the map."""
        return len(self._map)

    def extents(self) -> Iterator[tuple[int, int, bool]]:
        """(start, end, whether zeros) of what the journal has over the base image, ascending."""
        zero = (self._map.source == ZERO).tolist()
        return zip(self._map.start.tolist(), self._map.end.tolist(), zero, strict=True)

    def read_into(self, buffer: memoryview, offset: int) -> None:
        """Fill `buffer` from `offset`. Raises OSError, or Damaged when a file is shorter than its index says."""
        end = offset + len(buffer)
        part = self._map.cut(offset, end)
        columns = (part.start.tolist(), part.end.tolist(), part.source.tolist(), part.position.tolist())
        at = offset
        for start, stop, source, position in zip(*columns, strict=True):
            if at < start:
                self._read_base(buffer[at - offset : start - offset], at)
            run = buffer[start - offset : stop - offset]
            if source == ZERO:
                run[:] = bytes(len(run))
            else:
                _read_whole(self._files[source], run, position)
            at = stop
        if at < end:
            self._read_base(buffer[at - offset :], at)

    def _read_base(self, run: memoryview, offset: int) -> None:
        """Beyond the image's end, or without an image, there are zeros."""
        while run:
            count = os.preadv(self._base, [run], offset) if self._base >= 0 else 0
            if not count:
                run[:] = bytes(len(run))
                return
            run = run[count:]
            offset += count

    def allocation(self, offset: int, length: int) -> Sequence[tuple[int, int]]:
        """(bytes, flags) runs from `offset` on: zero where the map or a hole of the image says so."""
        end = offset + length
        part = self._map.cut(offset, end)
        runs: list[tuple[int, int]] = []
        at = offset
        for start, stop, source in zip(
            part.start[:_RUNS_MAX].tolist(),
            part.end[:_RUNS_MAX].tolist(),
            part.source[:_RUNS_MAX].tolist(),
            strict=True,
        ):
            self._base_runs(at, start, runs)
            _add_run(runs, stop - start, STATE_ZERO | STATE_HOLE if source == ZERO else 0)
            at = stop
        if len(part) <= _RUNS_MAX:
            self._base_runs(at, end, runs)
        return runs

    def _base_runs(self, start: int, end: int, runs: list[tuple[int, int]]) -> None:
        while start < end:
            data = self._next(start, os.SEEK_DATA)
            if data is None or data >= end:
                _add_run(runs, end - start, STATE_ZERO | STATE_HOLE)
                return
            if data > start:
                _add_run(runs, data - start, STATE_ZERO | STATE_HOLE)
            hole = min(self._next(data, os.SEEK_HOLE) or end, end)
            _add_run(runs, hole - data, 0)
            start = hole

    def _next(self, offset: int, what: int) -> int | None:
        if self._base < 0:
            return None
        try:
            # the shared file position does not matter: everything else here is pread
            return os.lseek(self._base, offset, what)
        except OSError as error:
            if error.errno != errno.ENXIO and what == os.SEEK_DATA:
                return offset  # a block device does not tell: all of it may be data
            return None  # nothing but a hole from here on; or nobody tells where one begins


def open_view(journal: Path, checkpoint_id: str, volume: int) -> VolumeView:
    """A view from the files alone, though a carrier may promote and delete meanwhile (the checkpoint should be pinned).

    Raises NotFound, DamagedJournal, Conflict.
    """
    for _ in range(OPEN_ATTEMPTS):
        with Journal.open(journal) as opened:
            checkpoint = opened.checkpoint(checkpoint_id)
            try:
                return VolumeView(opened, volume, checkpoint.ordinal)
            except FileNotFoundError:  # promoted between listing and opening: what it held is in the image now
                continue
    raise Conflict(f"Files of {journal} went away faster than they could be opened.", "Try again.")


def _add_run(runs: list[tuple[int, int]], length: int, flags: int) -> None:
    if not length:
        return
    if runs and runs[-1][1] == flags:
        runs[-1] = (runs[-1][0] + length, flags)
    else:
        runs.append((length, flags))


def _read_whole(fd: int, run: memoryview, position: int) -> None:
    while run:
        count = os.preadv(fd, [run], position)
        if not count:
            raise Damaged("A file of the journal is shorter than its index says.", "Verify the journal.")
        run = run[count:]
        position += count
