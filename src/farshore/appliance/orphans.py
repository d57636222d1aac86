"""Carriers of a watcher that is gone end by themselves, but those that were stopped (SIGSTOP, freezer) or hang cannot.

Such a one would hold a journal's lock, or a window's memory, for ever. The next watcher kills the stopped ones before
it begins; and whoever starts a carrier that needs a folder's lock has its forerunner gone first. Which site a carrier
is of stands in its environment: not all of them name its folder in their command lines.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

from farshore.model.process_lock import holder_of

FORERUNNER_SECONDS = 3.0
"""How long a forerunner has to end by itself."""
LOOK_SECONDS = 0.1
VARIABLE = "FARSHORE_CARRIER_OF"
MODULES = {
    b"farshore.datapath.tap",
    b"farshore.datapath.stream.sender_process",
    b"farshore.datapath.sync",
    b"farshore.datapath.clone",
    b"farshore.datapath.journal_carrier",
}


def mark_carriers(site_folder: Path) -> None:
    """Whatever this process starts from now on is of that site."""
    os.environ[VARIABLE] = os.path.realpath(site_folder)


def end_stopped_carriers(site_folder: Path) -> list[int]:
    """Kill the stopped carriers of that site; to be called by its watcher before it starts its own. Gives whom."""
    mark = f"{VARIABLE}={os.path.realpath(site_folder)}".encode()
    killed = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _is_stopped_carrier(entry, mark):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(entry.name), signal.SIGKILL)
                killed.append(int(entry.name))
    return killed


async def end_forerunner(folder: Path, module: str) -> None:
    """Return when no earlier carrier of that module holds the folder's lock, or right after the one that did is killed.

    Nobody else is killed: the number that a lock tells may be another process's by now.
    """
    deadline = asyncio.get_running_loop().time() + FORERUNNER_SECONDS
    while (pid := holder_of(folder / "lock")) is not None and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(LOOK_SECONDS)
    if pid is not None and _is_carrier_of(pid, folder, module):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _is_carrier_of(pid: int, folder: Path, module: str) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return module.encode() in words and os.fsencode(folder) in words


def _is_stopped_carrier(process: Path, mark: bytes) -> bool:
    try:
        state = (process / "stat").read_bytes().rpartition(b")")[2].split()[0]
        if state not in (b"T", b"t") or not MODULES & set((process / "cmdline").read_bytes().split(b"\0")):
            return False
        return mark in (process / "environ").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False  # gone meanwhile, or another account's
