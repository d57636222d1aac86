"""Heartbeats in shared memory: how a killer in another process sees that a loop hangs or a process was stopped.

The site's process makes the board (a memfd); the watcher and the taps write their slot; the watcher's watchdog thread
and the site's process each kill what is late. A slot: pid, start time of the process (from /proc, so that a reused
pid is not hit), time of the last beat (CLOCK_MONOTONIC, nanoseconds), kind.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import struct
import time
from dataclasses import dataclass

_SLOT = struct.Struct("<QQQQ")
SLOT_COUNT = 256
KIND_WATCHER = 1
KIND_TAP = 2


def process_start_time(pid: int) -> int | None:
    """Start time of a process in clock ticks since boot, None when it is gone or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


@dataclass(frozen=True, slots=True)
class Beat:
    """One slot in use. `age_seconds` since the last beat."""

    slot: int
    pid: int
    started: int
    kind: int
    age_seconds: float


class Board:
    """The shared table of heartbeats."""

    def __init__(self, fd: int) -> None:
        """Map the memfd `fd`; it stays the caller's."""
        self._map = mmap.mmap(fd, SLOT_COUNT * _SLOT.size)

    @staticmethod
    def create() -> int:
        """A new board's memfd (inheritable when passed on)."""
        fd = os.memfd_create("farshore-board", 0)
        os.ftruncate(fd, SLOT_COUNT * _SLOT.size)
        return fd

    def register(self, slot: int, kind: int, pid: int | None = None) -> None:
        """Take a slot for a process (this one by default)."""
        pid = pid or os.getpid()
        _SLOT.pack_into(self._map, slot * _SLOT.size, pid, process_start_time(pid) or 0, time.monotonic_ns(), kind)

    def beat(self, slot: int) -> None:
        """Say that the process is well."""
        struct.pack_into("<Q", self._map, slot * _SLOT.size + 16, time.monotonic_ns())

    def clear(self, slot: int) -> None:
        """Give a slot back."""
        _SLOT.pack_into(self._map, slot * _SLOT.size, 0, 0, 0, 0)

    def age_seconds(self, slot: int) -> float | None:
        """Seconds since the slot's last beat; None when it is free."""
        pid, _, beat_ns, _ = _SLOT.unpack_from(self._map, slot * _SLOT.size)
        return (time.monotonic_ns() - beat_ns) / 1e9 if pid else None

    def beats(self) -> list[Beat]:
        """All slots in use."""
        found = []
        now = time.monotonic_ns()
        for slot in range(SLOT_COUNT):
            pid, started, beat_ns, kind = _SLOT.unpack_from(self._map, slot * _SLOT.size)
            if pid:
                found.append(Beat(slot, pid, started, kind, (now - beat_ns) / 1e9))
        return found

    def kill_late(self, limit_seconds: float, kinds: tuple[int, ...]) -> list[Beat]:
        """Kill (-9) each process whose beat is older than the limit; give its slot back. Returns whom it killed."""
        killed = []
        for beat in self.beats():
            if beat.kind not in kinds or beat.age_seconds <= limit_seconds:
                continue
            if process_start_time(beat.pid) == beat.started:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(beat.pid, signal.SIGKILL)
                    killed.append(beat)
            self.clear(beat.slot)
        return killed
