"""Delta sync: a disk is compared with the other site's copy by digests, and only blocks that differ are sent.

First 1 MiB at a time; within a MiB that differs, 4 KiB at a time. Questions are asked ahead, so the other site reads
while this one does; what is open is bounded, and only digests wait, no data.

Why a block that is equal may be left out. Let a round begin when all disks are attached (from then on every write is
a record of the stream), and let R be the other site's copy at some point of the stream at or after that begin. Every
record from before the round is in R: the journal answers only when it has the round's first segment, and segments are
durable in order. Look at one byte after the stream has been applied.

    some record since the begin wrote it   the last one decides, whatever was compared: records stand in the order of
                                           the writes, and data of a sync were read after their place was taken
    none did                               the other site has R's byte for good. This disk's byte has not changed since
                                           the begin, so what was read (after it) is what it is: equal to R's, if the
                                           block was found equal; sent, if not

So R may be any point after the begin, another one for each block, and the disk may be written meanwhile. It would be
wrong without the wait: an older record that came after R would overwrite a byte that was found equal.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from farshore.datapath.stream.hash_messages import Question, ZeroDigests, digest
from farshore.datapath.sync.hash_source import HashSource
from farshore.nbd.client import NbdClient
from farshore.nbd.constants import STATE_ZERO

COARSE_BYTES = 1 << 20
FINE_BYTES = 4096
QUESTION_BYTES = 16 * COARSE_BYTES
OPEN_QUESTIONS_MIN = 4
"""Below so many open questions the next part of the disk is asked for; there are at most 16 more (fine ones)."""


class Tally(Protocol):
    """Who counts, and sends what differs."""

    def note(self, *, done_bytes: int = 0, read_bytes: int = 0) -> None:
        """So much more was compared, or read from the disk."""
        ...

    def send(self, disk: NbdClient, number: int, offset: int, length: int) -> None:
        """Send a run as it is when its place is taken; counts itself as done."""
        ...


@dataclass(slots=True)
class _Open:
    """A question, with this side's digests where they are known already (the fine ones)."""

    question: Question
    ours: list[bytes] | None = None


class Comparer:
    """Compares one volume after the other."""

    def __init__(self, hashes: HashSource, tally: Tally) -> None:
        self._hashes = hashes
        self._tally = tally
        self._zeros = ZeroDigests(hashes.seed)
        self._buffer = memoryview(bytearray(COARSE_BYTES))
        self._open: deque[_Open] = deque()

    def compare(self, disk: NbdClient, number: int, size_bytes: int) -> None:
        """Send what differs. Raises AnotherJournal, and Fault when the disk's export or the tap fails."""
        parts = self._parts(number, size_bytes)
        part = next(parts, None)
        while part is not None or self._open:
            while part is not None and len(self._open) < OPEN_QUESTIONS_MIN:
                self._ask(_Open(part))
                part = next(parts, None)
            theirs = self._hashes.answer()
            answered = self._open.popleft()
            if answered.ours is None:
                self._coarse(disk, answered.question, theirs)
            else:
                self._fine(disk, answered.question, answered.ours, theirs)

    @staticmethod
    def _parts(number: int, size_bytes: int) -> Iterator[Question]:
        for offset in range(0, size_bytes, QUESTION_BYTES):
            yield Question(number, offset, min(QUESTION_BYTES, size_bytes - offset), COARSE_BYTES)

    def _ask(self, one: _Open) -> None:
        self._open.append(one)
        self._hashes.ask(one.question)

    def _coarse(self, disk: NbdClient, question: Question, theirs: list[bytes]) -> None:
        """Compare each MiB; ask for the blocks of those that differ."""
        zero = [
            (run.offset, run.offset + run.length)
            for run in disk.block_status(question.offset, question.length)
            if run.flags & STATE_ZERO
        ]
        for which, their in enumerate(theirs):
            offset = question.offset + which * COARSE_BYTES
            length = min(COARSE_BYTES, question.offset + question.length - offset)
            block = None
            if not any(start <= offset and offset + length <= end for start, end in zero):
                block = self._buffer[:length]
                disk.pread_into(block, offset)
                self._tally.note(read_bytes=length)
            if their == (self._zeros.of(length) if block is None else digest(block, self._hashes.seed)):
                self._tally.note(done_bytes=length)
                continue
            ours = [
                self._zeros.of(min(FINE_BYTES, length - at))
                if block is None
                else digest(block[at : at + FINE_BYTES], self._hashes.seed)
                for at in range(0, length, FINE_BYTES)
            ]
            self._ask(_Open(Question(question.volume, offset, length, FINE_BYTES), ours))

    def _fine(self, disk: NbdClient, question: Question, ours: list[bytes], theirs: list[bytes]) -> None:
        """Send the runs of blocks that differ."""
        sent, begin = 0, None
        for which in range(question.blocks + 1):
            differs = which < question.blocks and ours[which] != theirs[which]
            if differs and begin is None:
                begin = which
            elif not differs and begin is not None:
                start = begin * FINE_BYTES
                length = min(which * FINE_BYTES, question.length) - start
                self._tally.send(disk, question.volume, question.offset + start, length)
                sent, begin = sent + length, None
        self._tally.note(done_bytes=question.length - sent)
