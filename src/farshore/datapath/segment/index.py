"""The index: one entry a record, in stream order, made with numpy from the requests as they lie in the body.

The body holds NBD requests (28 bytes each, big-endian, NBD protocol "Simple request") followed by their payloads.
Beside NBD's own commands the tap writes two of ours, for sync data, and turns what was cancelled into a flush, which
is not indexed.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import numpy.typing as npt

REQUEST_BYTES = 28
REQUEST_MAGIC = 0x25609513

COMMAND_WRITE = 1
COMMAND_FLUSH = 3
COMMAND_TRIM = 4
COMMAND_WRITE_ZEROES = 6
COMMAND_SYNC = 0x8001
COMMAND_SYNC_ZERO = 0x8002


class Kind(IntEnum):
    """What a record does. SYNC and SYNC_ZERO are applied exactly like WRITE and ZERO, at their place in the stream."""

    WRITE = 1
    ZERO = 2
    SYNC = 3
    SYNC_ZERO = 4


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
assert _REQUEST.itemsize == REQUEST_BYTES

_KINDS: npt.NDArray[np.uint8] = np.zeros(65536, dtype=np.uint8)
_KINDS[COMMAND_WRITE] = Kind.WRITE
_KINDS[COMMAND_WRITE_ZEROES] = Kind.ZERO
_KINDS[COMMAND_TRIM] = Kind.ZERO
_KINDS[COMMAND_SYNC] = Kind.SYNC
_KINDS[COMMAND_SYNC_ZERO] = Kind.SYNC_ZERO

_WITHIN = np.arange(REQUEST_BYTES, dtype=np.int64)


def build_index(
    body: memoryview, positions: npt.NDArray[np.uint32], runs: npt.NDArray[np.void], first_ns: int
) -> npt.NDArray[np.void]:
    """The index (dtype RECORD) of a raw body.

    `positions`: where each request begins, in order of arrival, ascending; `runs` (dtype RUN), ascending by position.
    """
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
