"""Streams made by hand: segments sealed by the product's own `seal` from writes that a test chooses."""

from __future__ import annotations

import json
import struct
from typing import Any
from uuid import UUID

import numpy as np

from farshore.datapath.journal import Arrived
from farshore.datapath.segment import FLAG_BREAK, SegmentHeader
from farshore.datapath.segment.index import RUN
from farshore.datapath.segment.requests import (
    COMMAND_SYNC,
    COMMAND_SYNC_ZERO,
    COMMAND_WRITE,
    COMMAND_WRITE_ZEROES,
    REQUEST_MAGIC,
)
from farshore.datapath.segment.seal import seal

VPG_ID = "00000000-0000-4000-8000-000000000007"
START_NS = 1_700_000_000_000_000_000
_REQUEST = struct.Struct(">IHHQQI")


class MadeStream:
    """Makes the segments of one session, one after the other. `clock_ns` is what the records' times are."""

    def __init__(self, session: int = 1, epoch: int = 1, clock_ns: int = START_NS) -> None:
        self.session = session
        self.epoch = epoch
        self.sequence = 0
        self.clock_ns = clock_ns
        self.flags = FLAG_BREAK
        self._body = bytearray()
        self._positions: list[int] = []
        self._runs: list[tuple[int, int, int]] = []
        self.control: list[dict[str, Any]] = []

    def _request(self, volume: int, command: int, offset: int, length: int, data: bytes = b"") -> None:
        position = len(self._body)
        self._positions.append(position)
        self._runs.append((position, volume, self.clock_ns))
        self._body += _REQUEST.pack(REQUEST_MAGIC, 0, command, 0, offset, length) + data

    def write(self, volume: int, offset: int, data: bytes, sync: bool = False) -> None:
        """A write's record (or a sync read's) into the segment being made."""
        self._request(volume, COMMAND_SYNC if sync else COMMAND_WRITE, offset, len(data), data)

    def zero(self, volume: int, offset: int, length: int, sync: bool = False) -> None:
        """A record of zeroes."""
        self._request(volume, COMMAND_SYNC_ZERO if sync else COMMAND_WRITE_ZEROES, offset, length)

    def say(self, **record: Any) -> None:
        """A control record."""
        self.control.append(record)

    def begin(self, sizes: dict[int, int]) -> None:
        """The volumes, and an initial sync that is over."""
        volumes = [{"number": n, "vm_id": "vm", "disk_id": f"d{n}", "size_bytes": s} for n, s in sizes.items()]
        self.say(type="volumes", volumes=volumes)
        self.say(type="sync_begin", kind="initial", volumes=list(sizes))
        self.say(type="sync_end", volumes=list(sizes))

    def marker(self, marker_id: str, volumes: list[int], tag: str | None = None, task: str | None = None) -> None:
        """A marker at the segment's end."""
        self.say(type="marker", id=marker_id, time_ns=self.clock_ns, tag=tag, task=task, volumes=volumes)

    def seal(self) -> Arrived:
        """The segment, as a receiver hands it to a journal. The next one begins."""
        self.sequence += 1
        body = bytes(self._body)
        buffers = seal(
            vpg=UUID(VPG_ID).bytes,
            epoch=self.epoch,
            session=self.session,
            sequence=self.sequence,
            body=memoryview(body),
            positions=np.array(self._positions, dtype=np.uint32),
            runs=np.array(self._runs, dtype=RUN),
            control=_json(self.control),
            first_ns=self.clock_ns,
            last_ns=self.clock_ns,
            flags=self.flags,
        )
        arrived = Arrived(SegmentHeader.parse(buffers[0]), self.control, buffers)
        self._body, self._positions, self._runs, self.control, self.flags = bytearray(), [], [], [], 0
        return arrived


def _json(control: list[dict[str, Any]]) -> bytes:
    return json.dumps(control).encode() if control else b""


def wire(arrived: Arrived) -> bytes:
    """A segment's bytes as they travel and stay."""
    return b"".join(bytes(part) for part in arrived.buffers)
