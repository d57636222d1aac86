"""The index: one entry a record, in stream order, made with numpy from the requests as they lie in the body."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from farshore.datapath.segment.requests import (
    COMMAND_SYNC,
    COMMAND_SYNC_ZERO,
    COMMAND_TRIM,
    COMMAND_WRITE,
    COMMAND_WRITE_ZEROES,
    POSITION_BYTES,
    REQUEST_BYTES,
    RUN_BYTES,
    Kind,
)

RECORD = np.dtype(
    [
        ("offset", "<u8"),
        ("length", "<u4"),
        ("position", "<u4"),
        ("volume", "<u2"),
        ("kind", "u1"),
        ("pad", "u1"),
        ("time_us", "<u4"),
    ]
)
"""offset and length in bytes on the volume; position of the payload in the raw body; time after first_ns."""

RUN = np.dtype([("position", "<u4"), ("volume", "<u4"), ("time_ns", "<u8")])
"""One received batch of a connection: where it begins in the body, whose it is, when it came (Unix nanoseconds)."""

_REQUEST = np.dtype(
    [("magic", ">u4"), ("flags", ">u2"), ("command", ">u2"), ("cookie", ">u8"), ("offset", ">u8"), ("length", ">u4")]
)
_POSITION = np.dtype("<u4")
assert (_REQUEST.itemsize, _POSITION.itemsize, RUN.itemsize) == (REQUEST_BYTES, POSITION_BYTES, RUN_BYTES)

_KINDS: npt.NDArray[np.uint8] = np.zeros(65536, dtype=np.uint8)
_KINDS[COMMAND_WRITE] = Kind.WRITE
_KINDS[COMMAND_WRITE_ZEROES] = Kind.ZERO
_KINDS[COMMAND_TRIM] = Kind.ZERO
_KINDS[COMMAND_SYNC] = Kind.SYNC
_KINDS[COMMAND_SYNC_ZERO] = Kind.SYNC_ZERO

_WITHIN = np.arange(REQUEST_BYTES, dtype=np.int64)


def build_index(
    body: memoryview, positions_stored: memoryview, runs_stored: memoryview, first_ns: int
) -> npt.NDArray[np.void]:
    """The index (dtype RECORD) of a raw body.

    `positions_stored`: where each request begins (u32), in order of arrival, ascending; `runs_stored` (dtype RUN),
    ascending by position.
    """
    positions = np.frombuffer(positions_stored, dtype=_POSITION)
    runs = np.frombuffer(runs_stored, dtype=RUN)
    count = len(positions)
    if not count:
        return np.zeros(0, dtype=RECORD)
    raw = np.frombuffer(body, dtype=np.uint8)
    requests = raw[positions.astype(np.int64)[:, None] + _WITHIN].reshape(-1).view(_REQUEST)
    run = np.searchsorted(runs["position"], positions, side="right") - 1
    index = np.zeros(count, dtype=RECORD)
    index["offset"] = requests["offset"]
    index["length"] = requests["length"]
    index["position"] = positions + np.uint32(REQUEST_BYTES)
    index["volume"] = runs["volume"][run]
    index["kind"] = _KINDS[requests["command"]]
    elapsed = runs["time_ns"][run].astype(np.int64) - np.int64(first_ns)
    index["time_us"] = np.clip(elapsed // 1000, 0, 0xFFFFFFFF)
    kept: npt.NDArray[np.void] = index[(index["kind"] != 0) & (index["length"] != 0)]
    return kept
