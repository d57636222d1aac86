"""A guest disk's connection: QEMU's mirror job writes here (NBD, fixed newstyle, simple replies).

Dialogue: handshake (nbd.handshake), then requests. WRITE, WRITE_ZEROES and TRIM are recorded and answered at once;
FLUSH is answered; READ and all else gets EINVAL and is counted (a tap that offers minimum block size 1 is never read
from). What arrives is received straight into the current segment; a payload that is not whole yet keeps its place as
a hole, later records go behind it. At close a hole becomes a flush: its write was never answered. At garbage: the
connection is dropped. Measured by benchmarks/tap_direct.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Callable
from typing import Any, Protocol

from farshore.datapath.segment.requests import (
    COMMAND_FLUSH,
    COMMAND_TRIM,
    COMMAND_WRITE,
    COMMAND_WRITE_ZEROES,
    REQUEST_BYTES,
    REQUEST_MAGIC,
)
from farshore.datapath.tap.filling import BATCH_BYTES_MAX, BODY_BYTES_MAX, REQUEST_BYTES_MAX, Filling
from farshore.datapath.tap.recorder import Recorder
from farshore.nbd.handshake import Export, ServerHandshake, State

_REQUEST = struct.Struct(">IHHQQI")
_OK = struct.pack(">II", 0x67446698, 0)
_EINVAL = struct.pack(">II", 0x67446698, 22)
_DISCONNECT = 2
_RECEIVE_UP_TO = BODY_BYTES_MAX - REQUEST_BYTES_MAX - REQUEST_BYTES
_HANDSHAKE_BYTES = 65536


class Owner(Protocol):
    """What a connection tells its tap."""

    recorder: Recorder

    nbd_exports: dict[str, Export]

    def volume_of(self, name: str) -> int:
        """The volume's number behind an export."""
        ...

    def opened(self, connection: GuestConnection) -> None:
        """The handshake is done."""
        ...

    def closed(self, connection: GuestConnection, reason: str) -> None:
        """The connection is gone."""
        ...


