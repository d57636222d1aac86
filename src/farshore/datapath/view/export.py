"""Writing a volume at a checkpoint into an image file, from the journal's files alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from farshore.datapath.journal import Checkpoint, Journal
from farshore.datapath.journal.pins import own_name
from farshore.datapath.view.volume import VolumeView, open_view
from farshore.errors import Conflict, Fault
from farshore.model.files import sync_directory
from farshore.nbd.constants import STATE_ZERO

CHUNK_BYTES = 4 << 20


def export(
    journal: Journal,
    checkpoint: Checkpoint,
    volume: int,
    path: Path,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write a sparse raw image, made durable; returns its size in bytes. `progress` gets (done, total) bytes.

    The journal's segments up to the checkpoint are verified first. The checkpoint is pinned meanwhile, so a carrier may
    run beside. Raises DamagedJournal, NotFound, Conflict when the file exists, Fault when it cannot be written.
    """
    operation = own_name("export", str(volume))
    journal.pin(operation, checkpoint.id)
    try:
        journal.verify(last=checkpoint.ordinal).raise_if_damaged()
        with open_view(journal.path, checkpoint.id, volume) as view:
            _write_image(view, path, progress)
            return view.size_bytes
    except FileExistsError as error:
        raise Conflict(f"{path} exists.", "Name a file that does not.") from error
    except OSError as error:
        raise Fault(f"{path} cannot be written: {error}.", "Look at the store it is on.") from error
    finally:
        journal.unpin(operation)


def _write_image(view: VolumeView, path: Path, progress: Callable[[int, int], None] | None) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.ftruncate(fd, view.size_bytes)
        buffer = memoryview(bytearray(CHUNK_BYTES))
        at = 0
        while at < view.size_bytes:
            length, flags = view.allocation(at, view.size_bytes - at)[0]
            end = at + length
            while at < end and not flags & STATE_ZERO:
                part = buffer[: min(CHUNK_BYTES, end - at)]
                view.read_into(part, at)
                _write_all(fd, part, at)
                at += len(part)
                if progress:
                    progress(at, view.size_bytes)
            at = end
        os.fsync(fd)
    finally:
        os.close(fd)
    sync_directory(path.parent)


def _write_all(fd: int, data: memoryview, offset: int) -> None:
    while data:
        written = os.pwrite(fd, data, offset)
        data = data[written:]
        offset += written
