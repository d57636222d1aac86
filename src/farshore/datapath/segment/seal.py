"""Sealing: from what the tap received to the bytes that travel and stay; and back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

from farshore.datapath.segment.header import DamagedSegment, SegmentHeader
from farshore.datapath.segment.index import RECORD, build_index

Control = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Segment:
    """A parsed segment: header, index (dtype RECORD, in stream order), control records, raw body."""

    header: SegmentHeader
    index: npt.NDArray[np.void]
    control: list[Control]
    body: memoryview


def seal(
    *,
    vpg: bytes,
    epoch: int,
    session: int,
    sequence: int,
    body: memoryview,
    positions: memoryview,
    runs: memoryview,
    control: bytes,
    first_ns: int,
    last_ns: int,
    flags: int = 0,
    host: int = 0,
) -> list[bytes | memoryview]:
    """The buffers of a sealed segment, in order: header, index, control, body (the body is not copied).

    `control` is a JSON list, or empty for none; it takes effect after the segment's records.
    """
    index = build_index(body, positions, runs, first_ns)
    entries = memoryview(index.view(np.uint8).data) if len(index) else memoryview(b"")
    control = control or b"[]"
    checksum = xxhash.xxh3_64()
    checksum.update(entries)
    checksum.update(control)
    checksum.update(body)
    header = SegmentHeader(
        vpg=vpg,
        epoch=epoch,
        session=session,
        sequence=sequence,
        host=host,
        record_count=len(index),
        first_ns=first_ns,
        last_ns=last_ns,
        index_bytes=len(entries),
        control_bytes=len(control),
        body_bytes=len(body),
        body_raw_bytes=len(body),
        payload_checksum=checksum.intdigest(),
        flags=flags,
    )
    return [header.pack(), entries, control, body]


def parse_payload(header: SegmentHeader, payload: bytes | bytearray | memoryview) -> Segment:
    """The segment of a header and its payload. Raises DamagedSegment when the checksum does not match."""
    view = memoryview(payload)
    if len(view) != header.payload_bytes:
        raise DamagedSegment(f"A segment's payload has {len(view)} of {header.payload_bytes} bytes.")
    if xxhash.xxh3_64_intdigest(view) != header.payload_checksum:
        raise DamagedSegment(f"The payload of segment {header.session}/{header.sequence} does not match its checksum.")
    index, control = parse_index_and_control(header, view[: header.index_bytes + header.control_bytes])
    return Segment(header, index, control, view[header.index_bytes + header.control_bytes :])


def parse_index_and_control(header: SegmentHeader, data: memoryview) -> tuple[npt.NDArray[np.void], list[Control]]:
    """Index and control records from the front of a payload, without the body (and so without its checksum)."""
    if header.index_bytes != header.record_count * RECORD.itemsize:
        raise DamagedSegment(f"Segment {header.session}/{header.sequence} has an index of the wrong length.")
    index = np.frombuffer(data[: header.index_bytes], dtype=RECORD)
    try:
        control = json.loads(bytes(data[header.index_bytes :]))
    except ValueError as error:
        raise DamagedSegment(f"Segment {header.session}/{header.sequence} has unreadable control records.") from error
    if not isinstance(control, list):
        raise DamagedSegment(f"Segment {header.session}/{header.sequence} has control records that are no list.")
    return index, control
