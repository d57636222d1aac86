"""A carrier that holds the folder which the next one needs is ended; a process that is none never is."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from farshore.appliance import orphans
from farshore.model.process_lock import holder_of

MODULE = "farshore.datapath.journal_carrier"
HOLD = """
import sys, time
from pathlib import Path
from farshore.model.process_lock import ProcessLock
lock = ProcessLock(Path(sys.argv[1]) / "lock")
time.sleep(float(sys.argv[2]))
"""
Hold = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hold]:
    """Starts a process that holds the folder's lock for some seconds, and has more words in its command line."""
    monkeypatch.setattr(orphans, "FORERUNNER_SECONDS", 0.3)
    started: list[subprocess.Popen[bytes]] = []

    def start(*words: str, seconds: float = 60) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path, str(seconds), *words])
        started.append(process)
        while holder_of(tmp_path / "lock") != process.pid:
            assert process.poll() is None
            time.sleep(0.01)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_a_forerunner_that_does_not_end_is_killed(tmp_path: Path, hold: Hold) -> None:
    """It may be stopped, or hang."""
    process = hold(MODULE)
    process.send_signal(signal.SIGSTOP)
    asyncio.run(orphans.end_forerunner(tmp_path, MODULE))
    assert process.wait(5) == -signal.SIGKILL


def test_one_that_ends_by_itself_is_waited_for(tmp_path: Path, hold: Hold, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it was writing it writes to the end."""
    monkeypatch.setattr(orphans, "FORERUNNER_SECONDS", 10.0)
    process = hold(MODULE, seconds=0.3)
    asyncio.run(orphans.end_forerunner(tmp_path, MODULE))
    assert process.wait(5) == 0


def test_a_process_that_is_no_such_carrier_is_left_alone(tmp_path: Path, hold: Hold) -> None:
    """The number that a lock tells may be another's by now: of another module here."""
    process = hold("farshore.datapath.clone")
    asyncio.run(orphans.end_forerunner(tmp_path, MODULE))
    assert process.poll() is None
