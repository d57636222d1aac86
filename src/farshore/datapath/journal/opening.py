"""Rebuilding a journal from its files: headers and control records of all segments, all bytes of the tail.

Method: walk file by file from the floor on. Where a file does not go on with a whole segment, decide:
1. a later file exists: its first ordinal says where this one ends; before that it is damage, beyond it nothing.
2. the newest file: below the durable note it is damage, above it is the torn tail. Without a note it is damage when a
   whole segment follows, else the tail.
After damage the walk goes on where the next whole segment is, only to name the checkpoints that are lost.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from farshore.datapath.journal.files import (
    BadBytes,
    Placed,
    SegmentFile,
    find_segment,
    list_files,
    read_control,
    read_segment,
    segments_folder,
    walk,
)
from farshore.datapath.journal.floor import Floor
from farshore.datapath.journal.ledger import Ledger
from farshore.datapath.journal.note import DurableNote


@dataclass(frozen=True, slots=True)
class Damage:
    """Segments `first`..`last` are not what was written; they begin at `offset` of `path`."""

    first: int
    last: int
    path: Path
    offset: int
    reason: str

    def __str__(self) -> str:
        which = f"segment {self.first}" if self.first == self.last else f"segments {self.first} to {self.last}"
        return f"{which} in {self.path.name} at byte {self.offset}: {self.reason}"


@dataclass(slots=True)
class Opened:
    """What was found."""

    floor: Floor
    ledger: Ledger
    files: list[SegmentFile]
    damages: list[Damage]
    last_ordinal: int
    torn_bytes: int = 0


class Opener:
    """One opening. `trust_tail` False: another process writes, so only what its note calls durable is read."""

    def __init__(self, journal: Path, trust_tail: bool = True) -> None:
        self._journal = journal
        floor = Floor.load(journal)
        self._note = DurableNote.load(journal)
        self._trust_tail = trust_tail
        self._listed = list_files(journal)
        self._end = 0
        self._seen = (0, 0)
        self.opened = Opened(floor, Ledger.restore(floor.state, floor.ordinal), [], [], floor.ordinal)
        if floor.checkpoint is not None:
            self.opened.ledger.catalogue.add(floor.checkpoint)

    def run(self) -> Opened:
        """Walk all files. Raises FileNotFoundError when one was promoted away meanwhile: begin again."""
        opened = self.opened
        floor = opened.floor.ordinal
        for at, (first, path) in enumerate(self._listed):
            following = self._listed[at + 1][0] if at + 1 < len(self._listed) else None
            if following is not None and following <= floor + 1:
                continue
            expected = max(opened.last_ordinal, floor) + 1
            if first > expected:
                self._damage(Damage(expected, first - 1, path, 0, "the file that had them is missing"))
                opened.last_ordinal = first - 1
            with _open(path) as fd:
                if following is not None:
                    self._middle(fd, first, path, following - 1)
                else:
                    self._newest(fd, first, path)
        opened.last_ordinal = max(opened.last_ordinal, floor)
        if self._note is not None and self._note.ordinal > opened.last_ordinal:
            missing = Damage(
                opened.last_ordinal + 1, self._note.ordinal, segments_folder(self._journal), 0, "they are gone"
            )
            self._damage(missing)
            opened.last_ordinal = missing.last
        opened.ledger.pass_floor(opened.floor.openable_from)
        return opened

    # -- files
    def _middle(self, fd: int, first: int, path: Path, last: int) -> None:
        size = os.fstat(fd).st_size
        self._walk(fd, first, path, size, last)
        if self.opened.last_ordinal < last:
            missing = self.opened.last_ordinal + 1
            self._damage(Damage(max(missing, first), last, path, self._end, "they are missing at the file's end"))
            self.opened.last_ordinal = last
        self.opened.files.append(SegmentFile(path, first, last, self._end))

    def _newest(self, fd: int, first: int, path: Path) -> None:
        opened = self.opened
        size = os.fstat(fd).st_size
        note = self._note if self._note is not None and self._note.first_ordinal == first else None
        durable_end = note.end if note else 0
        opened.last_ordinal = max(opened.last_ordinal, first - 1)
        self._end = 0
        if durable_end:
            self._walk(fd, first, path, min(durable_end, size), note.ordinal if note else None)
            if note and opened.last_ordinal < note.ordinal:
                reason = f"{durable_end - self._end} acknowledged bytes are missing"
                self._damage(Damage(opened.last_ordinal + 1, note.ordinal, path, self._end, reason))
                opened.last_ordinal = note.ordinal
        if self._trust_tail:
            self._tail(fd, path, max(self._end, min(durable_end, size)), size, certain=self._note is not None)
        opened.files.append(SegmentFile(path, first, opened.last_ordinal, self._end))

    def _tail(self, fd: int, path: Path, offset: int, size: int, *, certain: bool) -> None:
        """Take what is whole beyond the durable end; the rest is torn. `certain`: the note says where that is."""
        opened = self.opened
        self._end = offset
        try:
            for placed in walk(fd, opened.last_ordinal + 1, offset=offset, end=size):
                read_segment(fd, placed)
                self._take(fd, placed)
        except BadBytes as error:
            if not certain and find_segment(fd, error.offset + 1, size):
                self._walk(fd, error.ordinal, path, size, None, start=error.offset, verified=False)
                return
            opened.torn_bytes = size - self._end

    def _walk(
        self,
        fd: int,
        ordinal: int,
        path: Path,
        end: int,
        last: int | None,
        *,
        start: int = 0,
        verified: bool = True,
    ) -> None:
        """Take segments of [start, end) up to ordinal `last`; past bad bytes go on at the next whole segment.

        `verified` False: the bytes at `start` are known to be bad.
        """
        offset, bad = start, None if verified else BadBytes(ordinal, start, "Its bytes are not what was written.")
        while True:
            if bad is None:
                try:
                    for placed in walk(fd, ordinal, offset=offset, end=end):
                        if last is not None and placed.ordinal > last:
                            return None
                        self._take(fd, placed)
                except BadBytes as error:
                    bad = error
                else:
                    return None
            if last is not None and bad.ordinal > last:
                return None
            found = find_segment(fd, bad.offset + 1, end)
            if found is None:
                return self._damage_to_end(bad, path, end, last)
            offset, ordinal = found[0], self._ordinal_of(bad, found[1].session, found[1].sequence, last)
            self._damage(Damage(bad.ordinal, ordinal - 1, path, bad.offset, bad.fact))
            self.opened.last_ordinal = ordinal - 1
            bad = None

    def _damage_to_end(self, bad: BadBytes, path: Path, end: int, last: int | None) -> None:
        final = max(last or bad.ordinal, bad.ordinal)
        self._damage(Damage(bad.ordinal, final, path, bad.offset, bad.fact))
        self.opened.last_ordinal = final
        self._end = end

    def _ordinal_of(self, bad: BadBytes, session: int, sequence: int, last: int | None) -> int:
        """The ordinal of a segment found after bad bytes: by its sequence, where the session goes on."""
        lost = sequence - self._seen[1] - 1 if session == self._seen[0] else 1
        ordinal = bad.ordinal + max(1, lost)
        return ordinal if last is None else min(ordinal, last)

    # -- segments
    def _take(self, fd: int, placed: Placed) -> None:
        self._end = placed.end
        self._seen = (placed.header.session, placed.header.sequence)
        if placed.ordinal <= self.opened.floor.ordinal:
            self.opened.last_ordinal = max(self.opened.last_ordinal, placed.ordinal)
            return
        control = read_control(fd, placed)
        self.opened.ledger.feed(placed.ordinal, placed.header, control)
        self.opened.last_ordinal = placed.ordinal

    def _damage(self, damage: Damage) -> None:
        if damage.last <= self.opened.floor.ordinal:
            return
        self.opened.damages.append(damage)
        if self.opened.ledger.damaged_from is None:
            self.opened.ledger.damaged_from = damage.first


@contextmanager
def _open(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY)
    try:
        yield fd
    finally:
        os.close(fd)
