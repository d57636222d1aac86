"""The law of a delta sync: whatever both sides were before, and whatever is written meanwhile, they end up equal."""

from __future__ import annotations

import random
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from farshore.datapath.journal import Journal
from farshore.datapath.journal_carrier.hash_service import Answers
from farshore.datapath.replica.promotion import Promoter
from farshore.datapath.stream.hash_messages import Question
from farshore.datapath.sync import comparing
from farshore.datapath.sync.comparing import Comparer
from farshore.datapath.sync.reader import Reader
from farshore.datapath.tap.reservation import KIND_DATA
from farshore.datapath.view.volume import VolumeView
from farshore.nbd.client import Extent
from farshore.nbd.constants import STATE_ZERO
from tests.made_streams import MadeStream
from tests.recovery_lab import first_difference

SIZE = 300_000  # no multiple of anything
COARSE = 32768
GRAIN = 512


class Twin:
    """A disk here and its journal there, with a stream between them in which places can be taken."""

    def __init__(self, folder: Path, random_: random.Random) -> None:
        self.random = random_
        self.disk = bytearray(SIZE)
        self.stream = MadeStream()
        self.journal = Journal.open(folder / "j", writable=True, reserve_bytes=0)
        self.waiting: deque[list[object]] = deque()
        """Records that are not sealed yet: [kind, offset, data or None (not filled), length]."""
        self.sent_bytes = 0
        self.stream.begin({0: SIZE})
        self.append()

    def append(self) -> None:
        """Seal what is filled, in order, and make it durable at the other side."""
        while self.waiting and self.waiting[0][2] is not None:
            kind, offset, data, length = self.waiting.popleft()
            if kind == "zero":
                self.stream.zero(0, offset, length)
            elif kind == "data":
                self.stream.write(0, offset, data)
        self.journal.append([self.stream.seal()])

    def write(self, *, told: bool = True) -> None:
        """A write or zeroing somewhere; `told`: it is tapped."""
        length = self.random.choice([GRAIN, 4096, 5 * GRAIN, 40_000 // GRAIN * GRAIN])
        offset = self.random.randrange(0, SIZE - length) // GRAIN * GRAIN
        zero = self.random.random() < 0.2
        # few different contents, so that what was here once comes again
        data = bytes(length) if zero else bytes([self.random.randrange(1, 4)]) * length
        self.disk[offset : offset + length] = data
        if told:
            self.waiting.append(["zero" if zero else "data", offset, data, length])

    def something(self) -> None:
        """What may happen at any moment of the sync."""
        for _ in range(self.random.choice([0, 0, 0, 1, 3])):
            self.write()
        if self.random.random() < 0.2:
            self.append()

    # -- the reader's side: a disk ...

    def block_status(self, offset: int, length: int, context: str = "") -> list[Extent]:
        """Zero where it is, in whole blocks."""
        self.something()
        found: list[Extent] = []
        for at in range(offset, offset + length, 4096):
            size = min(4096, offset + length - at)
            flags = 0 if any(self.disk[at : at + size]) else STATE_ZERO
            if found and found[-1].flags == flags:
                found[-1] = Extent(found[-1].offset, found[-1].length + size, flags)
            else:
                found.append(Extent(at, size, flags))
        return found

    def pread_into(self, buffer: memoryview, offset: int) -> None:
        """As it is now."""
        self.something()
        buffer[:] = self.disk[offset : offset + len(buffer)]
        self.something()

    # -- ... and places in the stream

    def take(self, kind: int, volume: int, offset: int, length: int) -> None:
        """A place here."""
        assert volume == 0
        self.place: list[object] = ["data" if kind == KIND_DATA else "zero", offset, None, length]
        self.waiting.append(self.place)
        self.something()

    def fill(self, payload: memoryview | None) -> int:
        """Fill it."""
        self.something()
        self.place[2] = b"" if payload is None else bytes(payload)
        self.sent_bytes += 0 if payload is None else len(payload)
        return 0

    def cancel(self) -> None:
        """Give it up."""
        self.place[0], self.place[2] = "none", b""

    def there(self) -> bytes:
        """The volume as the stream's tip has it."""
        buffer = bytearray(SIZE)
        with VolumeView(self.journal, 0, self.journal.last_ordinal) as view:
            view.read_into(memoryview(buffer), 0)
        return bytes(buffer)


class Hashes:
    """The other side's digests; the connection breaks now and then, and the next one sees a later state."""

    def __init__(self, twin: Twin, breaks: Callable[[], bool]) -> None:
        self.twin, self.breaks = twin, breaks
        self.seed = 77
        self.received_bytes, self.reason = 0, ""
        self.answers = Answers(twin.journal, self.seed)
        self.open: deque[tuple[Question, list[bytes] | None]] = deque()
        self.most = 0

    def ask(self, question: Question) -> None:
        """Sometimes answered at once, sometimes later."""
        early = self.twin.random.random() < 0.5
        self.open.append((Question.parse(question.pack()), self._digests(question) if early else None))
        self.most = max(self.most, len(self.open))

    def answer(self) -> list[bytes]:
        """To the oldest question."""
        self.twin.something()
        if self.breaks():
            self.close()
            self.answers = Answers(self.twin.journal, self.seed)
        question, digests = self.open.popleft()
        return digests or self._digests(question)

    def _digests(self, question: Question) -> list[bytes]:
        data = self.answers.to(question)
        self.received_bytes += len(data)
        return [data[at : at + 16] for at in range(0, len(data), 16)]

    def close(self) -> None:
        """Its files."""
        self.answers.close()


@pytest.fixture(autouse=True, scope="module")
def small_blocks() -> Iterator[None]:
    """A small disk has many of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparing, "COARSE_BYTES", COARSE)
        patch.setattr(comparing, "QUESTION_BYTES", 2 * COARSE)
        yield


def delta_sync(twin: Twin) -> tuple[Reader, Hashes]:
    """From now on all is tapped; compare."""
    hashes = Hashes(twin, lambda: twin.random.random() < 0.1)
    reader = Reader(twin, lambda _: None)  # type: ignore[arg-type]
    Comparer(hashes, reader).compare(twin, 0, SIZE)  # type: ignore[arg-type]
    twin.append()
    hashes.close()
    return reader, hashes


# to shrink a seed means nothing, and takes minutes
@settings(deadline=None, max_examples=60, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(seed=st.integers(0, 2**32), before=st.integers(0, 30), missed=st.integers(0, 20), promote=st.booleans())
def test_after_a_delta_sync_both_sides_are_equal(seed: int, before: int, missed: int, promote: bool) -> None:
    """Some writes reached the other side, some did not; others come in the middle of the sync, also twice."""
    with tempfile.TemporaryDirectory() as folder:
        twin = Twin(Path(folder), random.Random(seed))
        for _ in range(before):
            twin.write()
        twin.append()
        if promote:
            twin.stream.marker("m", [0])
            twin.append()
            twin.stream.say(type="vouch", id="m")
            twin.append()
            Promoter(twin.journal, -1.0).step(twin.stream.clock_ns * 2)
        for _ in range(missed):
            twin.write(told=False)
        reader, hashes = delta_sync(twin)
        assert reader.done_bytes == SIZE
        assert hashes.most <= comparing.OPEN_QUESTIONS_MIN + 2 * 2
        assert first_difference(twin.there(), twin.disk) is None
        twin.journal.close()


def test_only_blocks_that_differ_are_sent(tmp_path: Path) -> None:
    """Nothing is sent of equal disks; afterwards as many bytes as the 4 KiB blocks have that differ, no more."""
    twin = Twin(tmp_path, random.Random(5))
    for _ in range(20):
        twin.write()
    twin.append()
    twin.something = lambda: None  # type: ignore[method-assign]
    reader, hashes = delta_sync(twin)
    assert twin.sent_bytes == reader.sent_bytes == 0
    assert hashes.received_bytes == -(-SIZE // COARSE) * 16
    differ = {0, 1, 30, SIZE // 4096}
    for block in differ:
        twin.disk[block * 4096 + 7] ^= 0xFF
    reader, _ = delta_sync(twin)
    assert reader.sent_bytes == sum(min(4096, SIZE - block * 4096) for block in differ)
    assert first_difference(twin.there(), twin.disk) is None
    twin.journal.close()


def test_an_older_record_that_comes_after_the_comparison_would_be_wrong(tmp_path: Path) -> None:
    """Why the round waits: a block was found equal, then an old record overwrites it. The test of the law sees it."""
    twin = Twin(tmp_path, random.Random(5))
    twin.something = lambda: None  # type: ignore[method-assign]
    twin.disk[:4096] = b"x" * 4096
    twin.waiting.append(["data", 0, b"x" * 4096, 4096])  # sealed before the round, and still on its way
    twin.disk[:4096] = bytes(4096)  # missed by the tap; as the other side has it so far
    hashes = Hashes(twin, lambda: False)
    Comparer(hashes, Reader(twin, lambda _: None)).compare(twin, 0, SIZE)  # type: ignore[arg-type]
    twin.append()
    assert first_difference(twin.there(), twin.disk) == 0
    hashes.close()
    twin.journal.close()
