"""Writes what a rollback had discarded as plain raw files: a volume at its checkpoint, with the scratch over it.

The files appear under their names when all of them are whole and durable; a kill leaves only hidden `.new` files,
which the next try overwrites.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from farshore.errors import BadInput, Conflict, Fault
from farshore.model.files import sync_directory
from farshore.model.store_room import room_bytes

if TYPE_CHECKING:
    from farshore.appliance.discarded_record import DiscardedDisk

START_SECONDS = 30.0
POLL_SECONDS = 0.05
STOP_SECONDS = 10.0


def save(site_folder: Path, operation: str, to: Path) -> list[Path]:
    """Write all disks into the folder `to`, which is made; gives the files.

    Raises NotFound for what is not kept, Conflict when a file is there or there is no room, BadInput, Fault.
    """
    from farshore.appliance.discarded_record import demand

    place, record = demand(site_folder, operation)
    names = {disk: to / _file_name(disk, number) for number, disk in enumerate(record.disks)}
    lock = place.lock()
    try:
        demand(site_folder, operation)  # it may have been removed between the look and the lock
        _make(to)
        _check_room(to, names)
        journal = site_folder / "journal" / record.vpg_id
        for disk, path in names.items():
            with _view(journal, record.checkpoint_id, disk.volume) as socket:
                _convert(place.scratch / disk.scratch, socket, disk.volume, _unfinished(path))
        for path in names.values():
            _unfinished(path).rename(path)
        sync_directory(to)
    finally:
        lock.release()
    return list(names.values())


def _file_name(disk: DiscardedDisk, number: int) -> str:
    """Of VM and disk, as far as both can be in a file's name; numbered, so that no two are the same."""
    words = re.sub(r"[^\w.-]+", "_", f"{disk.vm_name}.{disk.disk_id}")[:80]
    return f"{number + 1}-{words}.raw"


def _unfinished(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")


def _make(to: Path) -> None:
    try:
        to.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{to} cannot be made: {error.strerror}.", "Name a folder.") from error


def _check_room(to: Path, names: dict[DiscardedDisk, Path]) -> None:
    for path in names.values():
        if path.exists():
            raise Conflict(f"{path} is there already.", "Name another folder, or remove it.")
        _unfinished(path).unlink(missing_ok=True)
    needed, room = sum(disk.size_bytes for disk in names), room_bytes(to)
    if needed > room:
        raise Conflict(f"The disks take {needed} bytes, and {to} has room for {max(0, room)}.", "Name another folder.")


@contextlib.contextmanager
def _view(journal: Path, checkpoint_id: str, volume: int) -> Iterator[Path]:
    """A socket on which the volume can be read as it was at the checkpoint."""
    folder = Path(tempfile.mkdtemp(prefix="fsd", dir="/tmp"))
    socket = folder / "view"
    words = ["--journal", journal, "--checkpoint", checkpoint_id, "--volume", str(volume), "--socket", socket]
    command = [sys.executable, "-m", "farshore.datapath.view", *map(str, words)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not socket.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                assert process.stderr is not None
                process.kill()
                words_said = process.stderr.read().decode(errors="replace").strip()
                raise Fault(f"Volume {volume} at checkpoint {checkpoint_id} cannot be read: {words_said}", "")
            time.sleep(POLL_SECONDS)
        yield socket
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _convert(scratch: Path, socket: Path, volume: int, target: Path) -> None:
    """Both layers into one raw file, which is durable then. Raises Fault."""
    server = {"type": "unix", "path": os.fspath(socket)}
    layers = {
        "driver": "qcow2",
        "file": {"driver": "file", "filename": os.fspath(scratch)},
        "backing": {"driver": "nbd", "server": server, "export": str(volume)},
    }
    source = "json:" + json.dumps(layers)
    command = ["qemu-img", "convert", "-O", "raw", "-S", "4k", source, os.fspath(target)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        target.unlink(missing_ok=True)
        raise Fault(f"{target.name} was not written: {done.stderr.decode(errors='replace').strip()}", "Mend it.")
    handle = os.open(target, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
