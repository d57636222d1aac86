"""The host's examination of one recovered disk of the test guest: every byte of its ring and its random data."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum

from farshore.lab.record_layout import (
    EMPTY_MAGIC,
    HEADER_MAGIC,
    RECORD_MAGIC,
    SLOT_BYTES,
    DiskLayout,
    Extent,
    ReadableDisk,
    Slot,
    is_sealed,
    is_whole_record,
    make_empty,
    parse_slot,
    read_extents,
)

_RANDOM_CHUNK_BYTES = 4 << 20


class Kind(Enum):
    """What is wrong with a recovered set of disks."""

    LEFT_OUT = "a record is left out"
    MISPLACED = "a record stands in another's place"
    FLIPPED = "bytes of a record differ"
    RANDOM = "the random data differ"
    HEADER = "the header differs"
    ORDER = "a record is there without the one before it"
    TOO_SHORT = "an acknowledged record is missing"
    TOO_LONG = "a record is there that was issued later"
    UNWITNESSED = "a record is there that the witness cannot account for"


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: its kind, the disk's letter, and what was found where."""

    kind: Kind
    letter: str
    words: str

    def __str__(self) -> str:
        return f"disk {self.letter}: {self.kind.value}: {self.words}"


@dataclass(frozen=True)
class DiskFinding:
    """What one disk holds. `top`: its last record, 0 for none; `records` and `random_bytes`: how much was checked."""

    number: int
    letter: str
    top: int
    records: int
    random_bytes: int
    faults: tuple[Fault, ...] = ()
    boots: tuple[str, ...] = ()
    """The boots (hex) whose guests wrote the records."""


@dataclass
class _Ring:
    layout: DiskLayout
    slots: list[memoryview]
    heads: list[Slot]
    faults: list[Fault] = field(default_factory=list)

    def note(self, kind: Kind, words: str) -> None:
        self.faults.append(Fault(kind, self.layout.letter, words))


def examine_disk(layout: DiskLayout, disk: ReadableDisk) -> DiskFinding:
    """Read the whole disk and say what it holds and what is wrong with it. Raises Damaged when it cannot be read."""
    data = memoryview(read_extents(disk, layout.ring))
    header, body = data[:SLOT_BYTES], data[SLOT_BYTES:]
    slots = [body[i * SLOT_BYTES : (i + 1) * SLOT_BYTES] for i in range(layout.slots)]
    ring = _Ring(layout, slots, [parse_slot(slot) for slot in slots])
    if bytes(header[:8]) != HEADER_MAGIC or not is_sealed(header):
        ring.note(Kind.HEADER, "the first slot is not the one that was made")
    top = _top(ring)
    for place in range(layout.slots):
        _examine_slot(ring, place, top)
    random_bytes = sum(extent.length for extent in layout.random)
    if _random_sha256(layout, disk) != layout.random_sha256:
        ring.note(Kind.RANDOM, f"SHA-256 over {random_bytes} bytes is not that of the day the disk was made")
    heads = [head for head in ring.heads if head.magic == RECORD_MAGIC]
    boots = Counter(head.boot.hex() for head in heads)
    return DiskFinding(layout.number, layout.letter, top, len(heads), random_bytes, tuple(ring.faults), tuple(boots))


def _top(ring: _Ring) -> int:
    """The highest record that stands where it belongs (a flipped byte must not make a mountain)."""
    slots = ring.layout.slots
    return max(
        (
            head.number
            for place, head in enumerate(ring.heads)
            if head.magic == RECORD_MAGIC and head.number % slots == place and head.disk == ring.layout.number
        ),
        default=0,
    )


def _wanted(place: int, top: int, slots: int) -> int:
    """The record that a slot holds when the records 1 to `top` were written in order; 0 for none."""
    wanted = top - (top - place) % slots
    return max(wanted, 0)


def _examine_slot(ring: _Ring, place: int, top: int) -> None:
    layout, head, slot = ring.layout, ring.heads[place], ring.slots[place]
    wanted = _wanted(place, top, layout.slots)
    if wanted == 0:
        if bytes(slot) != make_empty(place, layout.number):
            ring.note(Kind.FLIPPED, f"slot {place}, which no record was written to yet, has changed")
        return
    if is_whole_record(slot, wanted, layout.number):
        return
    if not is_sealed(slot):
        ring.note(Kind.FLIPPED, f"slot {place}, which must hold record {wanted}, has a wrong checksum")
        return
    older = wanted - layout.slots
    empty = head.magic == EMPTY_MAGIC
    if (empty and older <= 0) or (head.magic == RECORD_MAGIC and head.number == older and head.disk == layout.number):
        ring.note(Kind.LEFT_OUT, f"record {wanted} is not there, while record {top} is")
    elif head.magic == RECORD_MAGIC:
        ring.note(Kind.MISPLACED, f"slot {place} holds record {head.number} of disk number {head.disk}, not {wanted}")
    else:
        ring.note(Kind.FLIPPED, f"slot {place}, which must hold record {wanted}, holds none")


def _random_sha256(layout: DiskLayout, disk: ReadableDisk) -> str:
    digest = hashlib.sha256()
    for extent in layout.random:
        for offset in range(extent.offset, extent.offset + extent.length, _RANDOM_CHUNK_BYTES):
            length = min(_RANDOM_CHUNK_BYTES, extent.offset + extent.length - offset)
            digest.update(read_extents(disk, (Extent(offset, length),)))
    return digest.hexdigest()
