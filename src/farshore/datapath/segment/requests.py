"""What the tap writes into a body: NBD requests, and runs beside them. Plain numbers, for processes without numpy.

The body holds NBD requests (28 bytes each, big-endian, NBD protocol "Simple request") followed by their payloads.
Beside NBD's own commands the tap writes two of ours, for sync data, and turns what was cancelled into a flush, which
is not indexed.
"""

from __future__ import annotations

from enum import IntEnum

REQUEST_BYTES = 28
REQUEST_MAGIC = 0x25609513

COMMAND_WRITE = 1
COMMAND_FLUSH = 3
COMMAND_TRIM = 4
COMMAND_WRITE_ZEROES = 6
COMMAND_SYNC = 0x8001
COMMAND_SYNC_ZERO = 0x8002

POSITION_BYTES = 4
"""Where a request begins in the body: u32."""

RUN_BYTES = 16
"""A run: position in the body and volume (u32 each), unix time in nanoseconds (u64); `index.RUN` is the same."""


class Kind(IntEnum):
    """What a record does. SYNC and SYNC_ZERO are applied exactly like WRITE and ZERO, at their place in the stream."""

    WRITE = 1
    ZERO = 2
    SYNC = 3
    SYNC_ZERO = 4
