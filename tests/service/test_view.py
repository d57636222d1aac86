"""The view process: a volume at a checkpoint over NBD, right and undisturbed whatever the journal does meanwhile."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from farshore.appliance.view_keeper import ViewKeeper
from farshore.cli.processes import site_processes
from farshore.datapath.journal import Journal, append
from farshore.datapath.replica.promotion import Promoter
from farshore.nbd.client import NbdClient, NbdFault
from tests.made_streams import START_NS, MadeStream
from tests.storage_lab import until

SIZE = (1 << 20) + 512


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short folder; removed at the end."""
    path = Path(tempfile.mkdtemp(prefix="fs"))
    yield path
    shutil.rmtree(path)


def made(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Journal, list[bytes]]:
    """A journal of many small files with ten checkpoints (ordinals 1, 3, ..), and the disk at each."""
    monkeypatch.setattr(append, "FILE_BYTES_MAX", 200_000)
    journal = Journal.open(folder / "j", writable=True, reserve_bytes=0)
    stream, disk, copies = MadeStream(), bytearray(SIZE), []
    stream.begin({5: SIZE})
    for number in range(10):
        stream.clock_ns += 10**9
        for offset in (number * 1000, 512 * number, SIZE - 512):
            data = os.urandom(40_000 if offset < 100_000 else 512)
            stream.write(5, offset, data)
            disk[offset : offset + len(data)] = data
        stream.marker(f"m{number}", [5])
        group = [stream.seal()]
        stream.say(type="vouch", id=f"m{number}")
        journal.append([*group, stream.seal()])
        copies.append(bytes(disk))
    return journal, copies


def serve(folder: Path, checkpoint: int, name: str) -> subprocess.Popen[str]:
    """A view process that is ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "farshore.datapath.view", "--journal", str(folder / "j"),
         "--checkpoint", str(checkpoint), "--volume", "5", "--socket", str(folder / name)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.stdout.close()
    return process


def test_views_stay_right_while_the_journal_is_promoted_under_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two views; what is older than both is promoted and its files deleted under them; both read as before."""
    journal, copies = made(folder, monkeypatch)
    views = {at: serve(folder, 2 * at + 1, f"v{at}") for at in (4, 9)}
    try:
        for at in views:
            with NbdClient(folder / f"v{at}", "5") as client:
                assert client.size_bytes == SIZE
                assert client.pread(0, SIZE) == copies[at]
        files = len(list((folder / "j" / "segments").iterdir()))
        assert Promoter(journal, 5.0).step(START_NS * 2)
        assert journal.floor.ordinal == 2 * 3 + 1
        assert len(list((folder / "j" / "segments").iterdir())) < files
        for at in views:
            with NbdClient(folder / f"v{at}", "", ("base:allocation",)) as client:
                assert client.pread(0, SIZE) == copies[at]
                assert client.pread(SIZE - 512, 512) == copies[at][-512:]
                zero = [each for each in client.block_status(0, SIZE) if each.flags & 2]
                assert zero
                assert not any(any(copies[at][each.offset : each.offset + each.length]) for each in zero)
                with pytest.raises(NbdFault):
                    client.pwrite(0, b"x")
        journal.close()
    finally:
        for at, process in views.items():
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
            assert not (folder / f"v{at}").exists()


def test_many_connections_and_the_same_cost_for_old_and_new(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four connections read one view at once, each rightly; a checkpoint that is gone is refused in words."""
    journal, copies = made(folder, monkeypatch)
    journal.close()
    process = serve(folder, 1, "v")
    wrong: list[int] = []

    def read(seed: int) -> None:
        with NbdClient(folder / "v", "5") as client:
            for turn in range(40):
                offset = (seed * 7919 + turn * 30011) % (SIZE - 9000)
                if client.pread(offset, 9000) != copies[0][offset : offset + 9000]:
                    wrong.append(offset)

    try:
        threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert not wrong
    finally:
        process.terminate()
        assert process.wait(10) == 0
    began = time.monotonic()
    refused = subprocess.run(
        [sys.executable, "-m", "farshore.datapath.view", "--journal", str(folder / "j"), "--checkpoint", "2",
         "--volume", "5", "--socket", str(folder / "w")],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert refused.returncode == 1
    assert "does not hold checkpoint 2" in refused.stderr
    assert time.monotonic() - began < 60


STARTER = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.service.test_view import keeper_in

keeper, saves = keeper_in(Path(sys.argv[1])), []
save = keeper._save

def killed_before(operation):
    saves.append(operation)
    if len(saves) == 2:  # the process is started, and not written down
        os.kill(os.getpid(), signal.SIGKILL)
    save(operation)

keeper._save = killed_before
asyncio.run(keeper.open("operation", "j", 5, [5]))
"""


def keeper_in(site: Path) -> ViewKeeper:
    """A keeper of views of the journal `journal/j`."""
    around: Any = SimpleNamespace(site_folder=site, run_folder=site, log=lambda name: site / f"{name}.log")
    return ViewKeeper(around)


def test_a_view_whose_starter_is_killed_before_it_wrote_that_down_ends(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether its operation goes on or not; when it does there is one view, and that one is right."""
    _, copies = made(folder, monkeypatch)
    site = folder / "site"
    (site / "journal").mkdir(parents=True)
    (site / "journal" / "j").symlink_to(folder / "j")
    starter = subprocess.run([sys.executable, "-c", STARTER, str(site)], check=False, timeout=60)
    assert starter.returncode == -signal.SIGKILL
    until(lambda: not site_processes(site), 20, "the view is gone")

    async def go_on() -> None:
        keeper = keeper_in(site)
        await keeper.resume()
        opened = await keeper.open("operation", "j", 5, [5])
        assert len(site_processes(site)) == 1
        with NbdClient(Path(opened[5]["socket"]), "5") as client:
            assert client.pread(0, 4096) == copies[2][:4096]
        await keeper.close("operation")

    asyncio.run(go_on())
    assert not site_processes(site)
