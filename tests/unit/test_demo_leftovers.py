"""What a demo leaves behind is seen: a process, a socket, a listening port, a file."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from farshore.lab.addresses import SiteAddress
from farshore.lab.demo.leftovers import Left, check_nothing_left, look

MARK = "mark-of-this-test"


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder with a short path, for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="fs", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


def _look(place: Path) -> Left:
    return look(MARK, [place], [SiteAddress("127.0.0.91")], files_below=[place])


def _difference(before: Left, place: Path, wanted: str) -> str:
    """The words of the check once it has seen `wanted`; a new process may need a moment to show its command."""
    deadline = time.monotonic() + 5
    while True:
        check = check_nothing_left("nothing is left", before, _look(place))
        if wanted in check.words:
            assert not check.good
            return check.words
        assert time.monotonic() < deadline, check.words
        time.sleep(0.02)


def test_where_nothing_is_left_the_check_holds(place: Path):
    """Two looks at the same state are equal."""
    check = check_nothing_left("nothing is left", _look(place), _look(place))
    assert check.good, check.words


@pytest.mark.parametrize("how", ["environment", "command line"])
def test_a_process_left_running_is_named(place: Path, how: str):
    """By the mark that it inherited, whatever its command; or by the folder that its command names (a QEMU)."""
    before = _look(place)
    named = [f"file={place}/disk.raw,if=none"] if how == "command line" else []
    environment = {**os.environ, "FARSHORE_DEMO": MARK} if how == "environment" else dict(os.environ)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", *named], env=environment) as process:
        assert f"{process.pid}:" in _difference(before, place, "processes")
        process.kill()


def test_a_socket_left_behind_is_named(place: Path):
    """A unix socket somebody still listens on, and its file."""
    before = _look(place)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(place / "x.sock"))
        server.listen()
        assert f"sockets: {place}/x.sock" in _difference(before, place, "sockets")


def test_a_port_that_is_still_listened_on_is_named(place: Path):
    """On the lab's addresses and ports only; a neighbour's port is no business of the demo."""
    before = _look(place)
    with socket.create_server(("127.0.0.92", 9669)), socket.create_server(("127.0.0.91", 9669)):
        words = _difference(before, place, "127.0.0.91:9669")
        assert "127.0.0.92" not in words


def test_a_file_left_behind_is_named(place: Path):
    """However deep it lies."""
    before = _look(place)
    (place / "scratch").mkdir()
    (place / "scratch" / "vm.qcow2").touch()
    assert f"{place}/scratch/vm.qcow2" in _difference(before, place, "files")


def test_what_was_there_before_is_not_counted(place: Path):
    """And what has gone since is no leftover."""
    (place / "old").touch()
    before = _look(place)
    (place / "old").unlink()
    assert check_nothing_left("nothing is left", before, _look(place)).good
