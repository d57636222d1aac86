"""Receiving one connection's segments: one thread reads and verifies, one appends, makes durable and acknowledges.

    reader   header, judged by the keeper; payload into a pooled buffer; both checksums; into the queue
    writer   all that waits in the queue: one append, one fdatasync, then ACKD with the last sequence

Bounded: buffers of POOL_BYTES_MAX in all (one larger segment at a time is let through). Nothing is acknowledged that
is not durable. What the keeper refuses is answered with NACK, and the connection closed; nothing after it is kept.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from farshore.datapath.segment import (
    FLAG_ENCRYPTED,
    FLAG_ZSTD,
    HEADER_BYTES,
    DamagedSegment,
    Kind,
    SegmentHeader,
)
from farshore.datapath.segment.seal import Segment, parse_payload
from farshore.datapath.stream.arrived import Arrived
from farshore.datapath.stream.link import LinkBroken, ReceiverLink
from farshore.datapath.stream.messages import ACKNOWLEDGED, PING, PONG, REFUSED, Refusal
from farshore.errors import FarshoreError, Fault

_LOG = logging.getLogger(__name__)
POOL_BYTES_MAX = 16 << 20
GROUP_SEGMENTS_MAX = 64


class Keeper(Protocol):
    """Who keeps segments: the journal. What it raises may have an attribute `refusal`, the code for the other side."""

    def judge(self, header: SegmentHeader, after: int | None = None) -> None:
        """Raises a FarshoreError when this segment may not come next, after the one of sequence `after`."""
        ...

    def append(self, segments: Sequence[Arrived]) -> None:
        """Make durable, all or none. Raises a FarshoreError."""
        ...


class BufferPool:
    """Buffers for payloads, used again; `take` waits while too many bytes are out."""

    def __init__(self, bytes_max: int = POOL_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._out = 0
        self._idle: list[bytearray] = []
        self._changed = threading.Condition()

    def take(self, size: int, wait_seconds: float) -> bytearray | None:
        """A buffer of at least `size` bytes, None when there was none in time."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._out or self._out + size <= self._bytes_max, wait_seconds):
                return None
            fitting = [each for each in self._idle if len(each) >= size]
            if fitting:
                buffer = min(fitting, key=len)
                self._idle.remove(buffer)
            else:
                while self._idle and self._out + size + sum(map(len, self._idle)) > self._bytes_max:
                    self._idle.pop(0)
                buffer = bytearray(max(size, 65536))
            self._out += len(buffer)
            return buffer

    def give(self, buffer: bytearray) -> None:
        """Give a buffer back."""
        with self._changed:
            self._out -= len(buffer)
            if self._out + len(buffer) + sum(map(len, self._idle)) <= self._bytes_max:
                self._idle.append(buffer)
            self._changed.notify_all()


