"""Appending to the newest file: many segments, one fdatasync, all or nothing.

Always true: `end` is where the last durable segment ends; the file is longer only while `append` runs, or when cutting
it back failed, and then the file is left for a new one whose name bounds it. After a failed fdatasync nothing is
appended to that file any more: what it did not make durable is written anew into a new one, from memory.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Sequence
from pathlib import Path

from farshore.datapath.journal.faults import NoSpace
from farshore.datapath.journal.files import FILE_BYTES_MAX, SegmentFile, file_path, segments_folder
from farshore.datapath.journal.note import DurableNote, NoteKeeper
from farshore.errors import Fault
from farshore.model.files import sync_directory

Buffers = Sequence[bytes | bytearray | memoryview]
BUFFERS_PER_CALL_MAX = 1000
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class SyncFailed(Fault):
    """fdatasync failed; the file is closed for ever, and what was not durable must be written anew."""


class Appender:
    """The writing end of a journal. Not safe for threads: one appends."""

    def __init__(self, journal: Path, newest: SegmentFile | None, last_ordinal: int) -> None:
        """Go on after `last_ordinal`, in `newest` (cut back to its last whole segment) or in a new file."""
        self._journal = journal
        self._fd = -1
        self.last_ordinal = last_ordinal
        self.first = last_ordinal + 1
        self.end = 0
        self.abandoned: list[SegmentFile] = []
        """Files that were left because of an error, as far as they are durable: to be read back and checked."""
        self._note = NoteKeeper(journal)
        if newest is not None:
            self._reopen(newest)

    def _reopen(self, newest: SegmentFile) -> None:
        self._fd = os.open(newest.path, os.O_RDWR)
        self.first, self.end = newest.first, newest.end
        if os.fstat(self._fd).st_size > self.end:
            os.ftruncate(self._fd, self.end)
        # what an ended process wrote and nobody made durable becomes so now, before it counts
        os.fsync(self._fd)
        self._note.write(DurableNote(self.first, self.end, self.last_ordinal))

    @property
    def path(self) -> Path:
        """The file that is being written."""
        return file_path(self._journal, self.first)

    def append(self, segments: Sequence[Buffers]) -> None:
        """Make all segments durable, in order, or none. Raises NoSpace, SyncFailed, Fault; then none was kept."""
        if self._fd < 0 or self.end >= FILE_BYTES_MAX:
            self._roll()
        size = sum(len(part) for buffers in segments for part in buffers)
        try:
            self._write([part for buffers in segments for part in buffers if len(part)])
        except OSError as error:
            self._cut_back()
            if error.errno in _FULL:
                raise NoSpace(
                    f"The journal's store is full: {error.strerror}.",
                    "Free space there; replication resumes by itself.",
                ) from error
            raise Fault(f"{self.path} cannot be written: {error}.", "Look at the store's device.") from error
        try:
            os.fdatasync(self._fd)
        except OSError as error:
            path = self.path
            self._cut_back()
            self._abandon()
            raise SyncFailed(f"{path} could not be made durable: {error}.", "Look at the store's device.") from error
        self.end += size
        self.last_ordinal += len(segments)
        self._note.write(DurableNote(self.first, self.end, self.last_ordinal))

    def _write(self, parts: list[bytes | bytearray | memoryview]) -> None:
        at = self.end
        while parts:
            batch = parts[:BUFFERS_PER_CALL_MAX]
            written = os.pwritev(self._fd, batch, at)
            at += written
            done = 0
            while done < len(batch) and written >= len(batch[done]):
                written -= len(batch[done])
                done += 1
            del parts[:done]
            if written:
                parts[0] = memoryview(parts[0])[written:]

    def _roll(self) -> None:
        self.close_file()
        self.first, self.end = self.last_ordinal + 1, 0
        path = self.path
        # a file of that name holds nothing that was acknowledged: its name says that it would begin here
        path.unlink(missing_ok=True)
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            sync_directory(segments_folder(self._journal))
        except OSError as error:
            if error.errno in _FULL:
                raise NoSpace("The journal's store is full.", "Free space there.") from error
            raise Fault(f"{path} cannot be made: {error}.", "Look at the store's device.") from error

    def _cut_back(self) -> None:
        try:
            os.ftruncate(self._fd, self.end)
        except OSError:
            self._abandon()

    def _abandon(self) -> None:
        if self._fd < 0:
            return
        self.abandoned.append(SegmentFile(self.path, self.first, self.last_ordinal, self.end))
        with contextlib.suppress(OSError):  # the error that matters was told already
            self.close_file()

    def close_file(self) -> None:
        """Close the newest file; the next append begins a new one."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def close(self) -> None:
        """Close everything."""
        self.close_file()
        self._note.close()
