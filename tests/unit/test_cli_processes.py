"""A site's processes are found by the folder that their command lines name, and no other process ever is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from farshore.cli.processes import instance_of, is_alive, kill_processes, site_processes, wait_until_gone
from farshore.model.rundir import run_directory

SLEEP = "import time; time.sleep(60)"
PARENT = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}]).wait()"


@contextmanager
def _running(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", *arguments], start_new_session=True)
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_for(folder: Path, roles: list[str]) -> None:
    deadline = time.monotonic() + 10
    while (found := sorted(process.role for process in site_processes(folder))) != roles:
        assert time.monotonic() < deadline, found
        time.sleep(0.02)


def test_a_site_process_and_what_it_started_are_found(tmp_path: Path):
    """The supervisor by its command line, its child as a carrier though its own line names nothing."""
    with _running(PARENT, "site", "run", "--dir", str(tmp_path)):
        _wait_for(tmp_path, ["carrier", "site"])


def test_a_neighbour_whose_folder_begins_alike_is_another_site(tmp_path: Path):
    """`/x/north` is not `/x/north2`, and a process that only mentions the folder is none of the site's."""
    site = tmp_path / "north"
    with (
        _running(SLEEP, "site", "run", "--dir", f"{site}2"),
        _running(SLEEP, f"a text about {site}"),
        _running(SLEEP, "site", "run", "--dir", str(site)) as mine,
    ):
        _wait_for(site, ["site"])
        assert [process.pid for process in site_processes(site)] == [mine.pid]


def test_a_process_is_found_by_the_run_directory_too(tmp_path: Path):
    """Sockets live in the short run directory; a command line may name only that."""
    with _running(SLEEP, "site", "run", f"path={run_directory(tmp_path)}/x.sock,server=on"):
        _wait_for(tmp_path, ["site"])


def test_only_the_process_that_was_seen_is_killed(tmp_path: Path):
    """A pid that has ended, and may be another's by now, gets no signal."""
    with _running(SLEEP, "site", "run", "--dir", str(tmp_path)):
        _wait_for(tmp_path, ["site"])
        seen = site_processes(tmp_path)
        assert kill_processes(seen) == seen
        assert wait_until_gone(seen, 5) == []
        assert kill_processes(seen) == []
        assert not is_alive(seen[0].instance)
    assert instance_of(seen[0].pid) is None
