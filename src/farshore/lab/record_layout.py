"""The bytes of the test guest's disks, in Python: slots, headers, and where a disk's ring and random data are.

This is the host's own reading of the format that guest/src/record.h describes, written apart from it on purpose: what
the guest and the host both find is then found by different code.

A disk's ring is a header slot and then `slots` slots of 4 KiB. Record n stands in slot n mod slots. A slot that holds
no record yet says so (FAREMPTY), so that every byte of a ring is accounted for.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import xxhash

from farshore.errors import BadInput, Damaged

SLOT_BYTES = 4096
RECORD_MAGIC = b"FARSHORE"
EMPTY_MAGIC = b"FAREMPTY"
HEADER_MAGIC = b"FARHEAD1"
_HEAD = struct.Struct("<8sQQ16s")
_HEADER = struct.Struct("<8sQQQQQ")
_FILLER_WORDS = 506
_SUMMED_BYTES = SLOT_BYTES - 4


class ReadableDisk(Protocol):
    """Anything that a disk's bytes can be read from: an image file, an NBD view."""

    def pread(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset`."""
        ...


@dataclass(frozen=True)
class Extent:
    """A run of bytes on the disk."""

    offset: int
    length: int


@dataclass(frozen=True)
class DiskLayout:
    """Where the ring and the random data are on one disk, and what the random data are. Kept beside the image.

    On an ext4 disk these are the blocks of two files that were allocated when the image was made and never move, so
    that reading the blocks directly is right even while the file system's journal waits to be replayed.
    """

    number: int
    """Over all VMs, in the chain's order: 0 is disk a."""
    kind: Literal["raw", "ext4"]
    size_bytes: int
    slots: int
    ring: tuple[Extent, ...]
    """The header slot and then all slots."""
    random: tuple[Extent, ...]
    random_sha256: str

    @property
    def letter(self) -> str:
        """The disk's name in the chain."""
        return disk_letter(self.number)

    def save(self, image: Path) -> None:
        """Write the layout beside its image."""
        layout_path(image).write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, image: Path) -> DiskLayout:
        """The layout that was saved beside `image`. Raises BadInput when there is none."""
        path = layout_path(image)
        if not path.is_file():
            raise BadInput(f"There is no layout {path} of a test disk.", "Make the disk with farshore.lab.guest_image.")
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for name in ("ring", "random"):
            data[name] = tuple(Extent(**extent) for extent in data[name])
        return cls(**data)


def layout_path(image: Path) -> Path:
    """The file that holds the layout of `image`."""
    return image.with_name(image.name + ".layout.json")


def disk_letter(number: int) -> str:
    """a, b, ..., z, aa, ab, ...: what the guests call disk `number` (0 or more)."""
    letters = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("a") + rest) + letters
    return letters


def read_extents(disk: ReadableDisk, extents: Sequence[Extent]) -> bytes:
    """The bytes of these extents, one after the other. Raises Damaged when the disk gives fewer."""
    parts = []
    for extent in extents:
        part = disk.pread(extent.offset, extent.length)
        if len(part) != extent.length:
            raise Damaged(f"The disk gave {len(part)} bytes of {extent.length} at {extent.offset}.")
        parts.append(part)
    return b"".join(parts)


def _sealed(head: bytes) -> bytes:
    """A slot of these bytes, zeroes, and the checksum."""
    body = head.ljust(_SUMMED_BYTES, b"\0")
    return body + struct.pack("<I", xxhash.xxh64_intdigest(body) & 0xFFFFFFFF)


def is_sealed(slot: bytes | memoryview) -> bool:
    """Whether the slot's checksum is right."""
    expected: int = struct.unpack_from("<I", slot, _SUMMED_BYTES)[0]
    return xxhash.xxh64_intdigest(slot[:_SUMMED_BYTES]) & 0xFFFFFFFF == expected


def _filler(number: int, disk: int) -> bytes:
    mask = (1 << 64) - 1
    steps = np.arange(1, _FILLER_WORDS + 1, dtype="<u8") * np.uint64(0xBF58476D1CE4E5B9)
    base = (number * 0x9E3779B97F4A7C15 & mask) ^ (disk * 0x94D049BB133111EB & mask)
    return (steps ^ np.uint64(base)).astype("<u8").tobytes()


def make_record(number: int, disk: int, boot: bytes = bytes(16)) -> bytes:
    """The slot of record `number` of disk `disk`, written by the guest of that boot."""
    return _sealed(_HEAD.pack(RECORD_MAGIC, number, disk, boot) + _filler(number, disk))


def make_empty(slot: int, disk: int) -> bytes:
    """What slot `slot` holds before its first record. Not zeroes, so that no file system leaves a hole for it."""
    return _sealed(_HEAD.pack(EMPTY_MAGIC, slot, disk, bytes(16)) + b"\xa5" * 64)


def make_header(disk: int, slots: int, random_offset: int, random_bytes: int, random_xxh64: int) -> bytes:
    """The first slot of a ring."""
    return _sealed(_HEADER.pack(HEADER_MAGIC, disk, slots, random_offset, random_bytes, random_xxh64))


@dataclass(frozen=True)
class Slot:
    """What one slot says of itself."""

    magic: bytes
    number: int
    disk: int
    boot: bytes


def parse_slot(slot: bytes | memoryview) -> Slot:
    """Read the head of a slot, right or wrong."""
    return Slot(*_HEAD.unpack_from(slot, 0))


def is_whole_record(slot: bytes | memoryview, number: int, disk: int) -> bool:
    """Whether these are, to the bit, the bytes of that record (by whichever boot)."""
    return bytes(slot) == make_record(number, disk, parse_slot(slot).boot)
