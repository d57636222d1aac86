"""Our NBD client and server against QEMU's."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from farshore.nbd.client import Extent, NbdClient
from farshore.nbd.server import ReadOnlyServer


class Pattern:
    """A source of known bytes, with a hole in [4096, 8192)."""

    size_bytes = 1 << 20
    data = bytearray(bytes(range(1, 252)) * 4178)
    data[4096:8192] = bytes(4096)

    def read_into(self, buffer: memoryview, offset: int) -> None:
        """As a Source does."""
        buffer[:] = self.data[offset : offset + len(buffer)]

    def allocation(self, offset: int, length: int) -> Sequence[tuple[int, int]]:
        """As a Source does."""
        runs = [(0, 4096, 0), (4096, 8192, 3), (8192, self.size_bytes, 0)]
        cut = [(max(a, offset), min(b, offset + length), f) for a, b, f in runs]
        return [(b - a, f) for a, b, f in cut if a < b]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short folder for sockets."""
    path = Path(tempfile.mkdtemp(prefix="fs", dir="/tmp"))
    yield path
    shutil.rmtree(path)


@pytest.mark.skipif(not shutil.which("qemu-img"), reason="qemu-utils is not installed")
def test_qemu_reads_our_server_with_structured_replies(folder: Path) -> None:
    """qemu-img copies and maps an export of ours: the bytes and the hole are as the source has them."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "s"))
    listener.listen()
    server = ReadOnlyServer(listener, "vol", Pattern())
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        url = f"nbd+unix:///vol?socket={folder / 's'}"
        run = lambda *command: subprocess.run(command, check=True, capture_output=True, timeout=60).stdout  # noqa: E731
        found = json.loads(run("qemu-img", "map", "--output=json", "-f", "raw", url))
        assert [(e["start"], e["length"], e["zero"]) for e in found][:3] == [
            (0, 4096, False),
            (4096, 4096, True),
            (8192, (1 << 20) - 8192, False),
        ]
        run("qemu-img", "convert", "-f", "raw", "-O", "raw", url, str(folder / "out"))
    finally:
        server.close()
        thread.join(10)
    assert (folder / "out").read_bytes() == Pattern.data[: 1 << 20]


@pytest.mark.skipif(not shutil.which("qemu-storage-daemon"), reason="qemu-utils is not installed")
def test_our_client_reads_qemus_dirty_bitmap(folder: Path) -> None:
    """What was written since the bitmap began shows as dirty through a named context; reads give the bytes."""
    (folder / "d").write_bytes(bytes(1 << 20))
    daemon = subprocess.Popen(
        ["qemu-storage-daemon", "--blockdev", f"driver=file,node-name=d,filename={folder / 'd'}",
         "--chardev", f"socket,id=m,path={folder / 'q'},server=on,wait=off", "--monitor", "chardev=m",
         "--nbd-server", f"addr.type=unix,addr.path={folder / 's'}"]
    )  # fmt: skip
    try:
        monitor = _connect(folder / "q")
        lines = monitor.makefile("rw")
        lines.readline()
        _say(lines, "qmp_capabilities")
        _say(lines, "block-dirty-bitmap-add", node="d", name="g1", granularity=65536)
        export = {"type": "nbd", "node-name": "d", "writable": True}
        _say(lines, "block-export-add", id="w", name="w", **export)
        with NbdClient(folder / "s", "w") as writer:
            writer.pwrite(70000, b"x" * 100000)
            writer.zero(524288, 4096)
            writer.flush()
        _say(lines, "block-dirty-bitmap-disable", node="d", name="g1")
        bitmaps = {"bitmaps": ["g1"], "writable": False}
        _say(lines, "block-export-add", id="r", name="r", **(export | bitmaps))
        context = "qemu:dirty-bitmap:g1"
        with NbdClient(folder / "s", "r", (context, "base:allocation")) as reader:
            assert reader.size_bytes == 1 << 20
            assert reader.pread(69999, 100002) == b"\0" + b"x" * 100000 + b"\0"
            assert reader.pread(0, 1 << 20).count(b"x") == 100000
            dirty = [e for e in reader.block_status(0, 1 << 20, context) if e.flags & 1]
            assert dirty == [Extent(65536, 131072, 1), Extent(524288, 65536, 1)]
        lines.close()
        monitor.close()
    finally:
        daemon.terminate()
        daemon.wait(10)


def _connect(path: Path) -> socket.socket:
    deadline = time.monotonic() + 10
    while True:
        try:
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(str(path))
        except OSError:
            connection.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return connection


def _say(lines: Any, command: str, **arguments: Any) -> Any:
    lines.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
    lines.flush()
    while True:
        answer = json.loads(lines.readline())
        if "error" in answer:
            raise AssertionError(answer)
        if "return" in answer:
            return answer["return"]
