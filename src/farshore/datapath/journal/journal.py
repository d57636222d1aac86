"""The journal as a whole: one object for the carrier (writable) and for anyone who reads the files."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from farshore.datapath.journal.append import Appender, SyncFailed
from farshore.datapath.journal.checkpoint import Checkpoint
from farshore.datapath.journal.control import is_understood
from farshore.datapath.journal.epoch import EpochKeeper
from farshore.datapath.journal.faults import OldEpoch, OldSession, Retired, SequenceGap
from farshore.datapath.journal.files import SegmentFile, segments_folder
from farshore.datapath.journal.floor import Floor
from farshore.datapath.journal.ledger import Ledger
from farshore.datapath.journal.lock import WriterLock, is_being_written
from farshore.datapath.journal.opening import Damage, Opened, Opener
from farshore.datapath.journal.pins import Pins
from farshore.datapath.journal.reserve import StoreReserve
from farshore.datapath.journal.retired import delete_all, retired_epoch, write_retired
from farshore.datapath.journal.taken import Taken
from farshore.datapath.journal.verify import VerifyReport, check_file, name_lost, verify_files
from farshore.datapath.segment import DamagedSegment, SegmentHeader
from farshore.datapath.stream.arrived import Arrived
from farshore.errors import BadInput, Conflict, NotFound

OPEN_ATTEMPTS = 20


class Journal:
    """Open with `Journal.open`. Appending is one thread's; everything else may be called from any thread."""

    def __init__(self, path: Path, opened: Opened, lock: WriterLock | None, reserve_bytes: int | None) -> None:
        self.path = path
        self.floor: Floor = opened.floor
        self.ledger: Ledger = opened.ledger
        self.retired = retired_epoch(path) is not None
        self.taken = Taken() if self.retired else Taken.load(path)
        self.taken.forget_in(self.ledger.catalogue)
        self.damages: list[Damage] = opened.damages
        self.lost: list[str] = opened.ledger.lost
        """Checkpoints that cannot be opened any more because of the damage."""
        self.torn_bytes = opened.torn_bytes
        self.pins = Pins(path)
        self.epoch = EpochKeeper(path)
        self.reserve = StoreReserve(path, reserve_bytes)
        self.last_ordinal = opened.last_ordinal
        self.state_lock = threading.RLock()
        self._append_lock = threading.Lock()
        self._files = opened.files
        self._lock = lock
        self._appender: Appender | None = None
        if lock is not None and not self.damages and not self.retired:
            newest = self._files[-1] if self._files else None
            if newest is not None and newest.last != self.last_ordinal:
                newest = None  # the floor is beyond it: a new file begins
            self._appender = Appender(path, newest, self.last_ordinal)

    @classmethod
    def open(cls, path: Path, writable: bool = False, reserve_bytes: int | None = None) -> Journal:
        """Open the journal in folder `path`; `writable` makes what is missing, cuts a torn tail, and locks out others.

        Damage does not hinder opening: see `damages`. Raises NotFound, JournalInUse, DamagedJournal (floor or epoch).
        """
        lock = None
        if writable:
            for folder in (path, segments_folder(path), path / "replica", path / "pins"):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = WriterLock(path)
            if retired_epoch(path) is not None:
                delete_all(path)
        elif not segments_folder(path).is_dir():
            raise NotFound(f"There is no journal in {path}.", "A journal is a folder with 'segments' in it.")
        try:
            return cls(path, cls._walk(path, trust_tail=writable or not is_being_written(path)), lock, reserve_bytes)
        except BaseException:
            if lock is not None:
                lock.release()
            raise

    @staticmethod
    def _walk(path: Path, *, trust_tail: bool) -> Opened:
        if retired_epoch(path) is not None:
            return Opened(Floor(), Ledger(), [], [], 0)
        for _ in range(OPEN_ATTEMPTS):
            try:
                opened = Opener(path, trust_tail).run()
            except FileNotFoundError:
                continue
            if Floor.load(path).ordinal == opened.floor.ordinal:
                return opened
        raise Conflict(f"Files of {path} went away faster than they could be read.", "Try again.")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files and let go of the lock. All that was acknowledged is durable already."""
        with self._append_lock:
            if self._appender is not None:
                self._appender.close()
                self._appender = None
            if self._lock is not None:
                self._lock.release()
                self._lock = None

    # -- writing
    def judge(self, header: SegmentHeader, after: int | None = None) -> None:
        """Whether this segment may come next; `after`: the sequence of one that is under way before it.

        Raises OldEpoch, OldSession, SequenceGap, DamagedJournal.
        """
        self.demand_undamaged()
        if header.epoch < self.epoch.epoch:
            raise OldEpoch(
                f"Epoch {header.epoch} is over: this journal is at {self.epoch.epoch}.", "The VPG was failed over."
            )
        if header.session < self.ledger.session:
            raise OldSession(f"Session {header.session} is over: {self.ledger.session} is the newest.")
        if after is None:
            after = self.ledger.sequence if header.session == self.ledger.session else 0
        if header.sequence != after + 1:
            raise SequenceGap(f"Segment {header.sequence} came where {after + 1} was due.", "A new stream must begin.")

    def demand_undamaged(self) -> None:
        """Raises DamagedJournal when there is damage (nothing may be written behind it), Retired when it is over."""
        if self.retired:
            raise Retired(
                "This journal is over: its VPG was recovered here for good.",
                "Protect the VPG from this site, or remove it at the other one.",
            )
        if self.damages:
            VerifyReport(damages=self.damages, lost=self.lost).raise_if_damaged()

    def append(self, segments: Sequence[Arrived]) -> None:
        """Make these segments durable, all or none, in order; then they count.

        Raises what `judge` raises for any of them, NoSpace, or Fault when the store's device fails.
        """
        with self._append_lock:
            appender = self._appender
            after: int | None = None
            for each in segments:
                self.judge(each.header, after)
                if not all(map(is_understood, each.control)):
                    raise DamagedSegment(f"Segment {each.header.sequence} has control records that lack something.")
                after = each.header.sequence
            if appender is None:
                raise BadInput("The journal was opened for reading only.")
            self.reserve.demand(sum(each.header.total_bytes for each in segments))
            try:
                appender.append([each.buffers for each in segments])
            except SyncFailed:
                self._check_abandoned(appender)
                appender.append([each.buffers for each in segments])
            with self.state_lock:
                self._taken(appender, segments)

    def _check_abandoned(self, appender: Appender) -> None:
        with self.state_lock:
            for file in appender.abandoned:
                damages = check_file(file.path, file.first, file.end)
                if damages:
                    self._damaged(VerifyReport(damages=damages))
            appender.abandoned.clear()
            self.demand_undamaged()

    def _taken(self, appender: Appender, segments: Sequence[Arrived]) -> None:
        for each in segments:
            self.last_ordinal += 1
            self.ledger.feed(self.last_ordinal, each.header, each.control)
        newest = SegmentFile(appender.path, appender.first, self.last_ordinal, appender.end)
        if self._files and self._files[-1].first == newest.first:
            self._files[-1] = newest
        else:
            self._files.append(newest)

    def raise_epoch(self, epoch: int) -> None:
        """From the return of this on no segment of a lower epoch is appended. Raises OldEpoch for a lower one."""
        with self._append_lock:
            self.epoch.raise_to(epoch)

    def renew_id(self) -> None:
        """Another journal_id: the sender begins anew and compares by hashes."""
        with self._append_lock:
            self.epoch.renew()

    # -- checkpoints
    def checkpoints(
        self, from_ns: int | None = None, to_ns: int | None = None, limit: int | None = None, newest_first: bool = False
    ) -> list[Checkpoint]:
        """Those whose time lies in the bounds, in the order of the stream (or the other way round)."""
        with self.state_lock:
            found = self.ledger.catalogue.page(from_ns, to_ns, limit, newest_first)
            return [offered for each in found if (offered := self.taken.offered(each)) is not None]

    def checkpoint(self, checkpoint_id: str | None) -> Checkpoint:
        """The one of that identifier, or the newest. Raises NotFound."""
        with self.state_lock:
            if checkpoint_id is None:
                found = self.ledger.catalogue.newest()
            else:
                found = self.ledger.catalogue.get(int(checkpoint_id)) if checkpoint_id.isdecimal() else None
            found = None if found is None else self.taken.offered(found)
        if found is None:
            which = "any checkpoint" if checkpoint_id is None else f"checkpoint {checkpoint_id}"
            raise NotFound(f"The journal does not hold {which}.", "List the checkpoints: old ones expire.")
        return found

    def find_marker(self, marker_id: str | None = None, task: str | None = None) -> Checkpoint | str | None:
        """What became of a marker, by identifier or task: its checkpoint, why it is void (text), or not known."""
        with self.state_lock:
            catalogue = self.ledger.catalogue
            found = catalogue.by_marker(marker_id) if marker_id is not None else catalogue.by_task(task or "")
            found = None if found is None else self.taken.offered(found)
            return found or self.ledger.void_of(marker_id, task)

    def pin(self, operation: str, checkpoint_id: str | None = None) -> Checkpoint:
        """Keep a checkpoint (the newest when none is named) until `unpin`. The same operation again gets the same one.

        Raises NotFound when the checkpoint is gone, Conflict when this operation pinned another one.
        """
        with self.state_lock:
            pinned = self.pins.read(operation)
            if pinned is not None:
                if checkpoint_id not in (None, str(pinned)):
                    raise Conflict(f"Operation {operation} has pinned checkpoint {pinned} already.")
                return self.checkpoint(str(pinned))
            checkpoint = self.checkpoint(checkpoint_id)
            self.pins.write(operation, checkpoint.ordinal)
            gone = Floor.load(self.path).openable_from > checkpoint.ordinal
            if gone or Taken.load(self.path).offered(checkpoint) is None:
                self.pins.remove(operation)
                raise NotFound(f"Checkpoint {checkpoint.id} has just expired.", "Choose a newer one.")
            return checkpoint

    def unpin(self, operation: str) -> None:
        """Let go of what the operation pinned; nothing is fine."""
        with self.state_lock:
            self.pins.remove(operation)

    def drop_pin(self, operation: str, pinned_ns: int) -> bool:
        """Let go of a pin that nobody needs any more, if it is still the one that was made then; whether it was."""
        with self.state_lock:
            return self.pins.drop(operation, pinned_ns)

    def volumes_at(self, checkpoint: Checkpoint) -> list[dict[str, Any]]:
        """The VPG's volumes at that checkpoint."""
        with self.state_lock:
            return self.taken.volumes_left(self.ledger.volumes_at(checkpoint.ordinal), checkpoint.ordinal)

    def definitions_at(self, checkpoint: Checkpoint) -> dict[str, dict[str, Any]]:
        """The definition of each VM at that checkpoint, by its identifier."""
        with self.state_lock:
            ordinal = checkpoint.ordinal
            definitions = self.ledger.definitions_at(ordinal)
            return self.taken.definitions_left(definitions, self.ledger.volumes_at(ordinal), ordinal)

    # -- what left the history
    def set_taken(self, taken: Taken) -> None:
        """Make this durable; then it counts."""
        with self.state_lock:
            taken.save(self.path)
            self.taken = taken
            taken.forget_in(self.ledger.catalogue)

    def retire(self) -> None:
        """The journal is over: all but its epoch goes, also for those who open it later. Again is fine."""
        with self._append_lock, self.state_lock:
            if self._lock is None:
                raise BadInput("The journal was opened for reading only.")
            if self.taken.is_under_way:
                raise Conflict("Volumes are being taken out of this journal.", "Wait until that is over.")
            if not self.retired:
                write_retired(self.path, self.epoch.epoch)
            if self._appender is not None:
                self._appender.close()
                self._appender = None
            self.retired, self.taken = True, Taken()
            self.floor, self.ledger, self.damages, self.lost = Floor(), Ledger(), [], []
            self._files, self.last_ordinal = [], 0
            delete_all(self.path)

    # -- files
    def files(self) -> list[SegmentFile]:
        """The files that hold segments above the floor, ascending."""
        with self.state_lock:
            return list(self._files)

    def forget_files(self, up_to: int) -> list[Path]:
        """Files wholly at or below that ordinal, which are no longer this journal's; never the newest."""
        with self.state_lock:
            gone = [file for file in self._files[:-1] if file.last <= up_to]
            self._files = self._files[len(gone) :]
            return [file.path for file in gone]

    def verify(self, last: int | None = None) -> VerifyReport:
        """Read every byte above the floor (up to ordinal `last`) against its checksum.

        What is found damaged counts as such from then on: checkpoints that need it are no longer listed, and nothing is
        appended behind it.
        """
        with self.state_lock:
            until = self.last_ordinal if last is None else last
            files, first = list(self._files), self.floor.ordinal + 1
            known = [damage for damage in self.damages if damage.first <= until]
        report = verify_files(files, first, until, known)
        if report.damages:
            with self.state_lock:
                self._damaged(report)
        return report

    def _damaged(self, report: VerifyReport) -> None:
        begin = report.damages[0].first
        report.lost = self.lost = name_lost(self.path, begin)
        known = {damage.first for damage in self.damages}
        self.damages.extend(damage for damage in report.damages if damage.first not in known)
        self.damages.sort(key=lambda damage: damage.first)
        if self.ledger.damaged_from is None or begin < self.ledger.damaged_from:
            self.ledger.damaged_from = begin
        self.ledger.catalogue.drop_from(begin)
