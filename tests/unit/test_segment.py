"""Segments: what is sealed parses to the same, and no changed byte goes unseen."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farshore.datapath.segment import HEADER_BYTES, DamagedSegment, Kind, SegmentHeader
from farshore.datapath.segment.index import RUN
from farshore.datapath.segment.requests import (
    COMMAND_FLUSH,
    COMMAND_SYNC,
    COMMAND_SYNC_ZERO,
    COMMAND_TRIM,
    COMMAND_WRITE,
    COMMAND_WRITE_ZEROES,
    REQUEST_BYTES,
    REQUEST_MAGIC,
)
from farshore.datapath.segment.seal import parse_payload, seal
from farshore.datapath.tap.connection import _REQUEST

KINDS = {
    COMMAND_WRITE: Kind.WRITE,
    COMMAND_WRITE_ZEROES: Kind.ZERO,
    COMMAND_TRIM: Kind.ZERO,
    COMMAND_SYNC: Kind.SYNC,
    COMMAND_SYNC_ZERO: Kind.SYNC_ZERO,
}
record = st.tuples(
    st.sampled_from([*KINDS, COMMAND_FLUSH]), st.integers(0, 3), st.integers(0, 1 << 40), st.integers(1, 700)
)


def _seal(records):
    body = bytearray()
    positions, runs = [], []
    for at, (command, volume, offset, length) in enumerate(records):
        positions.append(len(body))
        runs.append((len(body), volume, 1000 * at + 5000))
        body += _REQUEST.pack(REQUEST_MAGIC, 0, command, at, offset, length)
        if command in (COMMAND_WRITE, COMMAND_SYNC):
            body += bytes([at % 251]) * length
    buffers = seal(
        vpg=b"v" * 16, epoch=3, session=7, sequence=9, body=memoryview(body),
        positions=np.array(positions, dtype="<u4"), runs=np.array(runs, dtype=RUN),
        control=b'[{"type":"marker","id":"m"}]', first_ns=5000, last_ns=6000,
    )  # fmt: skip
    return b"".join(buffers)


@given(st.lists(record, max_size=40))
def test_what_is_sealed_parses_to_the_same_records_in_order(records):
    """Kinds, volumes, offsets, lengths and payloads come back in stream order; flushes are not indexed."""
    raw = _seal(records)
    header = SegmentHeader.parse(raw)
    segment = parse_payload(header, raw[HEADER_BYTES:])
    expected = [(KINDS[c], v, o, n, i) for i, (c, v, o, n) in enumerate(records) if c != COMMAND_FLUSH]
    assert [(r["kind"], r["volume"], r["offset"], r["length"]) for r in segment.index] == [e[:4] for e in expected]
    for entry, (kind, _, _, length, at) in zip(segment.index, expected, strict=True):
        if kind in (Kind.WRITE, Kind.SYNC):
            assert segment.body[entry["position"] : entry["position"] + length] == bytes([at % 251]) * length
        assert entry["time_us"] == at
    assert segment.control == [{"type": "marker", "id": "m"}]
    assert _REQUEST.size == REQUEST_BYTES


@given(st.data())
def test_no_flipped_bit_is_taken_for_a_segment(data):
    """Whichever bit is flipped, header or payload says that it is damaged."""
    raw = bytearray(_seal([(COMMAND_WRITE, 1, 4096, 100), (COMMAND_WRITE_ZEROES, 0, 0, 512)]))
    bit = data.draw(st.integers(0, 8 * len(raw) - 1))
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(DamagedSegment):
        parse_payload(SegmentHeader.parse(raw), raw[HEADER_BYTES:])
