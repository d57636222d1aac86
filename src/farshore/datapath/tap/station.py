"""The tap as a whole: its exports, its connections, whether the stream is intact, and what the watcher may ask.

Intact means: since the watcher's word `begin`, every export has had its one connection, and none has hung up. While
it is not, nothing is cut. The watcher says `begin` after all disks were attached.
"""

from __future__ import annotations

import asyncio
import select
import time
from collections.abc import Callable
from typing import Any

from farshore.datapath.segment.window import Window
from farshore.datapath.tap.connection import GuestConnection
from farshore.datapath.tap.filling import REQUEST_BYTES_MAX
from farshore.datapath.tap.recorder import Recorder
from farshore.datapath.tap.reservation import RESERVATION_SECONDS_MAX, ReservationConnection
from farshore.errors import BadInput, Conflict
from farshore.nbd import constants as nbd
from farshore.nbd.handshake import Export

PAYLOAD_SECONDS_MAX = 1.0
SEAL_SECONDS = 0.5
_TRANSMIT = (
    nbd.TRANSMIT_HAS_FLAGS
    | nbd.TRANSMIT_SEND_FLUSH
    | nbd.TRANSMIT_SEND_FUA
    | nbd.TRANSMIT_SEND_TRIM
    | nbd.TRANSMIT_SEND_WRITE_ZEROES
    | nbd.TRANSMIT_CAN_MULTI_CONN
)
_HUNG_UP = select.POLLRDHUP | select.POLLHUP | select.POLLERR


