"""The sync reader's connection: it reserves a place in the stream, reads the disk, then fills the place.

A read that begins after its place was taken holds everything that stands before the place, and whatever the guest
writes meanwhile stands behind it: applied in order the newer always wins. So no range has ever to be cut out.

Dialogue (little-endian): reader -> tap  RESERVE `<4sBxHIQ` (b"RSRV", kind 1 data | 2 zero, volume, length, offset);
tap -> reader `<4sQ` (b"GO..", 0) once more than half of the window is free; reader -> tap `<I`: 1 fill | 0 cancel,
and after a 1 for data the payload; tap -> reader `<4sQ` (b"DONE", sequence of the segment that holds it). One
reservation at a time. At close an unfilled place becomes a flush. A place that stays open holds up sealing, so the
tap drops a reader that takes longer than `RESERVATION_SECONDS_MAX`.
"""

from __future__ import annotations

import asyncio
import struct
import time

from farshore.datapath.segment.requests import (
    COMMAND_FLUSH,
    COMMAND_SYNC,
    COMMAND_SYNC_ZERO,
    REQUEST_BYTES,
    REQUEST_MAGIC,
)
from farshore.datapath.tap.filling import REQUEST_BYTES_MAX, Filling
from farshore.datapath.tap.recorder import Recorder

RESERVE = struct.Struct("<4sBxHIQ")
ANSWER = struct.Struct("<4sQ")
VERDICT = struct.Struct("<I")
KIND_DATA = 1
KIND_ZERO = 2
RESERVATION_SECONDS_MAX = 5.0
_REQUEST = struct.Struct(">IHHQQI")
_ROOM_POLL_SECONDS = 0.01


class ReservationConnection(asyncio.BufferedProtocol):
    """One sync reader."""

    transport: asyncio.Transport

    def __init__(self, recorder: Recorder, volume_sizes: dict[int, int]) -> None:
        """Reserve in `recorder`; `volume_sizes`: bytes by volume number, for judging requests."""
        self.recorder = recorder
        self.volume_sizes = volume_sizes
        self._small = bytearray(RESERVE.size)
        self._have = 0
        self._state = "reserve"
        self._filling: Filling | None = None
        self._head_at = 0
        self._payload_at = 0
        self._left = 0
        self._request = (0, 0, 0, 0)
        self._closed = False
        self.open_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Nothing is said at first."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """The reader is gone: give its place up."""
        self._closed = True
        self._cancel()

    def is_open(self) -> bool:
        """Whether the reader is still there."""
        return not self._closed

    def is_hung_since(self) -> float | None:
        """When (monotonic) the open reservation was made; None when there is none."""
        return self.open_since if self._filling is not None else None

    def get_buffer(self, sizehint: int) -> memoryview:
        """The reserved payload while it is being filled, else the small buffer."""
        if self._state == "payload" and self._filling is not None:
            return self._filling.view[self._payload_at : self._payload_at + self._left]
        return memoryview(self._small)[self._have : RESERVE.size if self._state == "reserve" else VERDICT.size]

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes came: a request, a verdict or payload."""
        if self._state == "payload":
            self._payload_at += nbytes
            self._left -= nbytes
            if not self._left:
                self._done()
            return
        self._have += nbytes
        if self._state == "reserve" and self._have == RESERVE.size:
            self._have = 0
            self._reserve_when_room()
        elif self._state == "verdict" and self._have == VERDICT.size:
            self._have = 0
            self._judge()

    def _reserve_when_room(self) -> None:
        magic, kind, volume, length, offset = RESERVE.unpack(self._small)
        size_bytes = self.volume_sizes.get(volume)
        lawful = magic == b"RSRV" and kind in (KIND_DATA, KIND_ZERO) and size_bytes is not None and length > 0
        if not lawful or offset + length > (size_bytes or 0) or (kind == KIND_DATA and length > REQUEST_BYTES_MAX):
            self.transport.abort()
            return
        self._request = (kind, volume, length, offset)
        self._state = "waiting"
        self.transport.pause_reading()
        self._try_reserve()

    def _try_reserve(self) -> None:
        if self._closed:
            return
        window = self.recorder.window
        roomy = window.unacknowledged_bytes() * 2 < window.regions_bytes and len(self.recorder.leaving) < 4
        filling = self.recorder.room() if roomy else None
        if filling is None:
            asyncio.get_running_loop().call_later(_ROOM_POLL_SECONDS, self._try_reserve)
            return
        kind, volume, length, offset = self._request
        command = COMMAND_SYNC if kind == KIND_DATA else COMMAND_SYNC_ZERO
        at = filling.end
        _REQUEST.pack_into(filling.view, at, REQUEST_MAGIC, 0, command, 0, offset, length)
        filling.positions.append(at)
        filling.note_run(at, volume)
        filling.end = at + REQUEST_BYTES + (length if kind == KIND_DATA else 0)
        filling.open_count += 1
        self._filling = filling
        self._head_at = at
        self.open_since = time.monotonic()
        self._state = "verdict"
        self.transport.write(ANSWER.pack(b"GO..", 0))
        self.transport.resume_reading()

    def _judge(self) -> None:
        (verdict,) = VERDICT.unpack(bytes(self._small[: VERDICT.size]))
        kind, _, length, _ = self._request
        if not verdict:
            number = self._cancel()
            self._state = "reserve"
            self.transport.write(ANSWER.pack(b"DONE", number))
        elif kind == KIND_ZERO:
            self._done()
        else:
            self._state = "payload"
            self._payload_at = self._head_at + REQUEST_BYTES
            self._left = length

    def _done(self) -> None:
        filling = self._filling
        assert filling is not None
        filling.open_count -= 1
        self._filling = None
        self._state = "reserve"
        number = self.recorder.number_of(filling)
        self.recorder.leave()
        self.transport.write(ANSWER.pack(b"DONE", number))

    def _cancel(self) -> int:
        filling = self._filling
        if filling is None:
            return 0
        _REQUEST.pack_into(filling.view, self._head_at, REQUEST_MAGIC, 0, COMMAND_FLUSH, 0, 0, 0)
        filling.open_count -= 1
        self._filling = None
        number = self.recorder.number_of(filling)
        self.recorder.leave()
        return number
