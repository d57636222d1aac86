"""The law of a recovered set of the test guests' disks, checked from the host with other code than the guests'.

If write A was acknowledged before write B was issued, the recovered disks hold neither, only A, or both; never B
alone. The guests' chain makes that checkable: over all disks in the chain's order, what is recovered must be an
unbroken prefix (`check_prefix`). And a checkpoint that was asked for at T1 and whose task completed at T2 must hold all
that was acknowledged before T1, and nothing that was issued after T2 (`check_instants`, by the witness).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Self

from farshore.errors import Damaged
from farshore.lab.disk_examination import DiskFinding, Fault, Kind, examine_disk
from farshore.lab.record_layout import DiskLayout, ReadableDisk
from farshore.lab.testimony import Testimony


@dataclass(frozen=True)
class LawReport:
    """What was checked and found: the disks in the chain's order, and every fault."""

    findings: tuple[DiskFinding, ...]
    faults: tuple[Fault, ...]

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults

    @property
    def tops(self) -> dict[str, int]:
        """The last record of each disk, by letter."""
        return {finding.letter: finding.top for finding in self.findings}

    @property
    def summary(self) -> str:
        """One line for a table: what was checked, or the faults."""
        if self.faults:
            return "; ".join(str(fault) for fault in self.faults[:5])
        tops = " ".join(f"{letter}={top}" for letter, top in self.tops.items())
        random_mib = sum(finding.random_bytes for finding in self.findings) >> 20
        records = sum(finding.records for finding in self.findings)
        return f"unbroken prefix {tops}: {records} records and {random_mib} MiB of random data checked"


class ImageFile:
    """A raw image, read as a disk. Close it after use (a context manager)."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_RDONLY)

    def pread(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes. Raises Damaged when the file ends before."""
        parts = []
        while length:
            part = os.pread(self._handle, length, offset)
            if not part:
                raise Damaged(f"The image ends at {offset}.")
            parts.append(part)
            offset, length = offset + len(part), length - len(part)
        return b"".join(parts)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)


def check_prefix(findings: Sequence[DiskFinding]) -> list[Fault]:
    """The chain over all disks: in its order the tops never rise, and the last is at most one below the first."""
    ordered = sorted(findings, key=lambda finding: finding.number)
    faults = []
    for before, after in pairwise(ordered):
        if after.top > before.top:
            words = f"it holds record {after.top}, while disk {before.letter} ends at {before.top}"
            faults.append(Fault(Kind.ORDER, after.letter, words))
    if ordered and ordered[0].top > ordered[-1].top + 1:
        words = f"it holds record {ordered[0].top}, while disk {ordered[-1].letter} ends at {ordered[-1].top}"
        faults.append(Fault(Kind.ORDER, ordered[0].letter, words))
    return faults


def check_instants(
    findings: Sequence[DiskFinding], testimony: Testimony, asked_ns: int | None, completed_ns: int | None
) -> list[Fault]:
    """Against the witness: all that was acknowledged before `asked_ns`, nothing that was issued after `completed_ns`.

    Unix time in nanoseconds; None leaves that half out. A record was issued after the one before it in the chain was
    acknowledged: when that was surely not acknowledged yet at `completed_ns`, the record was issued later.
    """
    ordered = sorted(findings, key=lambda finding: finding.number)
    faults = []
    for place, finding in enumerate(ordered):
        if asked_ns is not None:
            known = testimony.last_acknowledged(finding.letter, asked_ns)
            if known > finding.top:
                words = f"it ends at record {finding.top}, but {known} was acknowledged before the checkpoint was asked"
                faults.append(Fault(Kind.TOO_SHORT, finding.letter, words))
        if completed_ns is not None and finding.top > 0:
            before = ordered[place - 1].letter  # of the first disk: the last, with the record before
            number = finding.top if place else finding.top - 1
            faults += _issued_later(finding, testimony, before, number, completed_ns)
    return faults


def _issued_later(
    finding: DiskFinding, testimony: Testimony, before: str, number: int, completed_ns: int
) -> list[Fault]:
    if number == 0:
        return []
    absent_ns = testimony.absent_until(before, number)
    if absent_ns is None:
        words = f"it holds record {finding.top}, and the witness never saw {number} of disk {before} acknowledged"
        return [Fault(Kind.UNWITNESSED, finding.letter, words)]
    if absent_ns > completed_ns:
        late_ms = (absent_ns - completed_ns) / 1e6
        words = (
            f"it holds record {finding.top}, issued after record {number} of disk {before}, which was not acknowledged "
            f"{late_ms:.0f} ms after the checkpoint's task had completed"
        )
        return [Fault(Kind.TOO_LONG, finding.letter, words)]
    return []


def check_recovered_set(
    disks: Mapping[int, tuple[DiskLayout, ReadableDisk]],
    testimony: Testimony | None = None,
    asked_ns: int | None = None,
    completed_ns: int | None = None,
) -> LawReport:
    """All checks over one recovered set, by disk number. Raises Damaged when a disk cannot be read."""
    findings = tuple(examine_disk(layout, disk) for _, (layout, disk) in sorted(disks.items()))
    faults = [fault for finding in findings for fault in finding.faults]
    faults += check_prefix(findings)
    if testimony is not None:
        faults += check_instants(findings, testimony, asked_ns, completed_ns)
    return LawReport(findings, tuple(faults))


def check_images(images: Sequence[Path], testimony: Testimony | None = None, asked_ns: int | None = None) -> LawReport:
    """The same for raw image files that have their layouts beside them."""
    disks: dict[int, tuple[DiskLayout, ReadableDisk]] = {}
    opened: list[ImageFile] = []
    try:
        for image in images:
            layout = DiskLayout.load(image)
            opened.append(ImageFile(image))
            disks[layout.number] = (layout, opened[-1])
        return check_recovered_set(disks, testimony, asked_ns)
    finally:
        for file in opened:
            file.__exit__()
