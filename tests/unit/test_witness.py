"""The witness writes down every acknowledged record once, between two instants, whatever happens around it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from farshore.lab.serial import Acknowledged
from farshore.lab.testimony import Testimony


def _start(out: Path, log: Path, *more: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "farshore.lab.witness", "--out", str(out), *more, f"vm-1={log}"])


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def _seen(out: Path) -> list[int]:
    if not out.exists():
        return []
    return [s.event.number for s in Testimony.read(out).statements if isinstance(s.event, Acknowledged)]


def _append(log: Path, first: int, last: int) -> None:
    with log.open("a") as file:
        for number in range(first, last + 1):
            file.write(f"ack a {number}\r\n")


def test_the_witness_survives_and_goes_on_where_it_was(tmp_path: Path) -> None:
    """Ctrl-C does not end it; killed with -9 and started again it misses nothing and doubles nothing.

    A torn line of its own is cut off; SIGTERM ends it after a last look.
    """
    out, log = tmp_path / "witness", tmp_path / "serial mit Ümlaut.log"
    process = _start(out, log)
    try:
        before = time.time_ns()
        _append(log, 1, 100)
        _until(lambda: len(_seen(out)) == 100)
        statement = Testimony.read(out).statements[-1]
        assert statement.absent_ns < statement.seen_ns
        assert before < statement.seen_ns <= time.time_ns()
        process.send_signal(signal.SIGINT)
        _append(log, 101, 150)
        _until(lambda: len(_seen(out)) == 150)
        process.kill()
        process.wait()
        with out.open("a") as file:
            file.write("17 torn")
        _append(log, 151, 200)
        process = _start(out, log)
        _until(lambda: len(_seen(out)) == 200)
        _append(log, 201, 210)
        process.terminate()
        assert process.wait(timeout=10) == 0
        assert _seen(out) == list(range(1, 211))
    finally:
        process.kill()
        process.wait()


def test_the_witness_ends_with_the_one_it_serves(tmp_path: Path) -> None:
    """A demo that is killed with -9 leaves no witness behind."""
    served = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = _start(tmp_path / "witness", tmp_path / "serial.log", "--while-pid", str(served.pid))
    try:
        served.kill()
        served.wait()
        assert process.wait(timeout=10) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("bad", ["vm-1", "=log", "a b=log"])
def test_a_log_without_a_name_is_refused(bad: str, tmp_path: Path) -> None:
    """Its names stand in its file between spaces."""
    command = [sys.executable, "-m", "farshore.lab.witness", "--out", str(tmp_path / "w"), bad]
    assert subprocess.run(command, capture_output=True, env=os.environ, check=False).returncode == 2


def test_testimony_answers_for_both_sides_of_an_instant(tmp_path: Path) -> None:
    """Seen before means acknowledged before; absent after means not yet."""
    out = tmp_path / "witness"
    out.write_text("1000 900 vm-1 10 ack a 1\n2000 1900 vm-1 20 ack a 2\n2000 1900 vm-1 30 worst 0.250\n4000 39")
    testimony = Testimony.read(out)
    assert testimony.last_acknowledged("a", 1000) == 1
    assert testimony.last_acknowledged("a", 999) == 0
    assert testimony.last_acknowledged("a") == 2
    assert testimony.absent_until("a", 2) == 1900
    assert testimony.absent_until("a", 3) is None
    assert testimony.absent_until("b", 1) is None
    assert testimony.count_after({"a": 1}) == 1
    assert testimony.worst_write_seconds() == 0.25
