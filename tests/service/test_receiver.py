"""The journal carrier over real TLS, with a sender made by hand: what it acknowledged is there, come what may."""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from farshore.datapath.journal import Arrived, Journal
from farshore.datapath.stream.messages import FRAME, PING, pack_line
from farshore.datapath.view.volume import open_view
from farshore.identity.certificates import create_identity
from farshore.identity.contexts import client_context
from farshore.identity.new_trust import trust_peer
from tests.made_streams import VPG_ID, MadeStream, wire

SIZES = {0: 1 << 20, 1: 300_000}
HELLO = {"vpg": VPG_ID, "epoch": 1, "session": 1, "first_sequence": 1, "site_id": "north"}


@pytest.fixture(scope="module")
def identities() -> Iterator[Path]:
    """North and south, paired, and a stranger who trusts south."""
    folder = Path(tempfile.mkdtemp(prefix="fs"))
    made = {
        site: create_identity(folder / site, site, ["127.0.0.1"]) for site in ("north", "south", "west", "stranger")
    }
    for site in ("north", "west"):
        trust_peer(folder / "south", site, made[site].ca_pem())
    for site in ("north", "west", "stranger"):
        trust_peer(folder / site, "south", made["south"].ca_pem())
    yield folder
    shutil.rmtree(folder)


class Carrier:
    """A journal carrier process, and this test as its watcher."""

    def __init__(self, folder: Path, identities: Path, **spec: Any) -> None:
        """Start it."""
        self.folder, self.identities, self.spec = folder, identities, spec
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.ids = itertools.count()
        self.start()

    def start(self, *before: str) -> None:
        """Start the process; `before` is put in front of the command."""
        spec = {"vpg_id": VPG_ID, "epoch": 1, "peer_site_id": "north", "volumes": [], "history_seconds": 3600}
        spec |= {"reserve_bytes": 0, "identity_dir": str(self.identities / "south")} | self.spec
        (self.folder / "spec.json").write_text(json.dumps(spec))
        self.control, control = socket.socketpair()
        self.connections, connections = socket.socketpair()
        self.lines = self.control.makefile("rb")
        with control, connections, (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*before, sys.executable, "-m", "farshore.datapath.journal_carrier", "--dir", str(self.folder / "j"),
                 "--spec", str(self.folder / "spec.json"), "--control-fd", str(control.fileno()),
                 "--connections-fd", str(connections.fileno())],
                pass_fds=(control.fileno(), connections.fileno()), stdout=log, stderr=log,
            )  # fmt: skip

    def call(self, name: str, **args: Any) -> Any:
        """A call's result; an error is raised as its JSON."""
        self.control.sendall(json.dumps({"id": next(self.ids), "call": name, "args": args}).encode() + b"\n")
        self.control.settimeout(20)
        answer = json.loads(self.lines.readline())
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer["result"]

    def wait_for(self, what: Any) -> dict[str, Any]:
        """Poll the status until it is as wanted."""
        deadline = time.monotonic() + 15
        while not what(status := self.call("status")):
            assert time.monotonic() < deadline, status
            time.sleep(0.02)
        return status

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.forget()

    def forget(self) -> None:
        """Close the control connection (the carrier then ends) and wait for the end."""
        self.lines.close()
        self.control.close()
        self.connections.close()
        self.process.wait(20)

    def connect(self, site: str = "north") -> Sender:
        """A sender's connection, handed over as the watcher does; the clear-text line was read already."""
        plain = socket.create_connection(("127.0.0.1", self.port), 10)
        accepted, _ = self.listener.accept()
        with accepted:
            socket.send_fds(self.connections, [b"c"], [accepted.fileno()])
        return Sender(plain, client_context(self.identities / site, "south"))


