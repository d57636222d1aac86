"""What the demo could leave behind: processes, sockets, mounts and files, listed before and after.

A process belongs to the demo if its environment carries the demo's mark, which everything inherits that the demo
starts, or if its command line names the lab's folder or a run directory of it. Sockets and mounts belong to it by
their paths, listening ports by the lab's addresses. Files are those in the lab's folder, its run directories and the
witness's; an empty folder that a site keeps for the next test is none.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from farshore.lab.addresses import SiteAddress
from farshore.lab.demo.checks import Check

IGNORED_SITE_FOLDERS = ("journal", "log", "manager")
"""A site's own life: its journal grows, its logs and its database are for people and for history."""


@dataclass(frozen=True)
class Left:
    """What there is at one moment, each thing as a text that names it."""

    processes: frozenset[str]
    sockets: frozenset[str]
    mounts: frozenset[str]
    files: frozenset[str]


def look(
    mark: str,
    places: Sequence[Path],
    addresses: Collection[SiteAddress] = (),
    files_below: Sequence[Path] | None = None,
) -> Left:
    """What there is now. `places`: paths that mark what is the demo's; `files_below`: where files count, else there."""
    texts = [os.fspath(place) for place in places]
    return Left(
        frozenset(_processes(mark, texts)),
        frozenset(_unix_sockets(texts) | _listeners(addresses)),
        frozenset(_mounts(texts)),
        frozenset(_files(places if files_below is None else files_below)),
    )


def site_files(site_folder: Path, run_folder: Path) -> list[Path]:
    """Where a failover test could leave files at a site: all of it but journal, logs and database."""
    inside = sorted(site_folder.iterdir()) if site_folder.exists() else []
    return [path for path in inside if path.name not in IGNORED_SITE_FOLDERS] + [run_folder]


def check_nothing_left(name: str, before: Left, after: Left) -> Check:
    """Nothing is there that was not before, of any kind."""
    words = []
    for kind in fields(Left):
        new = sorted(getattr(after, kind.name) - getattr(before, kind.name))
        if new:
            words.append(f"{kind.name}: {', '.join(new[:4])}{' ...' if len(new) > 4 else ''}")
    return Check(name, not words, "; ".join(words) or "no process, socket, mount or file")


def _processes(mark: str, places: Sequence[str]) -> set[str]:
    found = set()
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            command = Path(f"/proc/{name}/cmdline").read_bytes()
            environment = Path(f"/proc/{name}/environ").read_bytes()
            start = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[19]
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # ended meanwhile, or another user's, which the demo cannot have started
        words = command.replace(b"\0", b" ").decode(errors="replace").strip()
        if words and (mark.encode() in environment or any(place in words for place in places)):
            found.add(f"{name}:{start} {words[:120]}")
    return found


def _unix_sockets(places: Sequence[str]) -> set[str]:
    lines = Path("/proc/net/unix").read_text().splitlines()[1:]
    paths = {line.split(maxsplit=7)[7] for line in lines if len(line.split(maxsplit=7)) == 8}
    return {path for path in paths if any(path.startswith(place) for place in places)}


def _listeners(addresses: Collection[SiteAddress]) -> set[str]:
    wanted = {(address.host, port) for address in addresses for port in address.ports()}
    found = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        local, state = line.split()[1], line.split()[3]
        host_hex, port_hex = local.split(":")
        host = ".".join(str(byte) for byte in reversed(bytes.fromhex(host_hex)))
        if state == "0A" and (host, int(port_hex, 16)) in wanted:
            found.add(f"{host}:{int(port_hex, 16)}")
    return found


def _mounts(places: Sequence[str]) -> set[str]:
    lines = Path("/proc/self/mounts").read_text().splitlines()
    points = {line.split()[1].replace("\\040", " ") for line in lines}
    return {point for point in points if any(point.startswith(place) for place in places)}


def _files(below: Sequence[Path]) -> set[str]:
    found: set[str] = set()
    for place in below:
        if place.is_file():
            found.add(os.fspath(place))
        for folder, _, names in os.walk(place):
            found.update(os.path.join(folder, name) for name in names)
    return found
