"""The tap's process over real sockets: order, markers, hang-ups, hangs, and what it never does."""

import os
import random
import signal
import socket
import struct
import time

import pytest

from farshore.datapath.segment import Kind
from farshore.datapath.sync.reader import Places
from farshore.datapath.tap.reservation import KIND_DATA, KIND_ZERO
from farshore.nbd.client import NbdClient, NbdFault
from tests.service.tap_bench import TapBench

MARKER = {"id": "m1", "tag": None, "task": None, "volumes": [0, 1]}


@pytest.fixture
def tap():
    """Two disks' tap."""
    bench = TapBench([64 << 20, (1 << 30) + 512])
    yield bench
    bench.close()


def test_writes_of_two_disks_are_recorded_in_the_order_in_which_they_were_answered(tap):
    """A before B on another disk, a thousand times: the stream has them in that order, payload and place unchanged."""
    print("seed", seed := random.randrange(2**32))
    random_ = random.Random(seed)
    written = []
    with NbdClient(tap.socket, "v0") as first, NbdClient(tap.socket, "v1") as second:
        assert tap.ask("begin", control=[])[0] == "result"
        for _ in range(1000):
            volume = random_.randrange(2)
            offset, data = random_.randrange(32 << 20), random_.randbytes(random_.choice([1, 511, 512, 4096, 70_000]))
            (first, second)[volume].pwrite(offset, data)
            written.append((Kind.WRITE, volume, offset, data))
            if len(written) == 500:
                assert tap.ask("cut", marker=MARKER)[0] == "result"
        tap.ask("seal")
        found, control = tap.records()
    assert found == written
    assert [c["type"] for c in control] == ["break", "marker"]


def test_any_offset_and_length_is_taken_as_it_is_and_nothing_is_ever_read(tap):
    """CA1: sub-block writes, the last sector, zeroes, more than the largest request; a READ is refused and counted."""
    size = (1 << 30) + 512
    with NbdClient(tap.socket, "v1") as disk:
        for offset, length in ((512, 512), (1, 1), (512, 4608), (size - 512, 512)):
            disk.pwrite(offset, b"x" * length)
        disk.zero(1536, 512)
        with pytest.raises(NbdFault):
            disk.pread(0, 512)
        assert disk.request_bytes_max == 1 << 20
        tap.ask("seal")
        assert tap.ask("status")[1]["reads_refused"] == 1
    found, _ = tap.records()
    assert [(k, o, n if isinstance(n, int) else len(n)) for k, _, o, n in found] == [
        (Kind.WRITE, 512, 512), (Kind.WRITE, 1, 1), (Kind.WRITE, 512, 4608), (Kind.WRITE, size - 512, 512),
        (Kind.ZERO, 1536, 512),
    ]  # fmt: skip


def test_no_marker_is_cut_before_every_disk_is_there_nor_after_one_has_left(tap):
    """I1: nothing is cut until `begin`, which wants all disks; once a disk has closed, not until the next `begin`."""
    with NbdClient(tap.socket, "v0") as first:
        assert tap.ask("begin", control=[])[0] == "error"
        second = NbdClient(tap.socket, "v1")
        assert tap.ask("cut", marker=MARKER)[0] == "error"
        assert tap.ask("begin", control=[])[0] == "result"
        assert tap.ask("cut", marker=MARKER)[0] == "result"
        second.close()
        first.pwrite(0, b"B without A")
        assert tap.ask("vouch", marker_id="m1")[0] == "error"
        assert tap.ask("cut", marker={**MARKER, "id": "m2"})[0] == "error"
        assert tap.ask("status")[1]["intact"] is False
    assert [c["type"] for c in tap.records()[1]].count("vouch") == 0


