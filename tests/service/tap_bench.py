"""A tap's process with its window and control, as the watcher has it; for tests."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from farshore.datapath.segment.index import build_index
from farshore.datapath.segment.window import Window
from farshore.datapath.tap.heartbeat import Board

ROOT = Path(__file__).parents[2]


class TapBench:
    """One tap. `volumes`: sizes in bytes; exports are v0, v1, ..."""

    def __init__(self, volumes, window_bytes=64 << 20):
        self.folder = Path(tempfile.mkdtemp(prefix="fs", dir="/tmp"))
        self.window, self.window_fd = Window.create(window_bytes, time.time_ns())
        self.wake_fd = os.eventfd(0, os.EFD_NONBLOCK)
        self.board_fd = Board.create()
        self.board = Board(self.board_fd)
        ours, theirs = socket.socketpair()
        ours.settimeout(10)
        exports = {f"v{n}": [n, size] for n, size in enumerate(volumes)}
        with theirs:
            fds = (self.window_fd, self.wake_fd, self.board_fd, theirs.fileno())
            self.process = subprocess.Popen(
                [sys.executable, "-m", "farshore.datapath.tap", "--window-fd", str(fds[0]), "--wake-fd", str(fds[1]),
                 "--board-fd", str(fds[2]), "--slot", "1", "--control-fd", str(fds[3]), "--socket", self.socket,
                 "--sync-socket", self.sync_socket, "--exports", json.dumps(exports)],
                pass_fds=fds, env={**os.environ, "PYTHONPATH": str(ROOT / "src")}, stderr=subprocess.PIPE,
            )  # fmt: skip
        self.control = ours
        self.lines = ours.makefile("rb")
        self.events = []
        self.ids = 0
        while not any(e["event"] == "ready" for e in self.events):
            self.events.append(json.loads(self.lines.readline()))

    @property
    def socket(self):
        return str(self.folder / "t")

    @property
    def sync_socket(self):
        return str(self.folder / "s")

    def ask(self, call, **args):
        """The answer to a call: ("result" or "error", what)."""
        self.ids += 1
        self.control.sendall(json.dumps({"id": self.ids, "call": call, "args": args}).encode() + b"\n")
        while True:
            said = json.loads(self.lines.readline())
            if said.get("id") == self.ids:
                return ("error", said["error"]) if "error" in said else ("result", said["result"])
            self.events.append(said)

    def records(self):
        """All published records in order: (kind, volume, offset, payload or length), and all control records."""
        found, control = [], []
        for number in range(1, self.window.published + 1):
            descriptor = self.window.descriptor(number)
            body, positions, runs, told = self.window.contents(descriptor)
            for entry in build_index(body, positions, runs, descriptor.first_ns):
                kind, volume, offset, length = (int(entry[n]) for n in ("kind", "volume", "offset", "length"))
                at = int(entry["position"])
                found.append((kind, volume, offset, bytes(body[at : at + length]) if kind in (1, 3) else length))
            control += json.loads(told) if told else []
        return found, control

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)
        self.lines.close()
        self.control.close()
        try:
            self.process.wait(5)
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stderr.close()
            for fd in (self.window_fd, self.wake_fd, self.board_fd):
                os.close(fd)
            shutil.rmtree(self.folder)
