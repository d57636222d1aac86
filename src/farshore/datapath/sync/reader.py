"""The sync reader: for each extent, take a place in the stream, read, fill the place.

Which extents: all of the disk, those of a dirty bitmap, or those that differ from the other site's copy (`comparing`).

Extents that the export calls zero are sent as zero records; that is looked at again after the place was taken, since
only then does a later write stand behind it.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from farshore.datapath.sync.comparing import Comparer
from farshore.datapath.sync.hash_source import HashSource
from farshore.datapath.tap.filling import REQUEST_BYTES_MAX
from farshore.datapath.tap.reservation import ANSWER, KIND_DATA, KIND_ZERO, RESERVE, VERDICT
from farshore.errors import Fault
from farshore.nbd.client import NbdClient
from farshore.nbd.constants import BASE_ALLOCATION, STATE_DIRTY, STATE_ZERO

ZERO_BYTES_MAX = 1 << 30
STATUS_BYTES_MAX = 1 << 30
BASE_ZERO = STATE_ZERO
DIRTY = STATE_DIRTY
TELL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class SyncVolume:
    """One disk to read: its number in the stream, and its export; without a bitmap it is read whole, or compared."""

    number: int
    size_bytes: int
    socket: str
    export: str
    bitmap_context: str | None
    compare: bool = False


class Places:
    """The reservations' end of a connection to the tap."""

    def __init__(self, path: str) -> None:
        """Connect to the tap's sync socket. Raises OSError."""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)

    def take(self, kind: int, volume: int, offset: int, length: int) -> None:
        """Take a place; waits while the window has no room for syncs. Raises Fault when the tap is gone."""
        self._socket.sendall(RESERVE.pack(b"RSRV", kind, volume, length, offset))
        self._answer(b"GO..")

    def fill(self, payload: memoryview | None) -> int:
        """Fill the place; returns the sequence of the segment that holds it."""
        self._socket.sendall(VERDICT.pack(1))
        if payload is not None:
            self._socket.sendall(payload)
        return self._answer(b"DONE")

    def cancel(self) -> None:
        """Give the place up."""
        self._socket.sendall(VERDICT.pack(0))
        self._answer(b"DONE")

    def _answer(self, expected: bytes) -> int:
        data = b""
        while len(data) < ANSWER.size:
            more = self._socket.recv(ANSWER.size - len(data))
            if not more:
                raise Fault(
                    "The tap closed the sync's connection.", "The sync begins again when the disks are attached."
                )
            data += more
        word, number = ANSWER.unpack(data)
        if word != expected:
            raise Fault(f"The tap answered {word!r} where {expected!r} was due.")
        return int(number)


class Reader:
    """Reads volumes, one after the other. `tell` gets progress: bytes done, read and so on, and what it waits for."""

    def __init__(self, places: Places, tell: Callable[[dict[str, Any]], None]) -> None:
        """`places` is the tap's side."""
        self.places = places
        self.tell = tell
        self.done_bytes = 0
        self.total_bytes = 0
        self.read_bytes = 0
        self.sent_bytes = 0
        self._told_at = 0.0
        self._hashes: HashSource | None = None
        self._buffer = memoryview(bytearray(REQUEST_BYTES_MAX))

    def run(self, volumes: list[SyncVolume], hashes: HashSource | None = None) -> None:
        """Read them all; those to be compared need `hashes`. Raises Fault (an export, the tap, or the other site)."""
        self._hashes = hashes
        for volume in volumes:
            with self._disk(volume) as disk:
                extents = list(self.extents(disk, volume))
                self.total_bytes += sum(length for _, length in extents)
        for volume in volumes:
            with self._disk(volume) as disk:
                if volume.compare:
                    assert hashes is not None
                    Comparer(hashes, self).compare(disk, volume.number, volume.size_bytes)
                    continue
                for offset, length in self.extents(disk, volume):
                    self.send(disk, volume.number, offset, length)
        self.say(finished=True)

    @staticmethod
    def _disk(volume: SyncVolume) -> NbdClient:
        contexts = (BASE_ALLOCATION, *([volume.bitmap_context] if volume.bitmap_context else []))
        return NbdClient(volume.socket, volume.export, contexts)

    def extents(self, disk: NbdClient, volume: SyncVolume) -> Iterator[tuple[int, int]]:
        """(offset, length) to be synced: the dirty extents, or the whole disk."""
        if volume.bitmap_context is None:
            yield 0, volume.size_bytes
            return
        at = 0
        while at < volume.size_bytes:
            length = min(STATUS_BYTES_MAX, volume.size_bytes - at)
            for extent in disk.block_status(at, length, volume.bitmap_context):
                if extent.flags & DIRTY:
                    yield extent.offset, extent.length
            at += length

    def send(self, disk: NbdClient, number: int, offset: int, length: int) -> None:
        """Put a run into the stream, as it is when its place there is taken."""
        end = offset + length
        while offset < end:
            for run in disk.block_status(offset, min(ZERO_BYTES_MAX, end - offset)):
                if run.flags & BASE_ZERO and self._zero(disk, number, run.offset, run.length):
                    pass
                else:
                    self._data(disk, number, run.offset, run.length)
                offset = run.offset + run.length

    def _zero(self, disk: NbdClient, number: int, offset: int, length: int) -> bool:
        self.places.take(KIND_ZERO, number, offset, length)
        if not all(run.flags & BASE_ZERO for run in disk.block_status(offset, length)):
            self.places.cancel()
            return False
        self.places.fill(None)
        self.note(done_bytes=length)
        return True

    def _data(self, disk: NbdClient, number: int, offset: int, length: int) -> None:
        end = offset + length
        while offset < end:
            size = min(REQUEST_BYTES_MAX, end - offset)
            payload = self._buffer[:size]
            self.places.take(KIND_DATA, number, offset, size)
            disk.pread_into(payload, offset)
            self.places.fill(payload)
            offset += size
            self.sent_bytes += size
            self.note(done_bytes=size, read_bytes=size)

    def note(self, *, done_bytes: int = 0, read_bytes: int = 0) -> None:
        """Count, and tell now and then."""
        self.done_bytes += done_bytes
        self.read_bytes += read_bytes
        self.say()

    def say(self, *, finished: bool = False, at_once: bool = False) -> None:
        """Tell how far it is; at most ten times a second, unless it is finished or must be told at once."""
        now = time.monotonic()
        if finished or at_once or now - self._told_at > TELL_SECONDS:
            self._told_at = now
            self.tell(
                {
                    "done_bytes": self.done_bytes,
                    "total_bytes": self.total_bytes,
                    "read_bytes": self.read_bytes,
                    "hash_bytes": self._hashes.received_bytes if self._hashes else 0,
                    "sent_bytes": self.sent_bytes,
                    "reason": self._hashes.reason if self._hashes else "",
                    "finished": finished,
                }
            )
