"""The site's process, `farshore site run`: keeps manager and watcher running, and kills what is late.

Its loop does nothing but look at heartbeats in shared memory and at its two children, so that a stopped or hanging
watcher, or a tap whose watcher is gone, is killed within 2 s whatever else hangs.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import IO

from farshore.datapath.tap.heartbeat import KIND_TAP, KIND_WATCHER, Board
from farshore.errors import Conflict
from farshore.model.rundir import make_run_directory
from farshore.model.site import SiteConfig

PERIOD_SECONDS = 0.2
LATE_SECONDS = 1.5
PAUSE_SECONDS_FIRST = 0.2
PAUSE_SECONDS_MAX = 5.0
CALM_SECONDS = 20.0
STOP_SECONDS_MAX = 10.0


class Child:
    """One program that shall always run."""

    def __init__(self, name: str, module: str, folder: Path, board_fd: int) -> None:
        """Not started yet."""
        self.name = name
        self.module = module
        self.folder = folder
        self.board_fd = board_fd
        self.process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._start_at = 0.0
        self._pause = PAUSE_SECONDS_FIRST

    def turn(self) -> str | None:
        """Start it when it is due; says what happened."""
        now = time.monotonic()
        said = None
        if self.process is not None and self.process.poll() is not None:
            code = self.process.returncode
            if now - self._started_at > CALM_SECONDS:
                self._pause = PAUSE_SECONDS_FIRST
            said = f"the {self.name} ended with {code}; again in {self._pause:.1f} s (see log/{self.name}.log)"
            self._start_at = now + self._pause
            self._pause = min(2 * self._pause, PAUSE_SECONDS_MAX)
            self.process = None
        if self.process is None and now >= self._start_at:
            self._start()
        return said

    def _start(self) -> None:
        with open(self.folder / "log" / f"{self.name}.log", "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.module, os.fspath(self.folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(self.board_fd,),
                env={
                    **os.environ,
                    "FARSHORE_BOARD_FD": str(self.board_fd),
                    "OPENBLAS_NUM_THREADS": "1",
                    "PYTHONUNBUFFERED": "1",
                },
                start_new_session=True,
            )
        self._started_at = time.monotonic()

    def stop(self) -> None:
        """Ask it to end."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()

    def await_end(self, deadline: float) -> None:
        """Wait for it until the deadline (monotonic), then kill it."""
        if self.process is None:
            return
        try:
            self.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _only_one(folder: Path) -> IO[str]:
    """Hold the site's lock for as long as the file is open. Raises Conflict when another process has it."""
    handle = (folder / "site.pid").open("a+")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.seek(0)
        pid = handle.read().strip()
        handle.close()
        raise Conflict(
            f"The site in {folder} runs already (process {pid}).", "Stop that one first, or leave it be."
        ) from None
    handle.truncate(0)
    handle.write(f"{os.getpid()}\n")
    handle.flush()
    return handle


def run_site(folder: Path) -> int:
    """Run a site until SIGTERM or SIGINT. Raises NotFound (no site there), BadInput, Conflict (it runs already)."""
    config = SiteConfig.load(folder)
    (folder / "log").mkdir(exist_ok=True)
    with _only_one(folder):
        run_folder = make_run_directory(folder)
        board_fd = Board.create()
        children = [
            Child("watcher", "farshore.appliance", folder, board_fd),
            Child("manager", "farshore.manager", folder, board_fd),
        ]
        ending: list[int] = []

        def end(number: int, _: FrameType | None) -> None:
            ending.append(number)

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)
        with open(folder / "log" / "site.log", "a", buffering=1) as log:
            log.write(f"{_now()} site {config.name} starts, process {os.getpid()}\n")
            _watch(children, Board(board_fd), log, ending)
            log.write(f"{_now()} site {config.name} ends\n")
        with suppress(OSError):
            run_folder.rmdir()
            run_folder.parent.rmdir()
    return 0


def _watch(children: list[Child], board: Board, log: IO[str], ending: list[int]) -> None:
    while not ending:
        for child in children:
            said = child.turn()
            if said:
                log.write(f"{_now()} {said}\n")
        for beat in board.kill_late(LATE_SECONDS, (KIND_WATCHER, KIND_TAP)):
            kind = "watcher" if beat.kind == KIND_WATCHER else "tap"
            log.write(f"{_now()} killed the {kind} {beat.pid}: its last beat was {beat.age_seconds:.1f} s ago\n")
        time.sleep(PERIOD_SECONDS)
    deadline = time.monotonic() + STOP_SECONDS_MAX
    for child in reversed(children):
        child.stop()
    for child in reversed(children):
        child.await_end(deadline)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
