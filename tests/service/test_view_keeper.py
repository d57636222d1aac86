"""The keeper of views, killed at its worst moment: no view's process is left that nobody knows of."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from farshore.appliance.view_keeper import ViewKeeper
from farshore.nbd.client import NbdClient
from tests.service.test_view import folder, made  # noqa: F401 - a fixture
from tests.storage_lab import until

STARTER = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.service.test_view_keeper import keeper_in

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


def processes_of(site: Path) -> list[int]:
    """Whatever runs and names that folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(site).encode() in words:
            found.append(int(path.parent.name))
    return found


def test_a_view_whose_starter_is_killed_before_it_wrote_that_down_ends(
    folder: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whether its operation goes on or not; when it does there is one view, and that one is right."""
    _, copies = made(folder, monkeypatch)
    site = folder / "site"
    (site / "journal").mkdir(parents=True)
    (site / "journal" / "j").symlink_to(folder / "j")
    starter = subprocess.run([sys.executable, "-c", STARTER, str(site)], check=False, timeout=60)
    assert starter.returncode == -signal.SIGKILL
    until(lambda: not processes_of(site), 20, "the view is gone")

    async def go_on() -> None:
        keeper = keeper_in(site)
        await keeper.resume()
        opened = await keeper.open("operation", "j", 5, [5])
        assert len(processes_of(site)) == 1
        with NbdClient(Path(opened[5]["socket"]), "5") as client:
            assert client.pread(0, 4096) == copies[2][:4096]
        await keeper.close("operation")

    asyncio.run(go_on())
    assert not processes_of(site)
