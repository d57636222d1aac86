"""The journal carrier's hashes over real TLS, asked for by the sync reader's own end of the connection."""

from __future__ import annotations

import random
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from farshore.datapath.stream.destination import HashPeer
from farshore.datapath.stream.hash_messages import QUESTION, QUESTION_BYTES_MAX, Question, digest
from farshore.datapath.stream.messages import hashes_preamble, pack_line, parse_preamble
from farshore.datapath.sync.hash_source import AnotherJournal, HashSource
from farshore.identity.contexts import client_context
from tests.made_streams import VPG_ID, MadeStream
from tests.service.test_receiver import Carrier, identities  # noqa: F401 (a fixture)

SIZE = (3 << 20) + 1234
MIB = 1 << 20


class Port(threading.Thread):
    """The appliance's port, for connections that ask for hashes."""

    def __init__(self, carrier: Carrier) -> None:
        """`carrier` gets them."""
        super().__init__(daemon=True)
        self.carrier = carrier
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.refuses = 0
        self.accepted: list[socket.socket] = []

    def run(self) -> None:
        """Until the listener is closed."""
        while True:
            try:
                accepted, _ = self.listener.accept()
            except OSError:
                return
            line = b""
            while not line.endswith(b"\n"):
                line += accepted.recv(1)
            assert parse_preamble(line) == ("hashes", VPG_ID)
            if self.refuses:
                self.refuses -= 1
                accepted.close()
                continue
            socket.send_fds(self.carrier.connections, [b"h"], [accepted.fileno()])
            self.accepted.append(accepted)

    def cut(self) -> None:
        """All connections are broken."""
        for each in self.accepted:
            each.shutdown(socket.SHUT_RDWR)

    def let_go(self) -> None:
        """The carrier alone has them, as with the real port."""
        for each in self.accepted:
            each.close()
        self.accepted.clear()


class Bench:
    """A carrier with a volume that was written at random, and what it must be."""

    def __init__(self, folder: Path, identities_: Path) -> None:
        """Filled."""
        self.identities = identities_
        self.carrier = Carrier(folder, identities_, history_seconds=0)
        self.content = bytearray(SIZE)
        self.stream = MadeStream()
        self.random = random.Random(3)
        self.sender = self.carrier.connect()
        self.journal_id = self.sender.hello()["journal_id"]
        self.stream.begin({0: SIZE})
        self.sources: list[HashSource] = []
        self.waited: list[str] = []
        self.port = Port(self.carrier)
        self.port.start()
        for _ in range(5):
            self.write(20)

    def checkpoint(self, name: str) -> None:
        """One more, a second later."""
        self.stream.clock_ns += 10**9
        self.stream.marker(name, [0])
        self.write(1)
        self.stream.say(type="vouch", id=name)
        self.write(1)

    def write(self, count: int) -> None:
        """A durable segment of writes."""
        for _ in range(count):
            data = self.random.randbytes(self.random.choice([512, 5000, 70_000]))
            offset = self.random.randrange(SIZE - len(data))
            self.stream.write(0, offset, data)
            self.content[offset : offset + len(data)] = data
        self.sender.send(self.stream.seal())
        self.sender.acknowledged(self.stream.sequence)

    def source(self, site: str = "north", **other: Any) -> HashSource:
        """As a sync reader has it."""
        host, port = self.port.listener.getsockname()
        known: dict[str, Any] = {"vpg_id": VPG_ID, "epoch": 1, "session": 1, "sequence": self.stream.sequence}
        known |= {"journal_id": self.journal_id, "host": host, "port": port}
        made: HashSource = HashSource(
            HashPeer(**{**known, **other}),
            lambda: client_context(self.identities / site, "south"),
            lambda: self.waits(made),
        )
        self.sources.append(made)
        return made

    def waits(self, source: HashSource) -> None:
        """Called in each pause; one that goes on for ever ends here."""
        self.waited.append(source.reason)
        if len(self.waited) > 3:
            raise GaveUp(source.reason)

    def expected(self, question: Question, seed: int) -> list[bytes]:
        """The answer to it."""
        end = question.offset + question.length
        return [
            digest(self.content[at : min(at + question.block_bytes, end)], seed)
            for at in range(question.offset, end, question.block_bytes)
        ]

    def close(self) -> None:
        """Leave nothing behind."""
        for each in self.sources:
            each.close()
        self.sender.link.close()
        self.port.listener.shutdown(socket.SHUT_RDWR)
        self.port.join(10)
        self.port.listener.close()
        self.port.let_go()
        if self.carrier.process.poll() is None:
            self.carrier.forget()
        self.carrier.listener.close()


class GaveUp(Exception):
    """The test has waited long enough."""


@pytest.fixture
def bench(identities: Path) -> Iterator[Bench]:  # noqa: F811 (that is how a fixture is asked for)
    """One."""
    folder = Path(tempfile.mkdtemp(prefix="fs"))
    made = Bench(folder, identities)
    yield made
    made.close()
    shutil.rmtree(folder)


WHOLE = Question(0, 0, SIZE, MIB)
PARTS = [WHOLE, Question(0, MIB, MIB, 4096), Question(0, 3 << 20, 1234, 4096), Question(0, 2 << 20, MIB + 1234, 65536)]


