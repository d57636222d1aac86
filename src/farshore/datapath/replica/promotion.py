"""Promotion: the oldest part of the journal goes into the base images, then its files are deleted.

1. Choose the target by the retention rules. 2. Read and verify every segment up to it. 3. Say so in base.json. 4. Look
at the pins again: one that came meanwhile wins. 5. File by file: apply, fdatasync, move the floor, delete. 6. The
floor is the target; base images of volumes that no checkpoint from there on has are removed.
Volumes that were taken out are left out; while one is being taken out nothing is promoted.
A crash after 3 is repaired by doing 5 and 6 again; until then no checkpoint below the target is offered.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from farshore.datapath.journal import Journal
from farshore.datapath.journal.files import SegmentFile, list_files, read_segment, walk
from farshore.datapath.journal.floor import Floor
from farshore.datapath.journal.ledger import Ledger
from farshore.datapath.journal.retention import promotion_target
from farshore.datapath.replica.image import Images
from farshore.datapath.replica.old_disks import OldDisks
from farshore.model.files import sync_directory

_LOG = logging.getLogger(__name__)


class Promoter:
    """Promotes one journal, which must be open for writing. One thread's; the journal is appended to meanwhile."""

    def __init__(self, journal: Journal, history_seconds: float, bases: OldDisks | None = None) -> None:
        """`bases`: the old disks under the journal, if it may have any."""
        self.journal = journal
        self._bases_change = bases.change if bases is not None else nullcontext[None]
        self.history_seconds = history_seconds
        self.pauses: Callable[[], bool] = lambda: False
        """Asked after each file: whether to leave the rest for the next step."""

    def target(self, now_ns: int) -> int | None:
        """Up to which ordinal could be promoted now."""
        journal = self.journal
        if journal.taken.is_under_way:
            return None
        pinned = journal.pins.all().values()
        with journal.state_lock:
            files = journal.files()
            return promotion_target(
                journal.ledger,
                floor=journal.floor.ordinal,
                last_closed=files[-1].first - 1 if files else journal.floor.ordinal,
                pinned=pinned,
                history_seconds=self.history_seconds,
                now_ns=now_ns,
            )

    def step(self, now_ns: int) -> bool:
        """Promote what may go now; whether anything did. Raises DamagedJournal, OSError (then it is tried again)."""
        journal = self.journal
        if journal.floor.promoting is None:
            target = self.target(now_ns)
            if target is None or not self._begin(target):
                return False
        self.finish()
        return True

    def _begin(self, target: int) -> bool:
        journal = self.journal
        journal.verify(last=target).raise_if_damaged()
        with journal.state_lock:
            before = journal.floor
            self._set_floor(replace(before, promoting=target))
            if any(ordinal < target for ordinal in journal.pins.all().values()):
                self._set_floor(before)
                return False
            journal.ledger.pass_floor(target)
        return True

    def _set_floor(self, floor: Floor) -> None:
        floor.save(self.journal.path)
        self.journal.floor = floor

    def finish(self) -> None:
        """Carry out a promotion that was begun (also by a process that died), up to the end or a pause."""
        journal = self.journal
        target = journal.floor.promoting
        if target is None:
            return
        ledger = Ledger.restore(journal.floor.state, journal.floor.ordinal)
        with self._bases_change(), Images(journal.path, journal.taken.numbers) as images:
            for file in journal.files():
                if file.last <= journal.floor.ordinal:
                    continue
                self._apply_file(file, target, ledger, images)
                images.sync()
                self._advance(min(file.last, target), target, ledger)
                if file.last >= target or self.pauses():
                    break
        self.delete_promoted()
        self._drop_images()

    def _apply_file(self, file: SegmentFile, target: int, ledger: Ledger, images: Images) -> None:
        fd = os.open(file.path, os.O_RDONLY)
        try:
            for placed in walk(fd, file.first, end=file.end):
                if placed.ordinal > target:
                    return
                if placed.ordinal <= self.journal.floor.ordinal:
                    continue
                segment = read_segment(fd, placed)
                images.apply(segment)
                ledger.feed(placed.ordinal, placed.header, segment.control)
                for record in segment.control:
                    if record.get("type") == "volumes":
                        images.resize(record["volumes"])
        finally:
            os.close(fd)

    def _advance(self, ordinal: int, target: int, ledger: Ledger) -> None:
        with self.journal.state_lock:
            reached = ordinal == target
            self._set_floor(
                Floor(
                    ordinal=ordinal,
                    promoting=None if reached else target,
                    checkpoint=self.journal.ledger.catalogue.get(target) if reached else None,
                    state=ledger.snapshot(ordinal),
                )
            )
        self.delete_promoted()

    def _drop_images(self) -> None:
        """Remove the base images of volumes that no checkpoint has any more: their VMs were taken out of the VPG.

        A number is never given twice, so no such volume comes again. Old disks that are one stay where they are.
        """
        journal = self.journal
        present = {int(volume["number"]) for volume in journal.floor.state.get("volumes", [])}
        if not present or journal.floor.promoting is not None:
            return
        for path in (journal.path / "replica").glob("*.raw"):
            number = int(path.stem)
            if number not in present | journal.taken.numbers and not path.is_symlink():
                path.unlink()
                _LOG.info("volume %d is in no checkpoint any more: its base image was removed", number)

    def delete_promoted(self) -> None:
        """Delete files that the floor has passed; views that have them open keep reading them."""
        gone: list[Path] = self.journal.forget_files(self.journal.floor.ordinal)
        kept = {file.path for file in self.journal.files()}
        first = min((file.first for file in self.journal.files()), default=None)
        if first is not None:  # what a process that died between floor and deletion left behind
            gone += [path for begin, path in list_files(self.journal.path) if begin < first and path not in kept]
        for path in dict.fromkeys(gone):
            path.unlink(missing_ok=True)
        if gone:
            sync_directory(self.journal.path / "segments")
            _LOG.info("promoted up to %d, %d files deleted", self.journal.floor.ordinal, len(gone))