class Sender:
    """The sending side, by hand."""

    def __init__(self, plain: socket.socket, context: Any) -> None:
        """Do the handshake."""
        self.link = context.wrap_socket(plain, server_hostname="127.0.0.1")
        self.link.settimeout(10)
        self.input = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.link.close()

    def hello(self, **other: Any) -> dict[str, Any]:
        """Greet; the answer."""
        self.link.sendall(pack_line(HELLO | other))
        while b"\n" not in self.input:
            data = self.link.recv(4096)
            assert data, "closed in the greeting"
            self.input += data
        line, _, self.input = self.input.partition(b"\n")
        return json.loads(line)

    def send(self, *segments: Arrived | bytes) -> None:
        """Send segments (or bytes)."""
        self.link.sendall(b"".join(each if isinstance(each, bytes) else wire(each) for each in segments))

    def frame(self) -> tuple[bytes, int, int]:
        """The next frame that is no PONG."""
        while True:
            while len(self.input) < FRAME.size:
                data = self.link.recv(4096)
                if not data:
                    raise EOFError
                self.input += data
            kind, code, sequence = FRAME.unpack(self.input[: FRAME.size])
            self.input = self.input[FRAME.size :]
            if kind != b"PONG":
                return kind, code, sequence

    def acknowledged(self, sequence: int) -> None:
        """Wait until that one is durable."""
        while True:
            kind, _, got = self.frame()
            assert kind == b"ACKD"
            if got >= sequence:
                return


@pytest.fixture
def carrier(identities: Path) -> Iterator[Carrier]:
    """A carrier with an empty journal; nothing of it is left behind."""
    folder = Path(tempfile.mkdtemp(prefix="fs"))
    made = Carrier(folder, identities)
    yield made
    if made.process.poll() is None:
        made.forget()
    assert made.process.poll() is not None
    made.listener.close()
    shutil.rmtree(folder)


def first_segments(stream: MadeStream) -> list[Arrived]:
    """Volumes in sync, a write, a marker, its vouch: three segments."""
    stream.begin(SIZES)
    stream.write(0, 5, b"one")
    made = [stream.seal()]
    stream.marker("m1", list(SIZES), tag="first", task="t1")
    made.append(stream.seal())
    stream.say(type="vouch", id="m1")
    return [*made, stream.seal()]


def test_a_checkpoint_is_listed_when_marker_and_vouch_are_durable(carrier: Carrier) -> None:
    """Segments are acknowledged, the marker becomes a checkpoint, a view of it has the bytes; a ping is answered."""
    with carrier.connect() as sender:
        assert sender.hello()["durable_sequence"] == 0
        made = first_segments(MadeStream())
        sender.send(*made[:2])
        sender.acknowledged(2)
        assert carrier.call("list_checkpoints") == []
        assert carrier.call("find_marker", marker_id="m1") is None
        sender.send(PING, made[2])
        sender.acknowledged(3)
        (listed,) = carrier.call("list_checkpoints")
        assert (listed["id"], listed["tag"], listed["volumes"], listed["hole_before"]) == ("2", "first", [0, 1], False)
        assert carrier.call("find_marker", task="t1") == listed
        assert carrier.call("pin", operation="op")["id"] == "2"
        assert [v["size_bytes"] for v in carrier.call("volumes", checkpoint_id="2")] == list(SIZES.values())
        status = carrier.call("status")
        assert (status["state"], status["connected"], status["durable_sequence"]) == ("receiving", True, 3)
        with open_view(carrier.folder / "j", "2", 0) as view:
            buffer = bytearray(12)
            view.read_into(memoryview(buffer), 0)
        assert buffer == b"\0\0\0\0\0one\0\0\0\0"


