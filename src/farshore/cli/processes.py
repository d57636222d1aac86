"""The processes of a site, found by what their command lines name: the site's folder or its run directory.

A process is never found by its name alone: another site's, another user's or another lab's is never among them.
What a site's process started (a carrier that got all it needs by file descriptors) is found as its descendant.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from farshore.model.rundir import run_directory

ROLES = ("site", "manager", "watcher", "carrier", "vm", "link")
"""`link`: the line between a lab's sites, which belongs to the lab's folder."""

_MODULES = {"farshore.manager": "manager", "farshore.appliance": "watcher", "farshore.lab.link": "link"}


@dataclass(frozen=True)
class SiteProcess:
    """A live process. `role` is one of ROLES; `instance` (pid:starttime) tells it from a later one of the same pid."""

    pid: int
    parent: int
    role: str
    instance: str
    command: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """For --json."""
        return asdict(self)


@dataclass(frozen=True)
class _Entry:
    pid: int
    parent: int
    start: str
    state: str
    command: tuple[str, ...]


def site_processes(folder: Path) -> list[SiteProcess]:
    """All live processes of the site in `folder`, by pid."""
    table = {entry.pid: entry for entry in _process_table()}
    marks = (os.path.realpath(folder), os.fspath(folder.absolute()), os.fspath(run_directory(folder)))
    roles = {pid: role for pid, entry in table.items() if (role := _role(entry.command, marks))}
    for pid, entry in table.items():
        if pid not in roles and _descends(entry, table, roles):
            roles[pid] = "carrier"
    return [
        SiteProcess(pid, table[pid].parent, role, f"{pid}:{table[pid].start}", table[pid].command)
        for pid, role in sorted(roles.items())
    ]


def kill_processes(processes: Iterable[SiteProcess], signal_number: int = signal.SIGKILL) -> list[SiteProcess]:
    """Send a signal to each that is still the same process; those that got it."""
    reached = []
    for process in processes:
        if is_alive(process.instance):
            try:
                os.kill(process.pid, signal_number)
            except ProcessLookupError:
                continue
            reached.append(process)
    return reached


def wait_until_gone(processes: Sequence[SiteProcess], timeout_seconds: float) -> list[SiteProcess]:
    """Wait for the ends of processes; those that are still there at the deadline."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        left = [process for process in processes if is_alive(process.instance)]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.05)


def is_alive(instance: str) -> bool:
    """Whether the process `pid:starttime` still runs (a zombie does not)."""
    pid, _, start = instance.partition(":")
    entry = _read(int(pid))
    return entry is not None and entry.start == start and entry.state not in "ZX"


def instance_of(pid: int) -> str | None:
    """`pid:starttime` of a live process, None when there is none."""
    entry = _read(pid)
    return None if entry is None or entry.state in "ZX" else f"{pid}:{entry.start}"


def _role(command: Sequence[str], marks: Sequence[str]) -> str | None:
    """The role that a command line says, for one that names the site's folder in a value of its own."""
    program = os.path.basename(command[0])
    named = any(_names(argument, mark) for argument in command[1:] for mark in marks)
    if not named:
        return None
    if program.startswith("qemu-"):
        return "vm"
    module = _module(command)
    if module in _MODULES:
        return _MODULES[module]
    if module.startswith("farshore.datapath"):
        return "carrier"
    if "site" in command and command[command.index("site") + 1 : command.index("site") + 2] == ("run",):
        return "site"
    return None


def _names(argument: str, mark: str) -> bool:
    """Whether an argument holds the path `mark` as a whole: at its end, or followed by a separator."""
    at = argument.find(mark)
    while at >= 0:
        if argument[at + len(mark) : at + len(mark) + 1] in ("", "/", ",", '"'):
            return True
        at = argument.find(mark, at + 1)
    return False


def _module(command: Sequence[str]) -> str:
    """What follows -m of a Python command line, without `.__main__`; empty for none."""
    if "-m" not in command[:4]:
        return ""
    at = command.index("-m") + 1
    return command[at].removesuffix(".__main__") if at < len(command) else ""


def _descends(entry: _Entry, table: dict[int, _Entry], roles: dict[int, str]) -> bool:
    seen: set[int] = set()
    while entry.parent in table and entry.pid not in seen:
        seen.add(entry.pid)
        if entry.parent in roles:
            return True
        entry = table[entry.parent]
    return False


def _process_table() -> list[_Entry]:
    entries = (_read(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return [entry for entry in entries if entry is not None and entry.command and entry.state not in "ZX"]


def _read(pid: int) -> _Entry | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    fields = stat[stat.rindex(b")") + 2 :].split()
    words = tuple(os.fsdecode(word) for word in command.rstrip(b"\0").split(b"\0")) if command else ()
    return _Entry(pid, int(fields[1]), fields[19].decode(), fields[0].decode(), words)
