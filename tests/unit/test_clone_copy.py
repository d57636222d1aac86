"""The copy of a clone: the view's bytes, holes kept, whatever kills it; and no file where there is no room."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farshore.datapath.clone import image_copy
from farshore.datapath.clone.copying import CloneOrder, Copying
from farshore.datapath.replica.promotion import Promoter
from farshore.errors import Conflict, Fault
from farshore.model.process_lock import ProcessLock, holder_of
from tests.made_streams import START_NS
from tests.told_journals import SIZES, Killed, Story, story

FAR_NS = START_NS * 2

writes = st.tuples(
    st.just("write"), st.sampled_from(list(SIZES)), st.integers(0, 2000), st.binary(min_size=1, max_size=300)
)
zeroes = st.tuples(st.just("zero"), st.sampled_from(list(SIZES)), st.integers(0, 2000), st.integers(1, 900))
marks = st.tuples(st.just("checkpoint"), st.just(0), st.just(0), st.none())
stories = st.lists(st.one_of(writes, writes, zeroes, marks), min_size=4, max_size=30)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces so small that the disks of a story have many."""
    monkeypatch.setattr(image_copy, "WINDOW_BYTES", 1024)
    monkeypatch.setattr(image_copy, "PIECE_BYTES", 256)
    monkeypatch.setattr(image_copy, "BLOCK_BYTES", 64)
    monkeypatch.setattr(image_copy, "SYNC_BYTES", 512)
    monkeypatch.setattr(image_copy, "NOTE_BYTES", 512)


@contextmanager
def killed_at(step: int) -> Iterator[None]:
    """The process ends at the `step`-th thing that it does to a file."""
    spots = [(os, "pwrite"), (os, "ftruncate"), (os, "fdatasync"), (os, "fsync"), (Path, "rename"), (os, "replace")]
    real = [(where, name, getattr(where, name)) for where, name in spots]
    left = step

    def mortal(do: Any) -> Any:
        def run(*args: Any, **named: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                raise Killed
            return do(*args, **named)

        return run

    for where, name, do in real:
        setattr(where, name, mortal(do))
    try:
        yield
    finally:
        for where, name, do in real:
            setattr(where, name, do)


def ordered(told: Story, ordinal: int, reserve_bytes: int = 0) -> CloneOrder:
    """All volumes at a checkpoint."""
    disks = {f"{number}.raw": number for number in SIZES}
    return CloneOrder(str(told.folder), str(ordinal), str(told.folder.parent / "clone"), reserve_bytes, disks)


@given(stories, st.floats(0, 1), st.lists(st.integers(1, 40), max_size=3))
@settings(max_examples=80, deadline=None)
def test_l3_the_copy_is_the_view_whatever_kills_it(steps: list[Any], which: float, kills: list[int]) -> None:
    """For any stream and checkpoint, killed anywhere and again, and promoted up to it meanwhile: the view's bytes."""
    with story() as told:
        told.tell(steps[: len(steps) // 2])
        Promoter(told.journal, -1).step(FAR_NS)
        told.tell(steps[len(steps) // 2 :])
        chosen = told.offered()[int(which * (len(told.offered()) - 1))]
        told.journal.pin("clone", str(chosen))
        for kill in kills:
            with killed_at(kill), contextlib.suppress(Killed):  # a late one may come after the end
                Copying(ordered(told, chosen)).run()
            Promoter(told.journal, -1).step(FAR_NS)
        copying = Copying(ordered(told, chosen))
        copying.run()
        folder = told.folder.parent / "clone"
        assert {path.name for path in folder.iterdir()} == {"0.raw", "3.raw", "5.raw", "lock"}
        for number in SIZES:
            assert (folder / f"{number}.raw").read_bytes() == told.copies[chosen][number]
        assert copying.done_bytes == copying.total_bytes
        assert copying.sizes == {f"{number}.raw": size for number, size in SIZES.items()}


def test_l2_without_room_nothing_is_written() -> None:
    """Not even the folder; the reserve of the store counts."""
    with story() as told:
        told.tell([("write", 0, 0, b"x" * 512)])
        with pytest.raises(Fault, match=r"lacks \d+ bytes for the clone"):
            Copying(ordered(told, told.offered()[-1], reserve_bytes=1 << 60)).run()
        assert not (told.folder.parent / "clone").exists()


def test_l2_room_that_goes_while_it_copies_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the journal's reserve is touched."""
    with story() as told:
        told.tell([("write", 0, 0, b"x" * 300)] * 8)
        copying = Copying(ordered(told, told.offered()[-1]))
        rooms = iter([1 << 40])
        monkeypatch.setattr("farshore.datapath.clone.copying.room_bytes", lambda *_: next(rooms, -1))
        monkeypatch.setattr(image_copy, "SYNC_BYTES", 256)
        with pytest.raises(Fault, match="lacks 1 bytes"):
            copying.run()


def test_holes_stay_holes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the disk never had, what was zeroed, and zeros that were written take no room."""
    monkeypatch.undo()
    with story() as told:
        told.disks[0] = bytearray(64 << 20)
        told.say_volumes()
        told.journal.append([told.stream.seal()])
        told.tell([("write", 0, 1 << 20, b"x" * 4096), ("write", 0, 8 << 20, bytes(1 << 20)), ("zero", 0, 9 << 20, 99)])
        Copying(ordered(told, told.offered()[-1])).run()
        image = told.folder.parent / "clone" / "0.raw"
        assert image.stat().st_size == 64 << 20
        assert image.read_bytes() == told.disks[0]
        assert image.stat().st_blocks * 512 <= 256 << 10


def test_two_copiers_never_write_one_clone() -> None:
    """The second says so; whose lock it is can be seen."""
    with story() as told:
        told.tell([])
        folder = told.folder.parent / "clone"
        folder.mkdir()
        lock = ProcessLock(folder / "lock")
        with pytest.raises(Conflict, match="Another process"):
            Copying(ordered(told, told.offered()[-1])).run()
        assert holder_of(folder / "lock") == os.getpid()
        lock.release()
        assert holder_of(folder / "lock") is None


def test_the_copier_ends_with_its_watcher() -> None:
    """When its order's pipe is closed; it is not left writing into what somebody else takes up."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        os.mkfifo(Path(name) / "never")  # a journal whose opening waits for ever
        (Path(name) / "segments").mkdir()
        (Path(name) / "epoch.json").symlink_to(Path(name) / "never")
        order = {"journal": name, "checkpoint_id": "1", "folder": f"{name}/c", "reserve_bytes": 0, "disks": {"a": 0}}
        copier = subprocess.Popen(
            [sys.executable, "-m", "farshore.datapath.clone", "--folder", name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        try:
            assert copier.stdin is not None
            copier.stdin.write(json.dumps(order).encode() + b"\n")
            copier.stdin.flush()
            assert copier.stdout is not None
            said = copier.stdout.readline()
            assert b"done_bytes" in said
            copier.stdin.close()
            deadline = time.monotonic() + 20
            while copier.poll() is None:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        finally:
            copier.send_signal(signal.SIGKILL)
            copier.stdout.close()  # type: ignore[union-attr]
            copier.wait()
