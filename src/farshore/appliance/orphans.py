"""Carriers of a watcher that is gone end by themselves, but those that were stopped (SIGSTOP, freezer) cannot.

Such a one would hold a journal's lock, or a window's memory, for ever. The next watcher kills them before it begins.
Which site a carrier is of stands in its environment: not all of them name its folder in their command lines.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

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


def _is_stopped_carrier(process: Path, mark: bytes) -> bool:
    try:
        state = (process / "stat").read_bytes().rpartition(b")")[2].split()[0]
        if state not in (b"T", b"t") or not MODULES & set((process / "cmdline").read_bytes().split(b"\0")):
            return False
        return mark in (process / "environ").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False  # gone meanwhile, or another account's
