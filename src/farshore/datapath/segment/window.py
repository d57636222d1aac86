"""The window: shared memory between tap and sender, with every segment that the other site has not acknowledged.

Always true: 1. The tap alone allocates and publishes; the sender alone acknowledges; neither waits for the other. 2.
Segments are published in order, numbered from 1 without a gap; a number is the segment's sequence in the session. 3.
A published segment is never changed, and its memory is used again only after it was acknowledged. 4. `published` is
stored after the segment's bytes and descriptor; `acknowledged` never passes `published`. 5. It lives in a memfd that
the watcher holds: tap or sender may die and be started again on it, nothing sealed is lost.

Layout: a control page of u64 (`_FIELDS`), a ring of descriptors, a ring of regions. A region is contiguous:
body | positions (u32 each) | runs (`requests.RUN_BYTES` each) | control records (JSON). The ring of regions wraps at
its end.
"""

from __future__ import annotations

import mmap
import os
import struct
from dataclasses import dataclass

from farshore.datapath.segment.requests import POSITION_BYTES, RUN_BYTES

_PAGE = 4096
_MAGIC = 0x574F444E49575346
_U64 = struct.Struct("<Q")
_DESCRIPTOR = struct.Struct("<QIIIIIIQQQ8x")
DESCRIPTOR_COUNT = 16384
_DESCRIPTORS_AT = _PAGE
_REGIONS_AT = _DESCRIPTORS_AT + DESCRIPTOR_COUNT * _DESCRIPTOR.size
_FIELDS = {
    "magic": 0,
    "regions_bytes": 8,
    "session": 16,
    "published": 24,
    "acknowledged": 32,
    "head": 40,
    "received_bytes": 48,
}


@dataclass(frozen=True, slots=True)
class Descriptor:
    """Where a published segment lies and what it holds; `number` is its sequence."""

    number: int
    start: int
    body_bytes: int
    record_count: int
    run_count: int
    control_bytes: int
    flags: int
    first_ns: int
    last_ns: int

    @property
    def positions_at(self) -> int:
        """Offset of the positions from the region's start."""
        return aligned(self.body_bytes)

    @property
    def total_bytes(self) -> int:
        """Bytes of the region in use."""
        return region_bytes(self.body_bytes, self.record_count, self.run_count, self.control_bytes)


def aligned(size: int) -> int:
    """Up to the next multiple of 16."""
    return (size + 15) & ~15


def region_bytes(body_bytes: int, record_count: int, run_count: int, control_bytes: int) -> int:
    """Bytes that a region with these contents takes."""
    return aligned(body_bytes) + aligned(POSITION_BYTES * record_count) + RUN_BYTES * run_count + aligned(control_bytes)


