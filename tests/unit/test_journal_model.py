"""The journal against plain bytearrays: each listed checkpoint is exactly what the disks were at its marker.

The machine writes, syncs, cuts markers, vouches, voids, breaks, pins, promotes, and ends the process at any byte of an
append or in the middle of a promotion. The model keeps a copy of the disks for each marker and knows by itself which
markers count.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from farshore.datapath.journal import Arrived, Journal, append
from farshore.datapath.replica.image import Images
from farshore.datapath.replica.promotion import Promoter
from farshore.datapath.view.volume import VolumeView
from farshore.errors import NotFound
from tests.made_streams import START_NS, MadeStream, wire

SIZES = {0: 600, 3: 513}
SECOND = 1_000_000_000


class Killed(BaseException):
    """The process ends here."""


class JournalMachine(RuleBasedStateMachine):
    """One journal and its model."""

    def __init__(self) -> None:
        """Begin with an initial sync of disks full of zeros."""
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="fs", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
        self.file_bytes_max = append.FILE_BYTES_MAX
        append.FILE_BYTES_MAX = 3000
        self.journal = Journal.open(self.folder, writable=True, reserve_bytes=0)
        self.disks = {number: bytearray(size) for number, size in SIZES.items()}
        self.ordinal = 0
        self.synced = False
        self.copies: dict[int, dict[int, bytes]] = {}
        self.candidates: dict[str, int] = {}
        self.expected: dict[int, str] = {}
        self.pinned: dict[str, int] = {}
        self.pieces: list[tuple[Arrived, list[tuple[str, object]]]] = []
        self.effects: list[tuple[str, object]] = []
        self.markers = 0
        self.stream = MadeStream()
        self.stream.begin(SIZES)
        self.effects.append(("break", None))
        self.effects.append(("synced", None))

    def teardown(self) -> None:
        """Remove everything."""
        try:
            self.check_all()
        finally:
            self.journal.close()
            append.FILE_BYTES_MAX = self.file_bytes_max
            shutil.rmtree(self.folder)

    # -- what is put into the segment being made
    @rule(
        number=st.sampled_from(list(SIZES)),
        offset=st.integers(0, 512),
        data=st.binary(min_size=1, max_size=90),
        sync=st.booleans(),
    )
    def write(self, number, offset, data, sync):
        """A write of any bytes at any place."""
        self.stream.write(number, offset, data := data[: SIZES[number] - offset], sync)
        self.effects.append(("bytes", (number, offset, data)))

    @rule(
        number=st.sampled_from(list(SIZES)), offset=st.integers(0, 512), length=st.integers(1, 600), sync=st.booleans()
    )
    def zero(self, number, offset, length, sync):
        """Zeroes."""
        length = min(length, SIZES[number] - offset)
        self.stream.zero(number, offset, length, sync)
        self.effects.append(("bytes", (number, offset, bytes(length))))

    @rule(whole=st.integers(0, 5))
    def marker(self, whole):
        """A marker, now and then one that is not good for all volumes; it ends its segment."""
        self.markers += 1
        name = f"m{self.markers}"
        self.stream.clock_ns += SECOND
        self.stream.marker(name, list(SIZES) if whole else [0])
        self.effects.append(("marker" if whole else "partial", name))
        self.seal()

    @precondition(lambda self: self.markers)
    @rule(back=st.integers(0, 3), void=st.integers(0, 4))
    def vouch(self, back, void):
        """The word for one of the last markers, good or bad, whatever became of it."""
        name = f"m{max(1, self.markers - back)}"
        self.stream.say(type="vouch" if void else "void", id=name)
        self.effects.append(("vouch" if void else "void", name))
        self.seal()

    @rule(
        writes=st.lists(
            st.tuples(st.sampled_from(list(SIZES)), st.integers(0, 512), st.binary(min_size=1, max_size=90)), max_size=5
        ),
        good=st.integers(0, 7),
    )
    def checkpoint(self, writes, good):
        """What goes on most of the time: writes, a marker, its vouch, all durable."""
        for number, offset, data in writes:
            self.write(number, offset, data, False)
        self.marker(1)
        for number, offset, data in writes[:1]:
            self.write(number, 512 - offset, data, False)
        self.vouch(0, good)
        self.append_all()

    another_checkpoint = checkpoint
    and_another_checkpoint = checkpoint

    @rule(kind=st.sampled_from(["record", "flag", "session", "sync"]), repaired=st.booleans())
    def lose_history(self, kind, repaired=False):
        """A break, a new session or the begin of a sync: nothing counts until a sync is over."""
        self.seal()
        if kind == "session":
            self.stream = MadeStream(self.stream.session + 1, clock_ns=self.stream.clock_ns)
        elif kind == "flag":
            self.stream.flags = 4
        elif kind == "record":
            self.stream.say(type="break", reason="test")
        else:
            self.stream.say(type="sync_begin", kind="bitmap", volumes=[3])
        self.effects.append(("break" if kind != "sync" else "unsynced", None))
        if repaired:
            self.end_sync()

    @rule()
    def end_sync(self):
        """A sync of all volumes is over."""
        self.stream.say(type="sync_end", volumes=list(SIZES))
        self.effects.append(("synced", None))

    def seal(self):
        """Close the segment; it waits to be appended."""
        self.pieces.append((self.stream.seal(), self.effects))
        self.effects = []

    # -- what happens to the journal
    @rule()
    def append_all(self):
        """All waiting segments in one group, one session at a time as a connection would."""
        self.seal()
        while self.pieces:
            session = self.pieces[0][0].header.session
            group = [piece for piece in self.pieces if piece[0].header.session == session]
            self.pieces = self.pieces[len(group) :]
            self.journal.append([arrived for arrived, _ in group])
            for _, effects in group:
                self.count(effects)

    def count(self, effects):
        """The model takes a durable segment."""
        self.ordinal += 1
        for kind, what in effects:
            if kind == "bytes":
                number, offset, data = what
                self.disks[number][offset : offset + len(data)] = data
            elif kind == "marker" and self.synced:
                self.candidates[what] = self.ordinal
                self.copies[self.ordinal] = {number: bytes(disk) for number, disk in self.disks.items()}
            elif kind == "vouch" and self.candidates.get(what, self.ordinal) < self.ordinal:
                self.expected[self.candidates.pop(what)] = what
            elif kind == "void":
                self.candidates.pop(what, None)
            elif kind == "break":
                self.candidates.clear()
                self.synced = False
            elif kind in ("synced", "unsynced"):
                self.synced = kind == "synced"

    @rule(share=st.floats(0, 1))
    def end_of_process_in_an_append(self, share):
        """kill -9: of the group being written any number of bytes are in the file; the half segment is cut."""
        self.seal()
        group = [piece for piece in self.pieces if piece[0].header.session == self.pieces[0][0].header.session]
        data = [wire(arrived) for arrived, _ in group]
        left = int(share * sum(map(len, data)))
        self.journal.close()
        files = sorted((self.folder / "segments").iterdir())
        path = files[-1] if files else self.folder / "segments" / f"{1:020d}.segments"
        with path.open("ab") as file:
            file.write(b"".join(data)[:left])
        for at, each in enumerate(data):
            left -= len(each)
            if left < 0:
                self.pieces = self.pieces[at:]
                break
            self.count(group[at][1])
        else:
            self.pieces = self.pieces[len(data) :]
        self.reopen()

    def reopen(self):
        """The carrier starts again, and finishes a promotion that was under way."""
        self.journal = Journal.open(self.folder, writable=True, reserve_bytes=0)
        assert not self.journal.damages
        Promoter(self.journal, 0).finish()

    @rule(history=st.sampled_from([0, 1, 3, 1000]))
    def promote(self, history):
        """Retention does what is due."""
        Promoter(self.journal, history).step(START_NS * 2)

    @rule(after=st.integers(1, 3), history=st.sampled_from([0, 2]))
    def end_of_process_in_a_promotion(self, after, history):
        """kill -9 in the middle of a promotion: what is offered before it is finished is right as well."""
        syncs = 0
        real = Images.sync

        def sync(images):
            nonlocal syncs
            syncs += 1
            if syncs == after:
                raise Killed
            real(images)

        Images.sync = sync
        try:
            Promoter(self.journal, history).step(START_NS * 2)
        except Killed:
            self.check_all()
            self.journal.close()
            with Journal.open(self.folder) as reader:
                self.check(reader)
            self.reopen()
        finally:
            Images.sync = real

    @precondition(lambda self: self.expected)
    @rule(operation=st.sampled_from(["a", "b"]), pick=st.floats(0, 1))
    def pin(self, operation, pick):
        """Pin one of the checkpoints that are offered."""
        if operation in self.pinned:
            return
        offered = self.offered()
        ordinal = offered[int(pick * (len(offered) - 1))]
        assert self.journal.pin(operation, str(ordinal)).ordinal == ordinal
        self.pinned[operation] = ordinal

    @rule(operation=st.sampled_from(["a", "b"]))
    def unpin(self, operation):
        """Let go."""
        self.journal.unpin(operation)
        self.pinned.pop(operation, None)

    # -- what must hold
    def offered(self) -> list[int]:
        """What the model says is listed."""
        return sorted(ordinal for ordinal in self.expected if ordinal >= self.journal.floor.openable_from)

    @invariant()
    def list_is_the_models(self):
        """Exactly the vouched markers above the floor are listed; the newest and the pinned ones always."""
        assert self.journal.last_ordinal == self.ordinal
        assert [each.ordinal for each in self.journal.checkpoints()] == self.offered()
        if self.expected:
            assert max(self.expected) in self.offered()
        assert set(self.pinned.values()) <= set(self.offered())

    def check_all(self):
        """Every listed checkpoint's every byte, by the carrier's journal and by a reader's from the files."""
        self.check(self.journal)
        with Journal.open(self.folder) as reader:
            self.check(reader)

    def check(self, journal):
        """Views equal the copies that were made at the markers; the holes are where the model has breaks."""
        assert [each.ordinal for each in journal.checkpoints()] == self.offered()
        for checkpoint in journal.checkpoints():
            for number, size in SIZES.items():
                buffer = bytearray(size)
                with VolumeView(journal, number, checkpoint.ordinal) as view:
                    view.read_into(memoryview(buffer), 0)
                assert buffer == self.copies[checkpoint.ordinal][number], (checkpoint, number)
        assert not journal.verify().damages


TestJournalAgainstItsModel = JournalMachine.TestCase
TestJournalAgainstItsModel.settings = settings(max_examples=120, stateful_step_count=50, deadline=None)


def test_the_model_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine finds a journal that lists a marker in spite of a break: it is no decoration."""
    from farshore.datapath.journal.ledger import Ledger

    machine = JournalMachine()
    try:
        machine.append_all()
        machine.marker(1)
        monkeypatch.setattr(Ledger, "_break", lambda *_: None)
        machine.lose_history("record")
        machine.vouch(0, 1)
        machine.append_all()
        with pytest.raises(AssertionError):
            machine.list_is_the_models()
        machine.expected = {each.ordinal: "" for each in machine.journal.checkpoints()}
        with pytest.raises(NotFound):
            machine.journal.checkpoint("1")
    finally:
        machine.teardown()
