"""A clone's order carried out: room looked for, the journal verified, then volume after volume copied."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path

from farshore.datapath.clone.image_copy import ImageCopy
from farshore.datapath.journal import Journal
from farshore.datapath.view.volume import open_view
from farshore.errors import Conflict, Fault
from farshore.model.process_lock import ProcessLock
from farshore.model.store_room import room_bytes

VERIFY_ATTEMPTS = 5
LOCK = "lock"
"""The file in the clone's folder that says who writes there."""


@dataclass(frozen=True)
class CloneOrder:
    """What is to be copied. `disks`: {name of the image: volume number}; `reserve_bytes`: see model/store_room.

    `what` and `remedy`: how a lack of room is told.
    """

    journal: str
    checkpoint_id: str
    folder: str
    reserve_bytes: int | None
    disks: dict[str, int]
    what: str = "the clone"
    remedy: str = "Free space there, or name another datastore."


@dataclass
class Copying:
    """Carries one order out; `done_bytes` and `total_bytes` may be read meanwhile, from any thread."""

    order: CloneOrder
    done_bytes: int = 0
    total_bytes: int = 0
    sizes: dict[str, int] = field(default_factory=dict)
    """Bytes of each volume, once it is known."""

    def run(self) -> None:
        """To the end. Raises FarshoreError, OSError; no file was made if there was not enough room at its start."""
        folder, checkpoint_id = Path(self.order.folder), self.order.checkpoint_id
        journal = Path(self.order.journal)
        with contextlib.ExitStack() as stack:
            # All are opened before the first is copied: whatever becomes of the journal, its files can be read then.
            views = {
                name: stack.enter_context(open_view(journal, checkpoint_id, number))
                for name, number in self.order.disks.items()
            }
            copies = [ImageCopy(view, folder / name) for name, view in views.items()]
            self.sizes = {name: view.size_bytes for name, view in views.items()}
            self.total_bytes = sum(copy.total_bytes for copy in copies)
            left = sum(copy.left_bytes() for copy in copies)
            self._demand_room(left)
            verify(journal, checkpoint_id)
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                lock = ProcessLock(folder / LOCK)
            except BlockingIOError:
                raise Conflict(f"Another process writes the clone in {folder}.", "It is ended by itself.") from None
            stack.callback(lock.release)
            self.done_bytes = self.total_bytes - left
            for copy in copies:
                copy.write(self._count, self._look_for_room)

    def _count(self, length: int) -> None:
        self.done_bytes += length

    def _look_for_room(self) -> None:
        self._demand_room(0)

    def _demand_room(self, wanted_bytes: int) -> None:
        """Raises Fault when so much would touch the reserve of the store."""
        folder = Path(self.order.folder)
        there = next(place for place in (folder, *folder.parents) if place.is_dir())
        missing = wanted_bytes - room_bytes(there, self.order.reserve_bytes)
        if missing > 0:
            fact = f"The store of {folder} lacks {missing} bytes for {self.order.what} (its reserve included)."
            raise Fault(fact, self.order.remedy)


def verify(journal: Path, checkpoint_id: str) -> None:
    """Read what the journal has up to the checkpoint against its checksums. Raises DamagedJournal, NotFound."""
    for attempt in range(VERIFY_ATTEMPTS):
        try:
            with Journal.open(journal) as opened:
                opened.verify(last=opened.checkpoint(checkpoint_id).ordinal).raise_if_damaged()
            return
        except FileNotFoundError:  # promoted away meanwhile: what was in it is in the replica
            if attempt == VERIFY_ATTEMPTS - 1:
                raise