def test_digests_are_those_of_the_volume_at_the_last_durable_segment(bench: Bench) -> None:
    """Many questions are asked before the first is answered; what is written later does not change the answers."""
    source = bench.source()
    for part in PARTS:
        source.ask(part)
    first = source.answer()
    expected = [bench.expected(part, source.seed) for part in PARTS]
    bench.write(50)
    assert [first, *(source.answer() for _ in PARTS[1:])] == expected
    source.ask(WHOLE)
    assert source.answer() == expected[0]
    assert source.received_bytes == 16 * sum(part.blocks for part in [*PARTS, WHOLE])
    later = bench.source()
    later.ask(WHOLE)
    assert later.answer() == bench.expected(WHOLE, later.seed)


def test_a_connection_that_breaks_is_made_again_and_nothing_is_lost(bench: Bench) -> None:
    """Cut on the way, then refused as an older version would, then the carrier is killed: each answer comes once."""
    source = bench.source()
    source.ask(WHOLE)
    assert source.answer() == bench.expected(WHOLE, source.seed)
    bench.port.cut()
    bench.port.refuses = 1
    for part in PARTS:
        source.ask(part)
    assert [source.answer() for _ in PARTS] == [bench.expected(part, source.seed) for part in PARTS]
    assert "older" in bench.waited[-1]
    assert source.reason == ""
    bench.waited.clear()
    bench.port.let_go()
    bench.carrier.kill()
    bench.carrier.start()
    source.ask(WHOLE)
    assert source.answer() == bench.expected(WHOLE, source.seed)
    assert bench.waited


def test_what_is_not_durable_yet_is_waited_for(bench: Bench) -> None:
    """The journal lacks the round's first segment: no hash is told before it has it, and the reason is."""
    source = bench.source(sequence=bench.stream.sequence + 1)
    source.ask(WHOLE)
    with pytest.raises(GaveUp, match="does not have all that was sent before"):
        source.answer()
    bench.waited.clear()
    bench.write(3)
    assert source.answer() == bench.expected(WHOLE, source.seed)


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"session": 2}, "all that was sent before"),
        ({"epoch": 0}, "Epoch 0 is over"),
        ({"site": "west"}, "older"),
        ({"site": "stranger"}, "older"),
    ],
)
def test_who_may_not_ask_is_not_answered(bench: Bench, other: dict[str, Any], reason: str) -> None:
    """Another session, an epoch that is over, a site that is paired but is not this VPG's, and one that is not."""
    source = bench.source(**other)
    source.ask(WHOLE)
    with pytest.raises(GaveUp, match=reason):
        source.answer()


def test_another_journal_than_the_streams_ends_the_sync(bench: Bench) -> None:
    """It was made anew meanwhile: the round must begin again."""
    source = bench.source(journal_id="another")
    source.ask(WHOLE)
    with pytest.raises(AnotherJournal):
        source.answer()


def test_promotion_beyond_what_is_read_is_never_answered_with(bench: Bench) -> None:
    """The base image was written beyond the connection's ordinal: the next answer comes from a later state."""
    source = bench.source()
    source.ask(WHOLE)
    assert source.answer() == bench.expected(WHOLE, source.seed)
    bench.write(50)
    bench.checkpoint("m")
    bench.checkpoint("n")
    bench.carrier.wait_for(lambda status: status["base"] > 0)
    source.ask(WHOLE)
    assert source.answer() == bench.expected(WHOLE, source.seed)
    assert "beyond what was being read" in bench.waited[-1]


def test_an_epoch_that_is_raised_ends_the_answers(bench: Bench) -> None:
    """The VPG is failed over in the middle of a delta sync."""
    source = bench.source()
    source.ask(WHOLE)
    source.answer()
    bench.carrier.call("raise_epoch", epoch=2)
    source.ask(WHOLE)
    with pytest.raises(GaveUp, match="is over"):
        source.answer()


def test_a_newer_connection_ends_the_one_before_it(bench: Bench) -> None:
    """A reader that died without a word does not hold views for ever; the stream goes on beside all of them."""
    first, second = bench.source(), bench.source()
    for source in (first, second):
        source.ask(WHOLE)
        assert source.answer() == bench.expected(WHOLE, source.seed)
    first.ask(WHOLE)
    assert first.answer() == bench.expected(WHOLE, first.seed)
    assert bench.waited
    bench.write(1)


@pytest.mark.parametrize(
    "question",
    [
        b"x" * QUESTION.size,
        Question(0, 0, QUESTION_BYTES_MAX + 1, MIB).pack(),
        Question(0, 0, MIB, 16).pack(),
        Question(0, 0, 2 * MIB, 2 * MIB).pack(),
    ],
    ids=["nonsense", "too long", "too many blocks", "too large a block"],
)
def test_what_is_no_question_ends_the_connection(bench: Bench, question: bytes) -> None:
    """Nonsense, too long a range, too many blocks; the carrier lives."""
    host, port = bench.port.listener.getsockname()
    with socket.create_connection((host, port), 10) as plain:
        plain.sendall(hashes_preamble(VPG_ID))
        with client_context(bench.identities / "north", "south").wrap_socket(plain, server_hostname=host) as link:
            hello = {"vpg": VPG_ID, "epoch": 1, "session": 1, "sequence": 1, "journal_id": bench.journal_id, "seed": 1}
            link.sendall(pack_line(hello) + question)
            data = b""
            while more := link.recv(4096):
                data += more
            assert data.count(b"\n") == 1
    bench.write(1)


def test_what_a_volume_has_not_is_told_in_words(bench: Bench) -> None:
    """A range beyond its end, and a volume that is not there."""
    for question in (Question(0, MIB, SIZE, MIB), Question(9, 0, MIB, MIB)):
        source = bench.source()
        source.ask(question)
        bench.waited.clear()
        with pytest.raises(GaveUp, match=r"Volume 0 has|no volume 9"):
            source.answer()
