"""Run directories come and go beside each other, and the folder that they share goes with the last one."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from farshore.errors import BadInput
from farshore.model.rundir import make_run_directory, remove_run_directory, run_directory

TURNS = 300


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A TMPDIR of our own."""
    folder = Path(tempfile.mkdtemp(prefix="fs", dir="/tmp"))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    shutil.rmtree(folder)


def test_sites_that_start_and_end_at_once_do_not_disturb_each_other(short: Path) -> None:
    """Each finds its own directory once made, though others take the empty parent away; in the end all is gone."""

    def live(site: Path) -> int:
        found = 0
        for _ in range(TURNS):
            path = make_run_directory(site)
            (path / "socket").touch()
            found += (path / "socket").exists()
            remove_run_directory(site)
        return found

    with ThreadPoolExecutor(4) as threads:
        counts = list(threads.map(live, [short / str(number) for number in range(4)]))
    assert counts == [TURNS] * 4
    assert list(short.iterdir()) == []


def test_another_sites_directory_stays(short: Path) -> None:
    """What is removed is one site's; removing it twice is fine."""
    make_run_directory(short / "a")
    make_run_directory(short / "b")
    for _ in range(2):
        remove_run_directory(short / "a")
    assert run_directory(short / "b").is_dir()
    remove_run_directory(short / "b")
    assert list(short.iterdir()) == []


def test_a_file_in_the_place_of_the_folder_is_told(short: Path) -> None:
    """Not tried for ever."""
    run_directory(short / "a").parent.touch()
    with pytest.raises(BadInput, match="cannot be made"):
        make_run_directory(short / "a")


@pytest.mark.parametrize("way", ["open to others", "a link", "another user's"])
def test_a_folder_that_another_user_put_there_is_not_used(short: Path, way: str) -> None:
    """Anybody may make folders in /tmp before us: sockets in one of theirs would be theirs."""
    parent = run_directory(short / "a").parent
    if way == "a link":
        (short / "theirs").mkdir(mode=0o700)
        parent.symlink_to(short / "theirs")
    else:
        parent.mkdir(mode=0o700)
        if way == "open to others":
            parent.chmod(0o777)
        elif os.getuid() == 0:
            os.chown(parent, 65534, 65534)
        else:
            pytest.skip("only root gives a folder away")
    with pytest.raises(BadInput, match="not this user's alone"):
        make_run_directory(short / "a")