def test_a_hang_up_whose_backlog_was_not_read_yet_is_seen_before_the_cut(tap):
    """I1, closed socket: bytes that wait in a connection that was shut down do not let a marker through."""
    first, second = NbdClient(tap.socket, "v0"), NbdClient(tap.socket, "v1")
    tap.ask("begin", control=[])
    os.kill(tap.process.pid, signal.SIGSTOP)
    header = struct.pack(">IHHQQI", 0x25609513, 0, 1, 7, 0, 100_000)
    first._socket.sendall(header + b"a" * 50_000)  # A, half of it, never to be answered
    first._socket.shutdown(socket.SHUT_RDWR)
    os.kill(tap.process.pid, signal.SIGCONT)
    assert tap.ask("cut", marker=MARKER)[0] == "error"
    second.close()
    first.close()
    assert [c["type"] for c in tap.records()[1]].count("marker") == 0


def test_a_write_that_never_became_whole_is_not_in_the_stream(tap):
    """The connection goes in the middle of a payload: the record is gone, those behind it stay."""
    first, second = NbdClient(tap.socket, "v0"), NbdClient(tap.socket, "v1")
    header = struct.pack(">IHHQQI", 0x25609513, 0, 1, 7, 4096, 100_000)
    first._socket.sendall(header + b"a" * 50_000)
    second.pwrite(0, b"behind")
    first.close()
    second.pwrite(8, b"after")
    tap.ask("seal")
    second.close()
    assert tap.records()[0] == [(Kind.WRITE, 1, 0, b"behind"), (Kind.WRITE, 1, 8, b"after")]


def test_sync_data_stand_where_their_read_began(tap):
    """I4: a guest write between taking the place and filling it stands behind the sync record, so it wins."""
    with NbdClient(tap.socket, "v0") as disk:
        places = Places(tap.sync_socket)
        disk.pwrite(0, b"1" * 8)
        places.take(KIND_DATA, 0, 0, 16)
        disk.pwrite(4, b"2" * 8)
        places.fill(memoryview(b"s" * 16))
        places.take(KIND_ZERO, 0, 1 << 20, 1 << 20)
        places.fill(None)
        places.take(KIND_ZERO, 0, 2 << 20, 1 << 20)
        places.cancel()
        tap.ask("seal")
        assert tap.records()[0] == [
            (Kind.WRITE, 0, 0, b"1" * 8),
            (Kind.SYNC, 0, 0, b"s" * 16),
            (Kind.WRITE, 0, 4, b"2" * 8),
            (Kind.SYNC_ZERO, 0, 1 << 20, 1 << 20),
        ]
        places._socket.close()


def test_a_full_window_drops_the_disk_and_holds_no_reply():
    """I15: over its budget the tap drops the stream at once; a write is answered or its connection is closed."""
    bench = TapBench([1 << 30], window_bytes=16 << 20)
    try:
        disk = NbdClient(bench.socket, "v0")
        bench.ask("begin", control=[])
        worst = 0.0
        at = 0
        while at < 200:
            began = time.monotonic()
            try:
                disk.pwrite(at << 20, b"f" * (1 << 20))
            except NbdFault:
                break
            finally:
                worst = max(worst, time.monotonic() - began)
            at += 1
        assert at < 200
        assert worst < 2
        disk.close()
        assert bench.ask("status")[1]["intact"] is False
        bench.window.acknowledge(bench.window.published)
        with NbdClient(bench.socket, "v0") as again:
            assert bench.ask("begin", control=[])[0] == "result"
            again.pwrite(0, b"goes on")
    finally:
        bench.close()


def test_a_stopped_tap_is_killed_by_its_late_heartbeat(tap):
    """A tap that was stopped does not beat; the board says whom to kill, and nobody else is killed."""
    os.kill(tap.process.pid, signal.SIGSTOP)
    deadline = time.monotonic() + 5
    killed = []
    while not killed and time.monotonic() < deadline:
        killed = tap.board.kill_late(1.0, (2,))
        time.sleep(0.02)
    assert [beat.pid for beat in killed] == [tap.process.pid]
    assert tap.process.wait(5) == -signal.SIGKILL


def test_a_tap_ends_when_its_watcher_does(tap):
    """The control socket closes: the tap ends by itself, within a second."""
    tap.control.shutdown(socket.SHUT_RDWR)
    assert tap.process.wait(2) == 0
