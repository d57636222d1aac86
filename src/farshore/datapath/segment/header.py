"""The 128 bytes before each segment: who, where in which stream, how long, and two checksums."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar

import xxhash

from farshore.errors import Damaged

MAGIC = b"FARSHSEG"
VERSION = 1
HEADER_BYTES = 128
FLAG_ZSTD = 1
FLAG_ENCRYPTED = 2
FLAG_BREAK = 4

_LAYOUT = struct.Struct("<8sHHI16sQQQIIQQIIIIQ16x")
_CHECKSUM = struct.Struct("<Q")
assert _LAYOUT.size + _CHECKSUM.size == HEADER_BYTES


class DamagedSegment(Damaged):
    """Bytes that should be a segment are not."""


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """One segment's header. Times are Unix nanoseconds by the protected host's clock; lengths are bytes as stored.

    `sequence` counts from 1 within `session`; `session` grows with each new stream. FLAG_BREAK in `flags`: the order of
    writes between the segment before and this one is not known.
    """

    vpg: bytes
    epoch: int
    session: int
    sequence: int
    record_count: int
    first_ns: int
    last_ns: int
    index_bytes: int
    control_bytes: int
    body_bytes: int
    body_raw_bytes: int
    payload_checksum: int
    flags: int = 0
    host: int = 0

    PAYLOAD_BYTES_MAX: ClassVar[int] = 64 << 20

    @property
    def payload_bytes(self) -> int:
        """Bytes that follow the header: index, control, body."""
        return self.index_bytes + self.control_bytes + self.body_bytes

    @property
    def total_bytes(self) -> int:
        """Header and payload."""
        return HEADER_BYTES + self.payload_bytes

    @property
    def is_break(self) -> bool:
        """Whether the order before this segment is not continuous."""
        return bool(self.flags & FLAG_BREAK)

    def pack(self) -> bytes:
        """The header as it is stored."""
        front = _LAYOUT.pack(
            MAGIC,
            VERSION,
            HEADER_BYTES,
            self.flags,
            self.vpg,
            self.epoch,
            self.session,
            self.sequence,
            self.host,
            self.record_count,
            self.first_ns,
            self.last_ns,
            self.index_bytes,
            self.control_bytes,
            self.body_bytes,
            self.body_raw_bytes,
            self.payload_checksum,
        )
        return front + _CHECKSUM.pack(xxhash.xxh3_64_intdigest(front))

    @classmethod
    def parse(cls, data: bytes | bytearray | memoryview) -> SegmentHeader:
        """Read a header. Raises DamagedSegment when the bytes are not one."""
        view = memoryview(data)[:HEADER_BYTES]
        if len(view) < HEADER_BYTES:
            raise DamagedSegment(f"A segment's header has {len(view)} of {HEADER_BYTES} bytes.")
        front = view[: _LAYOUT.size]
        (checksum,) = _CHECKSUM.unpack_from(view, _LAYOUT.size)
        values = _LAYOUT.unpack(front)
        if values[0] != MAGIC:
            raise DamagedSegment("These bytes do not begin with a segment's magic.")
        if checksum != xxhash.xxh3_64_intdigest(front):
            raise DamagedSegment("A segment's header does not match its checksum.")
        if values[1] != VERSION or values[2] != HEADER_BYTES:
            raise DamagedSegment(
                f"The segment has format version {values[1]}; this program reads version {VERSION}.",
                "Read it with the version of Farshore that wrote it, or a newer one.",
            )
        header = cls(
            flags=values[3],
            vpg=values[4],
            epoch=values[5],
            session=values[6],
            sequence=values[7],
            host=values[8],
            record_count=values[9],
            first_ns=values[10],
            last_ns=values[11],
            index_bytes=values[12],
            control_bytes=values[13],
            body_bytes=values[14],
            body_raw_bytes=values[15],
            payload_checksum=values[16],
        )
        if header.payload_bytes > cls.PAYLOAD_BYTES_MAX:
            raise DamagedSegment(f"A segment claims {header.payload_bytes} bytes, more than any writer makes.")
        return header
