"""The demo, as a newcomer sees it: it plays to its end, every check holds, and nothing is left of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from farshore.cli.exit_codes import ExitCode
from farshore.cli.processes import site_processes

pytestmark = pytest.mark.timeout(1200)

PARTS = 8
CHECKS_MIN = 45


def _demo(cache: Path, *words: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "XDG_CACHE_HOME": str(cache)}
    command = [sys.executable, "-m", "farshore", "demo", *words]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, env=environment, text=True, start_new_session=True, **pipes)


def _left(cache: Path) -> list[str]:
    """Processes and files of a demo under this cache."""
    labs = cache / "farshore" / "labs"
    return [process.role for process in site_processes(labs)] + [path.name for path in labs.iterdir()]


def _until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_demo_plays_to_its_end_with_every_check_holding(tmp_path: Path):
    """With --step it waits for Enter between the parts; exit code 0; the table has every check, none of them failed."""
    with _demo(tmp_path, "--step") as process:
        printed, _ = process.communicate("\n" * PARTS)
    assert process.returncode == ExitCode.OK, printed
    assert printed.count("Press Enter to go on.") == PARTS - 1
    assert printed.count("  holds  ") >= CHECKS_MIN
    assert "  FAILS  " not in printed
    assert _left(tmp_path) == []


def test_after_ctrl_c_nothing_of_the_demo_is_left(tmp_path: Path):
    """Interrupted while sites and guests run: everything is taken down, exit code 130."""
    labs = tmp_path / "farshore" / "labs"
    with _demo(tmp_path) as process:
        _until(lambda: any(p.role == "vm" for p in site_processes(labs)) or process.poll() is not None, 180)
        os.killpg(process.pid, signal.SIGINT)
        printed, _ = process.communicate()
    assert process.returncode == ExitCode.INTERRUPTED, printed
    assert _left(tmp_path) == []