def test_nothing_acknowledged_is_lost_by_kill_9(carrier: Carrier) -> None:
    """Killed at random while it receives, five times: it resumes after what it acknowledged; every byte is there."""
    seed = int(os.environ.get("FARSHORE_SEED", random.randrange(1 << 32)))
    print("seed", seed)
    rng = random.Random(seed)
    disk = bytearray(SIZES[0])
    stream, copies, acknowledged = MadeStream(), {}, 0
    stream.begin(SIZES)
    made: list[Arrived] = []
    for number in range(1, 241):
        for _ in range(rng.randrange(1, 5)):
            data, offset = rng.randbytes(rng.randrange(1, 60000)), rng.randrange(0, SIZES[0] - 60000)
            stream.write(0, offset, data)
            disk[offset : offset + len(data)] = data
        if number % 10 == 0:
            stream.marker(f"m{number}", list(SIZES))
            copies[number] = bytes(disk)
        elif number % 10 == 1 and number > 1:
            stream.say(type="vouch", id=f"m{number - 1}")
        made.append(stream.seal())
    for turn in range(6):
        with carrier.connect() as sender:
            welcome = sender.hello(first_sequence=acknowledged + 1)
            assert welcome["ok"], welcome
            assert welcome["durable_sequence"] >= acknowledged
            durable = acknowledged = welcome["durable_sequence"]  # may be all there is, if the killed one was quick
            until = len(made) if turn == 5 else min(len(made), durable + rng.randrange(20, 60))
            sender.send(*made[durable:until])
            if turn == 5:
                if durable < until:
                    sender.acknowledged(until)
                break
            while acknowledged < durable + (until - durable) // 3:
                acknowledged = max(acknowledged, sender.frame()[2])
            carrier.kill()
            assert Journal.open(carrier.folder / "j").ledger.sequence >= acknowledged
        carrier.start()
    assert not carrier.call("verify")["damages"]
    assert [int(each["id"]) for each in carrier.call("list_checkpoints")] == list(range(10, 240, 10))
    for ordinal in (10, 120, 230):
        with open_view(carrier.folder / "j", str(ordinal), 0) as view:
            buffer = bytearray(SIZES[0])
            view.read_into(memoryview(buffer), 0)
        assert buffer == copies[ordinal]


def test_a_lower_epoch_is_refused_before_and_during_a_connection(carrier: Carrier) -> None:
    """After raise_epoch nothing of the old epoch is kept, also not in the connection that is open; it is durable."""
    stream = MadeStream()
    made = first_segments(stream)
    with carrier.connect() as sender:
        assert sender.hello()["ok"]
        sender.send(made[0])
        sender.acknowledged(1)
        assert carrier.call("raise_epoch", epoch=2) == {"epoch": 2}
        sender.send(made[1])
        assert sender.frame() == (b"NACK", 2, 0)
    carrier.kill()
    carrier.start()
    with carrier.connect() as sender:
        refused = sender.hello(first_sequence=2)
        assert (refused["ok"], refused["code"], refused["epoch"]) == (False, "old_epoch", 2)
    with carrier.connect() as sender:
        assert sender.hello(epoch=3, first_sequence=2) | {"journal_id": ""} == {
            "ok": True, "durable_sequence": 1, "epoch": 3, "journal_id": "",
        }  # fmt: skip
    assert carrier.call("status")["epoch"] == 3
    with pytest.raises(AssertionError, match="Epoch 2 is over"):
        carrier.call("raise_epoch", epoch=2)


def test_old_sessions_gaps_strangers_and_other_vpgs_are_refused(carrier: Carrier) -> None:
    """Each refusal has its code, and leaves the journal as it was."""
    with carrier.connect() as sender:
        assert sender.hello(session=5)["ok"]
        stream = MadeStream(session=5)
        stream.begin(SIZES)
        sender.send(stream.seal())
        sender.acknowledged(1)
        stream.sequence = 2
        sender.send(stream.seal())
        assert sender.frame()[:2] == (b"NACK", 4)
    for other, code in (({"session": 4}, "old_session"), ({"session": 5, "first_sequence": 3}, "gap"),
                        ({"session": 6, "first_sequence": 2}, "gap"), ({"vpg": "x"}, "unknown_vpg")):  # fmt: skip
        with carrier.connect() as sender:
            assert sender.hello(**other)["code"] == code
    for site in ("west", "stranger"):
        with pytest.raises((OSError, AssertionError, EOFError)), carrier.connect(site) as sender:
            sender.hello()
    assert carrier.call("status")["last_ordinal"] == 1


