"""A seeded journal: it begins with old disks as base images, listed as its first checkpoint, ordinal 0.

The old disks are not copied and not touched: nothing is promoted before a checkpoint of the stream is durable, since
the newest checkpoint of all never goes; until then that is this one.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from farshore.datapath.journal import Checkpoint
from farshore.datapath.journal.files import list_files
from farshore.datapath.journal.floor import Floor
from farshore.datapath.journal.ledger import Ledger
from farshore.datapath.journal.lock import WriterLock
from farshore.datapath.journal.retired import retired_epoch
from farshore.datapath.replica.image import image_path
from farshore.datapath.replica.old_disks import fingerprint
from farshore.errors import BadInput, Conflict, NotFound
from farshore.model.files import sync_directory, write_durably

SECTOR_BYTES = 512
MARKER_ID = "seed"
_FORMATS = {b"QFI\xfb": "qcow2", b"KDMV": "VMDK", b"vhdxfile": "VHDX", b"conectix": "VHD", b"QED\0": "QED"}


def begin_seeded(journal: Path, seed: Mapping[str, Any], volumes: list[dict[str, Any]]) -> bool:
    """Let an empty journal begin from `seed` (a JournalSeed as JSON); whether it did: one with a history ignores it.

    Refused, and nothing made: NotFound for a disk that is not there, BadInput, Conflict, JournalInUse.
    """
    if _has_history(journal):
        return False
    bases = {int(number): Path(path) for number, path in seed["bases"].items()}
    sizes = _demand_usable(bases, volumes)
    (journal / "replica").mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = WriterLock(journal)
    try:
        if _has_history(journal):
            return False
        for number, disk in bases.items():
            _link(image_path(journal, number), disk)
        sync_directory(journal / "replica")
        disks = {str(number): fingerprint(disk) for number, disk in bases.items()}
        record = {"changing": False, "disks": disks, "changed": {}}
        write_durably(journal / "replica" / "bases.json", json.dumps(record, indent=1).encode())
        seeded = [{**each, "size_bytes": sizes[each["number"]]} for each in volumes if each["number"] in sizes]
        _floor(seed, seeded).save(journal)
    finally:
        lock.release()
    return True


def _has_history(journal: Path) -> bool:
    return Floor.path(journal).exists() or bool(list_files(journal)) or retired_epoch(journal) is not None


def _demand_usable(bases: dict[int, Path], volumes: list[dict[str, Any]]) -> dict[int, int]:
    """The disks' sizes in bytes. Raises a FarshoreError for the first that cannot be a base image."""
    wanted = {int(volume["number"]): int(volume["size_bytes"]) for volume in volumes}
    if not bases:
        raise BadInput("A seed without old disks seeds nothing.", "Leave the seed out.")
    if len(set(bases.values())) != len(bases):
        raise Conflict("Two volumes cannot begin from the same old disk.", "Name one disk a volume.")
    for number in bases.keys() - wanted.keys():
        raise BadInput(f"The seed has a disk for volume {number}, which the VPG has not.", "Name its volumes only.")
    return {number: _usable_size(number, disk, wanted[number]) for number, disk in bases.items()}


def _usable_size(number: int, disk: Path, wanted_bytes: int) -> int:
    remedy = "Look for the disk, or protect without it: the volume is then sent whole."
    if not disk.is_absolute():
        raise BadInput(f"The old disk '{disk}' of volume {number} is no absolute path.", remedy)
    try:
        fd = os.open(disk, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise NotFound(f"The old disk {disk} of volume {number} does not exist.", remedy) from error
    except OSError as error:
        raise Conflict(f"The old disk {disk} of volume {number} cannot be read: {error.strerror}.", remedy) from error
    try:
        mode = os.fstat(fd).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISBLK(mode):
            raise BadInput(f"The old disk {disk} of volume {number} is neither a file nor a block device.", remedy)
        size = os.lseek(fd, 0, os.SEEK_END)
        fault = _unusable(os.pread(fd, 8, 0), size, wanted_bytes)
    finally:
        os.close(fd)
    if fault:
        raise BadInput(f"The old disk {disk} of volume {number} {fault}.", remedy)
    return size


def _unusable(head: bytes, size: int, wanted_bytes: int) -> str:
    if size < wanted_bytes:
        return f"is too small: it has {size} bytes, the volume has {wanted_bytes}"
    if size % SECTOR_BYTES:
        return f"is no raw disk: its {size} bytes are not whole sectors of {SECTOR_BYTES}"
    if size > wanted_bytes:  # a guest may write what it likes to the front of a raw disk of the volume's very size
        for magic, name in _FORMATS.items():
            if head.startswith(magic):
                return f"is no raw disk: it is a {name} image of {size} bytes, the volume has {wanted_bytes}"
    return ""


def _link(name: Path, disk: Path) -> None:
    """A symlink `name`, instead of one that a process that died may have left."""
    temporary = name.with_name(f".{name.name}.new")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(disk)
    temporary.replace(name)


def _floor(seed: Mapping[str, Any], volumes: list[dict[str, Any]]) -> Floor:
    """The floor at ordinal 0; time without history begins with the disks' own moment."""
    ledger = Ledger()
    time_ns = int(seed["time_ns"])
    ledger.newest_ns = ledger.unsynced_since_ns = time_ns
    ledger.break_reason = "the journal begins from old disks"
    ledger.volumes_log = [(0, volumes)]
    ledger.definitions_log = [(0, {**vm, "id": vm_id}) for vm_id, vm in seed["definitions"].items()]
    checkpoint = Checkpoint(
        id="0",
        time_ns=time_ns,
        tag=str(seed["tag"]),
        task=None,
        marker_id=MARKER_ID,
        ordinal=0,
        volumes=tuple(sorted(int(volume["number"]) for volume in volumes)),
        hole_before=False,
    )
    return Floor(ordinal=0, checkpoint=checkpoint, state=ledger.snapshot(0))
