"""Writing small files so that a crash leaves the old one or the new one, never a half."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection
from pathlib import Path

UNFINISHED = re.compile(r"\..+\.(\d+)\.new")
"""What `write_durably` calls a file that is not whole yet, with its process."""


def sync_directory(folder: Path) -> None:
    """Make the names in `folder` durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_durably(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write, fsync, rename, fsync the folder. Raises OSError; then the old file is as it was."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(handle, view) :]
            os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def remove_unfinished(folder: Path, besides: Collection[str] = ()) -> None:
    """Remove what `write_durably` was writing below `folder` when its process was killed.

    What a living process writes stays. Folders named in `besides` are not entered.
    """
    for place, below, names in os.walk(folder):
        below[:] = [name for name in below if name not in besides]
        for name in names:
            unfinished = UNFINISHED.fullmatch(name)
            if unfinished and not _is_another_alive(int(unfinished[1])):
                Path(place, name).unlink(missing_ok=True)


def _is_another_alive(pid: int) -> bool:
    """Whether a process of that number runs that is not this one: this one has written nothing yet."""
    return pid != os.getpid() and Path(f"/proc/{pid}").exists()


def remove_durably(path: Path) -> None:
    """Remove a file (none is fine, nor its folder) and make that durable."""
    path.unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):
        sync_directory(path.parent)