def test_a_damaged_segment_is_refused_and_the_stream_resumes(carrier: Carrier) -> None:
    """One flipped byte on the way: NACK, nothing kept; sent again whole it is taken."""
    made = first_segments(MadeStream())
    bad = bytearray(wire(made[0]))
    bad[-2] ^= 1
    with carrier.connect() as sender:
        sender.hello()
        sender.send(bytes(bad))
        assert sender.frame()[:2] == (b"NACK", 3)
    with carrier.connect() as sender:
        assert sender.hello()["durable_sequence"] == 0
        sender.send(*made)
        sender.acknowledged(3)


def test_a_newer_connection_ends_the_one_before(carrier: Carrier) -> None:
    """A half-open link does not keep the sender out: the new connection is welcomed at once, the old one closed."""
    made = first_segments(MadeStream())
    with carrier.connect() as old:
        old.hello()
        old.send(made[0])
        old.acknowledged(1)
        began = time.monotonic()
        with carrier.connect() as new:
            assert new.hello()["durable_sequence"] == 1
            assert time.monotonic() - began < 2
            new.send(*made[1:])
            new.acknowledged(3)
        with pytest.raises((EOFError, OSError)):
            old.frame()


def test_no_space_is_refused_and_resumes_by_itself(identities: Path) -> None:
    """CA2, I23: at the reserve nothing is kept and the code says why; with room again the same session goes on."""
    folder = Path(tempfile.mkdtemp(prefix="fs"))
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    carrier = Carrier(folder, identities, reserve_bytes=free * 2)
    try:
        made = first_segments(MadeStream())
        with carrier.connect() as sender:
            assert sender.hello()["code"] == "no_space"
        status = carrier.wait_for(lambda status: status["state"] == "no_space")
        assert "lacks" in status["reason"]
        assert status["last_ordinal"] == 0
        carrier.forget()
        carrier.spec["reserve_bytes"] = 0
        carrier.start("prlimit", f"--fsize={len(wire(made[0])) + 100}")
        with carrier.connect() as sender:
            sender.hello()
            sender.send(made[0])
            sender.acknowledged(1)
            sender.send(made[1])
            assert sender.frame()[:2] == (b"NACK", 1)
        carrier.kill()
        carrier.start()
        with carrier.connect() as sender:
            assert sender.hello()["durable_sequence"] == 1
            sender.send(*made[1:])
            sender.acknowledged(3)
        assert len(carrier.call("list_checkpoints")) == 1
    finally:
        carrier.forget()
        carrier.listener.close()
        shutil.rmtree(folder)


def test_silence_ends_a_connection_and_the_watchers_end_ends_the_carrier(carrier: Carrier) -> None:
    """A sender that says nothing is dropped after 5 s, with PONGs until then; at EOF of control the carrier exits 0."""
    with carrier.connect() as sender:
        sender.hello()
        began = time.monotonic()
        with pytest.raises((EOFError, OSError)):
            sender.frame()
        assert 4 < time.monotonic() - began < 8
    carrier.forget()
    assert carrier.process.returncode == 0


def test_a_stopped_carrier_takes_up_where_it_was(carrier: Carrier) -> None:
    """SIGSTOP in a stream, then SIGCONT: nothing is lost, nothing comes twice."""
    made = first_segments(MadeStream())
    with carrier.connect() as sender:
        sender.hello()
        sender.send(made[0])
        sender.acknowledged(1)
        carrier.process.send_signal(signal.SIGSTOP)
        sender.send(*made[1:])
        carrier.process.send_signal(signal.SIGCONT)
        sender.acknowledged(3)
    assert carrier.call("status")["last_ordinal"] == 3