class Window:
    """The shared memory as tap, sender and watcher see it: made by the watcher, mapped by the others."""

    def __init__(self, fd: int) -> None:
        """Map the memfd `fd`; it stays the caller's."""
        self._map = mmap.mmap(fd, os.fstat(fd).st_size)
        self.view = memoryview(self._map)
        if self._get("magic") != _MAGIC:
            raise ValueError("the file is no window")
        self.regions_bytes = self._get("regions_bytes")
        self.regions = self.view[_REGIONS_AT : _REGIONS_AT + self.regions_bytes]

    @classmethod
    def create(cls, regions_bytes: int, session: int) -> tuple[Window, int]:
        """A new window of that many bytes and its memfd (inheritable; the caller closes it)."""
        fd = os.memfd_create("farshore-window", 0)
        os.ftruncate(fd, _REGIONS_AT + regions_bytes)
        with mmap.mmap(fd, _PAGE) as page:
            for name, value in (("magic", _MAGIC), ("regions_bytes", regions_bytes), ("session", session)):
                _U64.pack_into(page, _FIELDS[name], value)
        return cls(fd), fd

    def _get(self, name: str) -> int:
        value: int = _U64.unpack_from(self.view, _FIELDS[name])[0]
        return value

    def _set(self, name: str, value: int) -> None:
        _U64.pack_into(self.view, _FIELDS[name], value)

    @property
    def session(self) -> int:
        """The stream session whose segments these are."""
        return self._get("session")

    @property
    def published(self) -> int:
        """Sequence of the newest published segment; 0 for none."""
        return self._get("published")

    @property
    def acknowledged(self) -> int:
        """Sequence up to which the other site has everything durably."""
        return self._get("acknowledged")

    def acknowledge(self, sequence: int) -> None:
        """Sender: the other site has everything up to `sequence`. Never goes back."""
        if not self.acknowledged <= sequence <= self.published:
            raise ValueError(f"acknowledged {sequence} is not within {self.acknowledged}..{self.published}")
        self._set("acknowledged", sequence)

    @property
    def received_bytes(self) -> int:
        """Bytes of published bodies since the window was made."""
        return self._get("received_bytes")

    def unacknowledged_bytes(self) -> int:
        """Bytes of regions in use by published segments that were not acknowledged."""
        acknowledged, published = self.acknowledged, self.published
        if acknowledged == published:
            return 0
        tail = self.descriptor(acknowledged + 1).start
        last = self.descriptor(published)
        used = last.start + last.total_bytes - tail
        return used if used > 0 else used + self.regions_bytes

    def room_at(self, head: int, size: int, first_kept: int | None) -> int | None:
        """Tap: where `size` bytes fit at or after `head`; None while there is no room.

        `first_kept`: start of the oldest region in use that is not published yet (None: no such); those that are
        published and not acknowledged are looked up here.
        """
        tail = self._tail(first_kept)
        if tail is None:
            return head if head + size <= self.regions_bytes else 0
        if head > tail:
            if head + size <= self.regions_bytes:
                return head
            return 0 if size < tail else None
        return head if head + size < tail else None

    def _tail(self, first_kept: int | None) -> int | None:
        acknowledged, published = self.acknowledged, self.published
        if published - acknowledged >= DESCRIPTOR_COUNT - 64:
            return 0 if first_kept is None else first_kept
        return self.descriptor(acknowledged + 1).start if acknowledged < published else first_kept

    def has_descriptors(self) -> bool:
        """Whether the ring of descriptors has room."""
        return self.published - self.acknowledged < DESCRIPTOR_COUNT - 64

    def publish(self, descriptor: Descriptor) -> None:
        """Tap: the region is complete; make it visible to the sender. Numbers must follow each other."""
        if descriptor.number != self.published + 1:
            raise ValueError(f"segment {descriptor.number} published after {self.published}")
        _DESCRIPTOR.pack_into(
            self.view,
            _DESCRIPTORS_AT + (descriptor.number % DESCRIPTOR_COUNT) * _DESCRIPTOR.size,
            descriptor.start,
            descriptor.body_bytes,
            descriptor.record_count,
            descriptor.run_count,
            descriptor.control_bytes,
            descriptor.flags,
            0,
            descriptor.first_ns,
            descriptor.last_ns,
            descriptor.number,
        )
        self._set("received_bytes", self.received_bytes + descriptor.body_bytes)
        self._set("head", aligned(descriptor.start + descriptor.total_bytes))
        self._set("published", descriptor.number)

    @property
    def head(self) -> int:
        """Where the next region may begin, after the newest published one."""
        return self._get("head")

    def descriptor(self, number: int) -> Descriptor:
        """The descriptor of a published, unacknowledged (or the newest acknowledged) segment."""
        start, body, records, runs, control, flags, _, first_ns, last_ns, stored = _DESCRIPTOR.unpack_from(
            self.view, _DESCRIPTORS_AT + (number % DESCRIPTOR_COUNT) * _DESCRIPTOR.size
        )
        if stored != number:
            raise ValueError(f"segment {number} is not in the window")
        return Descriptor(number, start, body, records, runs, control, flags, first_ns, last_ns)

    def contents(self, descriptor: Descriptor) -> tuple[memoryview, memoryview, memoryview, bytes]:
        """Body, positions, runs (none of them copied) and control records of a published segment."""
        at = descriptor.start
        body = self.regions[at : at + descriptor.body_bytes]
        at += aligned(descriptor.body_bytes)
        positions = self.regions[at : at + POSITION_BYTES * descriptor.record_count]
        at += aligned(POSITION_BYTES * descriptor.record_count)
        runs = self.regions[at : at + RUN_BYTES * descriptor.run_count]
        at += RUN_BYTES * descriptor.run_count
        return body, positions, runs, bytes(self.regions[at : at + descriptor.control_bytes])
