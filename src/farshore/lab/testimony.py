"""What the witness wrote, for checks: which records were acknowledged before an instant, and which were not yet."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from farshore.lab.serial import Acknowledged, Event, GuestFailure, WorstWrite, parse_line


@dataclass(frozen=True)
class Statement:
    """One fact that a guest stated, between `absent_ns` and `seen_ns` (unix time)."""

    seen_ns: int
    absent_ns: int
    source: str
    event: Event


@dataclass
class _Disk:
    numbers: list[int] = field(default_factory=list)
    seen_ns: list[int] = field(default_factory=list)
    absent_ns: list[int] = field(default_factory=list)


class Testimony:
    """The witness's file, read once."""

    __test__ = False  # for pytest, which takes a Test... for one of its own

    def __init__(self, statements: list[Statement]) -> None:
        self.statements = statements
        self._disks: dict[str, _Disk] = {}
        for statement in statements:
            if isinstance(statement.event, Acknowledged):
                self._add(statement.event, statement)

    @classmethod
    def read(cls, path: Path) -> Testimony:
        """All whole lines of the witness's file."""
        statements = []
        text = path.read_text(encoding="utf-8", errors="replace")
        for line in text[: text.rfind("\n") + 1].splitlines():
            seen, absent, source, _, words = line.split(" ", 4)
            event = parse_line(words)
            if event is not None:
                statements.append(Statement(int(seen), int(absent), source, event))
        return cls(statements)

    def _add(self, event: Acknowledged, statement: Statement) -> None:
        disk = self._disks.setdefault(event.letter, _Disk())
        if disk.numbers and event.number <= disk.numbers[-1]:
            return  # said again, by a guest that was started from an older state: the first time counts
        disk.numbers.append(event.number)
        disk.seen_ns.append(statement.seen_ns)
        disk.absent_ns.append(statement.absent_ns)

    def last_acknowledged(self, letter: str, before_ns: int | None = None) -> int:
        """The last record of a disk that was seen acknowledged (at or before an instant); 0 when none was."""
        disk = self._disks.get(letter)
        if disk is None:
            return 0
        count = len(disk.numbers) if before_ns is None else bisect_right(disk.seen_ns, before_ns)
        return disk.numbers[count - 1] if count else 0

    def absent_until(self, letter: str, number: int) -> int | None:
        """An instant at which record `number` was surely not acknowledged yet; None when the witness never saw it.

        A guest that is lost between a write and its word leaves a record out: then the one before it counts.
        """
        disk = self._disks.get(letter)
        if disk is None or disk.numbers[-1] < number:
            return None
        place = bisect_right(disk.numbers, number) - 1
        return disk.absent_ns[place] if place >= 0 else 0

    def count_after(self, tops: dict[str, int], before_ns: int | None = None) -> int:
        """How many acknowledged records (at or before an instant) are beyond these tops: a recovery loses them."""
        return sum(max(0, self.last_acknowledged(letter, before_ns) - top) for letter, top in tops.items())

    def longest_pause_seconds(self, since_ns: int, until_ns: int) -> float:
        """The longest time between two acknowledgements of one guest that touches the span; infinite without any."""
        moments: dict[str, list[int]] = {}
        for said in self.statements:
            if isinstance(said.event, Acknowledged):
                moments.setdefault(said.source, []).append(said.seen_ns)
        longest = 0.0
        for seen in moments.values():
            touching = [(b - a) / 1e9 for a, b in pairwise(seen) if b >= since_ns and a <= until_ns]
            longest = max(longest, *touching) if touching and seen[-1] >= until_ns else float("inf")
        return longest if moments else float("inf")

    def worst_write_seconds(self) -> float:
        """The longest write of any guest."""
        return max((s.event.seconds for s in self.statements if isinstance(s.event, WorstWrite)), default=0.0)

    def failures(self) -> list[str]:
        """What the guests said has failed."""
        return [f"{s.source}: {s.event.words}" for s in self.statements if isinstance(s.event, GuestFailure)]
