"""The segment that is being filled: a region of the window, and what is known of it so far."""

from __future__ import annotations

import array
import json
import time
from typing import Any

from farshore.datapath.segment.requests import POSITION_BYTES, RUN_BYTES
from farshore.datapath.segment.window import Descriptor, aligned

SEAL_BYTES = 2 << 20
REQUEST_BYTES_MAX = 1 << 20
BATCH_BYTES_MAX = 256 << 10
RECORD_COUNT_SEAL = 32768
RUN_COUNT_SEAL = 12288
BODY_BYTES_MAX = SEAL_BYTES + REQUEST_BYTES_MAX + 2 * BATCH_BYTES_MAX
TAIL_BYTES_MAX = 640 << 10
REGION_BYTES_MAX = BODY_BYTES_MAX + TAIL_BYTES_MAX
CONTROL_BYTES_MAX = 192 << 10

_RECORDS_MAX = RECORD_COUNT_SEAL + BATCH_BYTES_MAX // 28 + 2
assert aligned(POSITION_BYTES * _RECORDS_MAX) + RUN_BYTES * (RUN_COUNT_SEAL + 2) + CONTROL_BYTES_MAX <= TAIL_BYTES_MAX


class Filling:
    """A region that connections append to. `open_count`: payloads (or reservations) in it that are not whole yet."""

    __slots__ = (
        "control",
        "end",
        "first_ns",
        "flags",
        "last_ns",
        "number",
        "open_count",
        "positions",
        "runs",
        "start",
        "view",
    )

    def __init__(self, region: memoryview, start: int) -> None:
        """A fresh segment at `start` of the window's regions."""
        self.view = region
        self.start = start
        self.end = 0
        self.open_count = 0
        self.positions = array.array("I")
        self.runs = array.array("Q")
        self.control: list[dict[str, Any]] = []
        self.flags = 0
        self.first_ns = time.time_ns()
        self.last_ns = self.first_ns
        self.number = 0

    def note_run(self, position: int, volume: int) -> None:
        """A batch of one connection begins at `position`."""
        now = time.time_ns()
        now = max(now, self.first_ns)
        self.last_ns = now
        self.runs.append(position | volume << 32)
        self.runs.append(now)

    def is_full(self) -> bool:
        """Whether the next batch belongs into another segment."""
        return (
            self.end >= SEAL_BYTES or len(self.positions) >= RECORD_COUNT_SEAL or len(self.runs) >= 2 * RUN_COUNT_SEAL
        )

    def is_empty(self) -> bool:
        """Whether it holds neither records nor control."""
        return not (self.end or self.control or self.flags)

    def close(self) -> Descriptor:
        """Write positions, runs and control behind the body; nothing is appended afterwards. Returns the descriptor."""
        control = json.dumps(self.control, separators=(",", ":")).encode() if self.control else b""
        descriptor = Descriptor(
            number=self.number,
            start=self.start,
            body_bytes=self.end,
            record_count=len(self.positions),
            run_count=len(self.runs) // 2,
            control_bytes=len(control),
            flags=self.flags,
            first_ns=self.first_ns,
            last_ns=self.last_ns,
        )
        at = aligned(self.end)
        for part, size in (
            (self.positions.tobytes(), aligned(4 * len(self.positions))),
            (self.runs.tobytes(), 8 * len(self.runs)),
            (control, aligned(len(control))),
        ):
            self.view[at : at + len(part)] = part
            at += size
        return descriptor
