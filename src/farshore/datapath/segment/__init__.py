"""The segment: the unit in which writes are received, sealed, sent, acknowledged, journaled, indexed and expired.

A sealed segment is a header of 128 bytes and a payload: an index (one entry a record, in stream order), control
records (JSON: markers, vouches, breaks, ...) and a body. The body is what arrived at the tap, byte for byte: NBD
requests with their payloads; nobody parses it again, the index says where the data are. Format version 1 is written
down in docs/journal-format.md.

Guarantees: a segment that parses is whole (two checksums); applying the records of a stream in order gives the disks.
Leaves to others: order between segments (the stream), durability (the journal).

What is named here needs no numpy, which weighs some 13 MB a process: the tap, the sync reader and the watcher do
without. What does is in `index` (RECORD) and `seal` (Segment, seal, parse_payload).
"""

from farshore.datapath.segment.header import (
    FLAG_BREAK,
    FLAG_ENCRYPTED,
    FLAG_ZSTD,
    HEADER_BYTES,
    DamagedSegment,
    SegmentHeader,
)
from farshore.datapath.segment.requests import Kind

__all__ = [
    "FLAG_BREAK",
    "FLAG_ENCRYPTED",
    "FLAG_ZSTD",
    "HEADER_BYTES",
    "DamagedSegment",
    "Kind",
    "SegmentHeader",
]
