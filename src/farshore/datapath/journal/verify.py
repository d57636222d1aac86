"""Reading a journal's files as a whole: every byte against its checksum, every damage named with what it costs."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from farshore.datapath.journal.faults import DamagedJournal
from farshore.datapath.journal.files import BadBytes, SegmentFile, find_segment, read_segment, walk
from farshore.datapath.journal.opening import Damage, Opener

NAMING_ATTEMPTS = 5


@dataclass(slots=True)
class VerifyReport:
    """`lost`: identifiers of the checkpoints that cannot be opened because of the damage."""

    segments: int = 0
    bytes: int = 0
    damages: list[Damage] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def raise_if_damaged(self) -> None:
        """Raises DamagedJournal, naming the segments and the checkpoints lost."""
        if self.damages:
            lost = f"Checkpoints lost: {', '.join(self.lost)}." if self.lost else "No checkpoint is lost."
            what = "; ".join(str(damage) for damage in self.damages)
            raise DamagedJournal(
                f"The journal is damaged: {what}. {lost}",
                "Checkpoints before it can be opened; a new sync begins a new history.",
                self.damages[0].first,
            )


def verify_files(files: list[SegmentFile], first: int, last: int, known: list[Damage]) -> VerifyReport:
    """Read segments `first`..`last` with their payloads. `known`: damage found at open, kept in the report."""
    report = VerifyReport(damages=list(known))
    for file in files:
        if file.last < first or file.first > last:
            continue
        fd = os.open(file.path, os.O_RDONLY)
        try:
            _verify_file(fd, file, first, last, report)
        finally:
            os.close(fd)
    report.damages.sort(key=lambda damage: damage.first)
    return report


def _verify_file(fd: int, file: SegmentFile, first: int, last: int, report: VerifyReport) -> None:
    offset, ordinal = 0, file.first
    while offset < file.end:
        gap = next((each for each in report.damages if each.path == file.path and each.offset == offset), None)
        if gap is not None:  # known from the walk at open: its header cannot be followed
            found = find_segment(fd, offset + 1, file.end)
            if found is None:
                return
            offset, ordinal = found[0], gap.last + 1
        try:
            placed = next(walk(fd, ordinal, offset=offset, end=file.end))
        except BadBytes as error:
            report.damages.append(Damage(error.ordinal, file.last, file.path, error.offset, error.fact))
            return
        if placed.ordinal > last:
            return
        if placed.ordinal >= first:
            try:
                read_segment(fd, placed)
            except BadBytes as error:
                report.damages.append(Damage(error.ordinal, error.ordinal, file.path, error.offset, error.fact))
            report.segments += 1
            report.bytes += placed.header.total_bytes
        offset, ordinal = placed.end, ordinal + 1


def name_lost(journal: Path, begin: int) -> list[str]:
    """The checkpoints that damage from `begin` on costs: all vouched markers from there on, as far as readable."""
    for _ in range(NAMING_ATTEMPTS):
        opener = Opener(journal)
        opener.opened.ledger.damaged_from = begin
        try:
            return [each for each in opener.run().ledger.lost if int(each) >= begin]
        except FileNotFoundError:  # promoted away while it was read: what was in it is not lost
            continue
    return []


def check_file(path: Path, first: int, end: int) -> list[Damage]:
    """Read back the durable part of a file that was left after an error."""
    return verify_files([SegmentFile(path, first, first + (1 << 62), end)], first, first + (1 << 62), []).damages