class GuestConnection(asyncio.BufferedProtocol):
    """One disk's connection."""

    transport: asyncio.Transport

    def __init__(self, owner: Owner) -> None:
        """A connection of the tap `owner`."""
        self.owner = owner
        self.recorder = owner.recorder
        self.export_name = ""
        self.reads_refused = 0
        self.dropped = ""
        self.hole_since = 0.0
        self._handshake: ServerHandshake | None = ServerHandshake(owner.nbd_exports)
        self._small = memoryview(bytearray(_HANDSHAKE_BYTES))
        self._stash = b""
        self._left = 0
        self._payload_at = 0
        self._head_at = 0
        self._cookie = b""
        self._volume = 0
        self._size_bytes = 0
        self._filling: Filling | None = None
        self._write: Callable[[bytes], Any]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._write = transport.write
        assert self._handshake is not None
        transport.write(self._handshake.greeting)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client left, failed or was dropped: an unfinished write becomes a flush."""
        if self._left and self._filling is not None:
            _REQUEST.pack_into(self._filling.view, self._head_at, REQUEST_MAGIC, 0, COMMAND_FLUSH, 0, 0, 0)
            self._left = 0
            self._filling.open_count -= 1
            self.recorder.leave()
        self.owner.closed(self, self.dropped or (f"{exc}" if exc else "the connection was closed"))

    def drop(self, reason: str) -> None:
        """Close at once, without answering what is open."""
        self.dropped = self.dropped or reason
        self.transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go: the handshake's buffer, the hole that is ours, or the end of the current segment."""
        if self._handshake is not None or self.dropped:
            return self._small
        recorder = self.recorder
        if self._left:
            filling = self._filling
            assert filling is not None
            hole_end = self._payload_at + self._left
            if hole_end == filling.end and filling is recorder.current:
                return filling.view[self._payload_at : max(hole_end, min(hole_end + BATCH_BYTES_MAX, _RECEIVE_UP_TO))]
            return filling.view[self._payload_at : hole_end]
        filling = recorder.room()
        if filling is None:
            self.drop("the window of unacknowledged segments is full")
            return self._small
        self._filling = filling
        start = filling.end
        stash = self._stash
        if stash:
            after = start + len(stash)
            filling.view[start:after] = stash
            start = after
        return filling.view[start : min(start + BATCH_BYTES_MAX, _RECEIVE_UP_TO)]

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes came: finish the hole, then parse what is behind it."""
        if self.dropped:
            return
        if self._handshake is not None:
            self._negotiate(bytes(self._small[:nbytes]))
            return
        filling = self._filling
        assert filling is not None
        if self._left:
            if nbytes < self._left:
                self._payload_at += nbytes
                self._left -= nbytes
                return
            self._write(_OK + self._cookie)
            at = self._payload_at + self._left
            stop = self._payload_at + nbytes
            self._left = 0
            filling.open_count -= 1
            if at == stop:
                if self.recorder.leaving:
                    self.recorder.leave()
                return
        else:
            at = filling.end
            stop = at + len(self._stash) + nbytes
            self._stash = b""
        self._parse(filling, at, stop)

    def _parse(self, filling: Filling, at: int, stop: int) -> None:
        view = filling.view
        unpack = _REQUEST.unpack_from
        size_bytes = self._size_bytes
        add = filling.positions.append
        replies: list[bytes | memoryview] = []
        start = at
        while stop - at >= REQUEST_BYTES:
            magic, _, command, _, offset, length = unpack(view, at)
            if magic != REQUEST_MAGIC:
                self._garbage(filling, start, at, "it sent bytes that are no request")
                return
            if command == COMMAND_WRITE:
                if offset + length > size_bytes or length > REQUEST_BYTES_MAX:
                    self._garbage(filling, start, at, f"it wrote {length} bytes at {offset} of {size_bytes}")
                    return
                add(at)
                after = at + REQUEST_BYTES + length
                if after > stop:
                    self._open_hole(filling, at, stop, after)
                    at = stop = after
                    break
                replies += (_OK, view[at + 8 : at + 16])
                at = after
            elif command == _DISCONNECT:
                stop = at
                self.transport.close()
                break
            else:
                replies += self._other(filling, command, at, offset, length)
                at += REQUEST_BYTES
        if at > start:
            filling.note_run(start, self._volume)
        if at < stop:
            self._stash = bytes(view[at:stop])
        filling.end = at
        if replies:
            self._write(b"".join(replies))

    def _open_hole(self, filling: Filling, at: int, stop: int, after: int) -> None:
        self._head_at = at
        self._cookie = bytes(filling.view[at + 8 : at + 16])
        self._payload_at = stop
        self._left = after - stop
        self.hole_since = time.monotonic()
        filling.open_count += 1

    def _other(self, filling: Filling, command: int, at: int, offset: int, length: int) -> tuple[bytes, bytes]:
        cookie = bytes(filling.view[at + 8 : at + 16])
        filling.positions.append(at)
        if command in (COMMAND_WRITE_ZEROES, COMMAND_TRIM) and offset + length <= self._size_bytes:
            return _OK, cookie
        if command == COMMAND_FLUSH:
            return _OK, cookie
        self.reads_refused += 1
        _REQUEST.pack_into(filling.view, at, REQUEST_MAGIC, 0, COMMAND_FLUSH, 0, 0, 0)
        return _EINVAL, cookie

    def _garbage(self, filling: Filling, start: int, at: int, reason: str) -> None:
        if at > start:
            filling.note_run(start, self._volume)
        filling.end = at
        self.drop(reason)

    def is_hung_since(self) -> float | None:
        """When (monotonic) the write began whose payload is still missing; None when nothing is open."""
        return self.hole_since if self._left else None

    def _negotiate(self, data: bytes) -> None:
        handshake = self._handshake
        assert handshake is not None
        reply = handshake.receive(data)
        if reply:
            self._write(reply)
        if handshake.state is State.CLOSED:
            self.transport.close()
        elif handshake.chosen is not None:
            if handshake.leftover:
                self.drop("it sent requests before the handshake had ended")
                return
            self.export_name = handshake.chosen.name
            self._size_bytes = handshake.chosen.size_bytes
            self._volume = self.owner.volume_of(self.export_name)
            self._handshake = None
            self.owner.opened(self)