class Station:
    """Owner of the recorder and of all connections. `notify` carries events to the watcher."""

    def __init__(
        self,
        window: Window,
        wake_fd: int,
        exports: dict[str, tuple[int, int]],
        notify: Callable[[dict[str, Any]], None],
    ) -> None:
        """`exports`: by name, the volume's number and size in bytes."""
        self.recorder = Recorder(window, wake_fd)
        self.exports = exports
        self.nbd_exports = {
            name: Export(name, size_bytes, _TRANSMIT, block_bytes_min=1, request_bytes_max=REQUEST_BYTES_MAX)
            for name, (_, size_bytes) in exports.items()
        }
        self.notify = notify
        self.connections: dict[str, GuestConnection] = {}
        self.reservations: set[ReservationConnection] = set()
        self.intact = False
        self.reads_refused = 0
        self.marker_ids: set[str] = set()

    # -- what connections tell

    def volume_of(self, name: str) -> int:
        """The volume's number behind an export."""
        return self.exports[name][0]

    def opened(self, connection: GuestConnection) -> None:
        """A disk connected. A second connection of the same export ends the first one's word."""
        before = self.connections.get(connection.export_name)
        self.connections[connection.export_name] = connection
        if before is not None:
            self.lose(connection.export_name, "the disk connected a second time")
            before.drop("the disk connected a second time")
        self.notify({"event": "connected", "export": connection.export_name})

    def closed(self, connection: GuestConnection, reason: str) -> None:
        """A disk's connection ended."""
        self.reads_refused += connection.reads_refused
        connection.reads_refused = 0
        if connection.export_name and self.connections.get(connection.export_name) is connection:
            del self.connections[connection.export_name]
            self.lose(connection.export_name, reason)

    def lose(self, export: str, reason: str) -> None:
        """The stream is no longer unbroken: say so in it and to the watcher."""
        if self.intact:
            self.intact = False
            self.recorder.break_stream(f"{export}: {reason}")
        self.notify({"event": "lost", "export": export, "reason": reason})

    # -- what the watcher asks

    def begin(self, control: list[dict[str, Any]]) -> dict[str, Any]:
        """All disks are attached: from here on the stream is unbroken. Raises Conflict when one is not connected."""
        missing = sorted(set(self.exports) - set(self.connections)) + self._hung_up()
        if missing:
            raise Conflict(f"No connection from {', '.join(missing)}.", "Attach the disks again.")
        self.recorder.break_stream("a stream begins")
        if control and not self.recorder.add_control(*control):
            raise Conflict("The window of unacknowledged segments is full.", "Wait until the other site has caught up.")
        self.intact = True
        return self.status()

    def cut(self, marker: dict[str, Any]) -> dict[str, Any]:
        """Cut a marker behind all that was answered so far. Raises Conflict when the stream is not intact."""
        marker_id = str(marker["id"])
        if marker_id in self.marker_ids:
            raise Conflict(f"Marker {marker_id} was cut already.")
        for export in self._hung_up():
            self.connections[export].drop("its socket was hung up")
            self.lose(export, "its socket was hung up")
        if not self.intact:
            raise Conflict("A disk is not in the stream.", "Wait until all disks are attached and synced again.")
        record = {"type": "marker", "time_ns": time.time_ns(), **marker}
        if not self.recorder.add_control(record):
            raise Conflict("The window of unacknowledged segments is full.", "Wait until the other site has caught up.")
        self.marker_ids.add(marker_id)
        return {"marker_id": marker_id, "time_ns": record["time_ns"], "sequence": self.newest()}

    def vouch(self, marker_id: str) -> dict[str, Any]:
        """The watcher's word that the marker holds. Raises Conflict when the stream broke since."""
        if marker_id not in self.marker_ids:
            raise BadInput(f"Marker {marker_id} is not known here.")
        self.marker_ids.discard(marker_id)
        if not self.intact or self._hung_up():
            raise Conflict("A disk left the stream after the marker was cut.")
        if not self.recorder.add_control({"type": "vouch", "id": marker_id}):
            raise Conflict("The window of unacknowledged segments is full.")
        return {"sequence": self.newest()}

    def void(self, marker_id: str, reason: str) -> dict[str, Any]:
        """The marker does not hold."""
        self.marker_ids.discard(marker_id)
        self.recorder.add_control({"type": "void", "id": marker_id, "reason": reason})
        return {"sequence": self.newest()}

    def control(self, records: list[dict[str, Any]]) -> dict[str, Any]:
        """Put records into the stream, behind all that came so far. Raises Conflict when there is no room."""
        if not self.recorder.add_control(*records):
            raise Conflict("The window of unacknowledged segments is full.", "Wait until the other site has caught up.")
        return {"sequence": self.newest()}

    def seal(self) -> dict[str, Any]:
        """Close the current segment; all that has arrived has a sequence up to the one told."""
        self.recorder.roll()
        return {"sequence": self.newest()}

    def drop(self, exports: list[str], reason: str) -> dict[str, Any]:
        """Close the connections of these exports (all when the list is empty)."""
        for export in exports or list(self.connections):
            if export in self.connections:
                self.connections[export].drop(reason)
        return {}

    def let_go(self, mean_seconds: float) -> None:
        """The tap is slow: its guests go on without it."""
        reason = f"the tap is slow: writes waited {mean_seconds * 1000:.0f} ms on average"
        self.notify({"event": "slow", "reason": reason})
        self.drop([], reason)

    def newest(self) -> int:
        """Sequence of the newest closed segment."""
        leaving = self.recorder.leaving
        return leaving[-1][0].number if leaving else self.recorder.window.published

    def status(self) -> dict[str, Any]:
        """Connections, whether the stream is intact, and how far it is."""
        return {
            "intact": self.intact,
            "connected": sorted(self.connections),
            "published": self.recorder.window.published,
            "acknowledged": self.recorder.window.acknowledged,
            "unacknowledged_bytes": self.recorder.window.unacknowledged_bytes(),
            "reads_refused": self.reads_refused + sum(c.reads_refused for c in self.connections.values()),
        }

    # -- by the clock

    def tick(self) -> None:
        """Seal what is old; drop whom a write or reservation of hangs."""
        if self.recorder.age_seconds() > SEAL_SECONDS:
            self.recorder.roll()
        now = time.monotonic()
        for connection in list(self.connections.values()):
            since = connection.is_hung_since()
            if since is not None and now - since > PAYLOAD_SECONDS_MAX:
                connection.drop("the rest of a write did not come")
        for reservation in list(self.reservations):
            since = reservation.is_hung_since()
            if since is not None and now - since > RESERVATION_SECONDS_MAX:
                reservation.transport.abort()

    def _hung_up(self) -> list[str]:
        poll = select.poll()
        by_fd: dict[int, str] = {}
        for name, connection in self.connections.items():
            if connection.transport.is_closing():
                by_fd[-1 - len(by_fd)] = name
                continue
            fd = connection.transport.get_extra_info("socket").fileno()
            by_fd[fd] = name
            poll.register(fd, select.POLLRDHUP)
        hung = [by_fd[fd] for fd, event in poll.poll(0) if event & _HUNG_UP]
        return sorted(hung + [name for fd, name in by_fd.items() if fd < 0])


async def serve(station: Station, guest_socket: str, sync_socket: str) -> list[asyncio.AbstractServer]:
    """Listen for disks and for sync readers."""
    loop = asyncio.get_running_loop()

    def reader() -> ReservationConnection:
        connection = ReservationConnection(station.recorder, dict(station.exports.values()))
        station.reservations.add(connection)
        station.reservations = {r for r in station.reservations if r is connection or r.is_open()}
        return connection

    guests = await loop.create_unix_server(lambda: GuestConnection(station), guest_socket)
    readers = await loop.create_unix_server(reader, sync_socket)
    return [guests, readers]
