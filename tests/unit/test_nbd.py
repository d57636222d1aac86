"""NBD: the handshake answers lawfully however its bytes are cut, and the server tells exactly what its source holds."""

from __future__ import annotations

import shutil
import socket
import struct
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farshore.nbd import constants as nbd
from farshore.nbd.client import Extent, NbdClient, NbdFault
from farshore.nbd.handshake import Export, ServerHandshake, State
from farshore.nbd.server import ReadOnlyServer

EXPORTS = {
    "a": Export("a", 1000, nbd.TRANSMIT_HAS_FLAGS, contexts=(nbd.BASE_ALLOCATION,)),
    "ü": Export("ü", 2**40 + 1, nbd.TRANSMIT_HAS_FLAGS | nbd.TRANSMIT_CAN_MULTI_CONN),
}


def option(number: int, body: bytes = b"") -> bytes:
    """One option as a client sends it."""
    return nbd.OPTION.pack(nbd.OPTION_MAGIC, number, len(body)) + body


def go(name: str, number: int = nbd.OPT_GO) -> bytes:
    """OPT_GO or OPT_INFO for an export."""
    text = name.encode()
    return option(number, struct.pack(">I", len(text)) + text + b"\0\0")


@given(
    st.lists(st.sampled_from([go("a", nbd.OPT_INFO), go("x"), option(nbd.OPT_LIST), option(99, b"zzz"), option(8)])),
    st.sampled_from(["a", "ü"]),
    st.binary(max_size=60),
    st.lists(st.integers(1, 40), min_size=1),
)
@settings(max_examples=60, deadline=None)
def test_a_handshake_is_the_same_however_its_bytes_arrive(
    options: list[bytes], name: str, tail: bytes, cuts: list[int]
) -> None:
    """Cut at any bytes, the answers, the chosen export and the leftover requests are those of one whole read."""
    sent = struct.pack(">I", 3) + b"".join(options) + go(name) + tail
    whole = ServerHandshake(EXPORTS, structured_allowed=True)
    answer = whole.receive(sent)
    parts = ServerHandshake(EXPORTS, structured_allowed=True)
    got, at, turn = b"", 0, 0
    while at < len(sent) and parts.state not in (State.READY, State.CLOSED):
        step = cuts[turn % len(cuts)]
        got += parts.receive(sent[at : at + step])
        at, turn = at + step, turn + 1
    assert whole.state is parts.state is State.READY
    assert (got, parts.chosen, parts.leftover + sent[at:]) == (answer, EXPORTS[name], tail)
    assert whole.leftover == tail
    assert struct.pack(">HQH", 0, EXPORTS[name].size_bytes, EXPORTS[name].flags) in answer


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_a_handshake_stands_any_bytes(data: bytes) -> None:
    """Whatever a client sends, the handshake answers or closes; it never raises."""
    shake = ServerHandshake(EXPORTS, structured_allowed=True)
    shake.receive(struct.pack(">I", 1) + nbd.OPTION.pack(nbd.OPTION_MAGIC, 10, len(data)) + data)
    other = ServerHandshake(EXPORTS)
    other.receive(data)


class Pattern:
    """A source of known bytes, with a hole in [4096, 8192)."""

    size_bytes = 1 << 20
    data = bytes(range(1, 252)) * 4178

    def read_into(self, buffer: memoryview, offset: int) -> None:
        """As a Source does."""
        if offset == 512:
            raise OSError(5, "the disk is broken")
        buffer[:] = self.data[offset : offset + len(buffer)]

    def allocation(self, offset: int, length: int) -> Sequence[tuple[int, int]]:
        """As a Source does."""
        runs = [(0, 4096, 0), (4096, 8192, 3), (8192, self.size_bytes, 0)]
        cut = [(max(a, offset), min(b, offset + length), f) for a, b, f in runs]
        return [(b - a, f) for a, b, f in cut if a < b]


@pytest.fixture
def served() -> Iterator[Path]:
    """The socket of a server of a Pattern."""
    folder = Path(tempfile.mkdtemp(prefix="fs", dir="/tmp"))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "s"))
    listener.listen()
    server = ReadOnlyServer(listener, "vol", Pattern())
    thread = threading.Thread(target=server.serve)
    thread.start()
    yield folder / "s"
    server.close()
    thread.join(10)
    shutil.rmtree(folder)
    assert not thread.is_alive()


@pytest.mark.parametrize("contexts", [(), (nbd.BASE_ALLOCATION,)])
def test_client_and_server_agree_on_bytes_and_errors(served: Path, contexts: tuple[str, ...]) -> None:
    """Any aligned or odd range is read back; a write is refused, a broken read is EIO, and the connection lives on."""
    with NbdClient(served, "vol", contexts) as client:
        assert client.size_bytes == 1 << 20
        assert client.flags & nbd.TRANSMIT_READ_ONLY
        assert client.flags & nbd.TRANSMIT_CAN_MULTI_CONN
        for offset, length in ((0, 1), (1, 511), (4095, 8193), (0, 1 << 20)):
            assert client.pread(offset, length) == Pattern.data[offset : offset + length]
        for attempt, errno in (
            (lambda: client.pwrite(0, bytes(100000)), nbd.EPERM),
            (lambda: client.zero(0, 10), nbd.EPERM),
            (lambda: client.pread(512, 1), nbd.EIO),
            (lambda: client.pread(1 << 20, 1), nbd.EINVAL),
        ):
            with pytest.raises(NbdFault) as caught:
                attempt()
            assert caught.value.errno == errno
        client.flush()
        assert client.pread(3, 3) == b"\4\5\6"


def test_block_status_is_told_by_context(served: Path) -> None:
    """base:allocation shows the hole; a context or an export that is not there is refused in words."""
    with NbdClient(served, "", (nbd.BASE_ALLOCATION,)) as client:
        assert client.block_status(100, 9000) == [Extent(100, 3996, 0), Extent(4096, 4096, 3), Extent(8192, 908, 0)]
    with pytest.raises(NbdFault, match="no metadata context qemu:dirty-bitmap:b"):
        NbdClient(served, "vol", ("qemu:dirty-bitmap:b",))
    with pytest.raises(NbdFault, match="refused export 'other'"):
        NbdClient(served, "other")
    with pytest.raises(NbdFault, match="does not answer"):
        NbdClient(served.with_name("none"), "vol")


def test_many_connections_read_at_once(served: Path) -> None:
    """Each of several clients gets its own bytes."""
    wrong: list[int] = []

    def read(seed: int) -> None:
        with NbdClient(served, "vol") as client:
            for turn in range(50):
                offset = 1024 + (seed * 7919 + turn * 104729) % 900000
                if client.pread(offset, 1000) != Pattern.data[offset : offset + 1000]:
                    wrong.append(offset)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not wrong