class Receiver:
    """One connection that was greeted and welcomed. `run` returns when it has ended."""

    def __init__(self, link: ReceiverLink, keeper: Keeper, vpg: bytes, pool: BufferPool) -> None:
        self._link = link
        self._keeper = keeper
        self._vpg = vpg
        self._pool = pool
        self._queue: queue.Queue[tuple[Arrived, bytearray] | None] = queue.Queue()
        self._stopping = False
        self.reason = ""
        self.refusal: Refusal | None = None
        """What was refused in this connection, if anything."""

    def run(self) -> None:
        """Receive until the link breaks, a segment is refused, or `stop`."""
        writer = threading.Thread(target=self._write, name="journal-writer")
        writer.start()
        try:
            self._read()
        except LinkBroken as error:
            self.reason = self.reason or str(error)
        except FarshoreError as error:
            self._refuse(error, 0)
        finally:
            self._queue.put(None)
            writer.join()
            self._link.close()

    def stop(self) -> None:
        """End soon: the append in hand is finished, what waits is dropped (it was not acknowledged)."""
        self._stopping = True
        self._link.close()

    # -- reader
    def _read(self) -> None:
        head = bytearray(HEADER_BYTES)
        view = memoryview(head)
        after: int | None = None
        while not self._stopping:
            self._link.read_into(view[: len(PING)])
            if head[: len(PING)] == PING:
                self._link.send(PONG)
                continue
            self._link.read_into(view[len(PING) :])
            header = SegmentHeader.parse(head)
            if header.vpg != self._vpg:
                raise DamagedSegment("A segment of another VPG came in this stream.")
            self._keeper.judge(header, after)
            arrived, buffer = self._payload(header, bytes(head))
            after = header.sequence
            self._queue.put((arrived, buffer))

    def _payload(self, header: SegmentHeader, head: bytes) -> tuple[Arrived, bytearray]:
        while (buffer := self._pool.take(header.payload_bytes, 0.5)) is None:
            if self._stopping:
                raise LinkBroken("the connection was closed")
            self._link.keep_alive()
        payload = memoryview(buffer)[: header.payload_bytes]
        try:
            self._link.read_into(payload)
            segment = parse_payload(header, payload)
            demand_lawful(segment)
        except BaseException:
            self._pool.give(buffer)
            raise
        return Arrived(header, segment.control, (head, payload)), buffer

    # -- writer
    def _write(self) -> None:
        try:
            while (entry := self._queue.get()) is not None:
                group = [entry]
                while len(group) < GROUP_SEGMENTS_MAX and (following := self._waiting()) is not None:
                    group.append(following)
                if self.refusal is None and not self._stopping:
                    self._keep([arrived for arrived, _ in group])
                for _, buffer in group:
                    self._pool.give(buffer)
        finally:  # whatever ended this thread, the reader must not go on saying PONG
            self._link.close()

    def _waiting(self) -> tuple[Arrived, bytearray] | None:
        """What waits in the queue; the reader's last word (None) is left there for `_write`."""
        try:
            entry = self._queue.get_nowait()
        except queue.Empty:
            return None
        if entry is None:
            self._queue.put(None)
        return entry

    def _keep(self, group: list[Arrived]) -> None:
        try:
            self._keeper.append(group)
            self._link.send(ACKNOWLEDGED, 0, group[-1].header.sequence)
        except LinkBroken as error:
            self.reason = self.reason or str(error)
        except FarshoreError as error:
            self._refuse(error, group[0].header.sequence)
        except OSError as error:
            self._refuse(Fault(f"The journal's store failed: {error}."), group[0].header.sequence)

    def _refuse(self, error: FarshoreError, sequence: int) -> None:
        self.refusal = getattr(error, "refusal", Refusal.DAMAGED)
        self.reason = str(error)
        _LOG.warning("refused (%s): %s", self.refusal.code, error)
        try:
            self._link.send(REFUSED, int(self.refusal), sequence)
        except LinkBroken as broken:
            _LOG.info("the refusal could not be told: %s", broken)
        self._link.close()


def demand_lawful(segment: Segment) -> None:
    """Raises DamagedSegment when the segment says what this version cannot keep, or points outside its body."""
    header = segment.header
    if header.flags & (FLAG_ZSTD | FLAG_ENCRYPTED):
        raise DamagedSegment(
            f"Segment {header.session}/{header.sequence} is compressed or encrypted.", "This version keeps plain ones."
        )
    index = segment.index
    if not len(index):
        return
    kinds = index["kind"]
    data = (kinds == Kind.WRITE) | (kinds == Kind.SYNC)
    ends = index["position"].astype(np.int64) + np.where(data, index["length"], 0)
    if (
        int(kinds.min()) < Kind.WRITE
        or int(kinds.max()) > Kind.SYNC_ZERO
        or int(ends[data].max(initial=0)) > len(segment.body)
    ):
        raise DamagedSegment(f"The index of segment {header.session}/{header.sequence} points outside its body.")
