"""The one ordered record of a VPG's writes on this host: the current segment, and those that wait for a payload.

Always true: records are in the order in which they were appended; segments are published in order, each once no
payload in it is missing; `first_kept` is the oldest region that is in use here.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

from farshore.datapath.segment.header import FLAG_BREAK
from farshore.datapath.segment.window import Descriptor, Window, aligned
from farshore.datapath.tap.filling import CONTROL_BYTES_MAX, REGION_BYTES_MAX, Filling

Control = dict[str, Any]


class Recorder:
    """Appends to the window. Not safe for threads: the tap has one loop."""

    def __init__(self, window: Window, wake_fd: int) -> None:
        """Go on after the window's newest published segment; `wake_fd` is the sender's eventfd."""
        self.window = window
        self.wake_fd = wake_fd
        self.current: Filling | None = None
        self.leaving: list[tuple[Filling, Descriptor]] = []
        self._head = window.head
        self._next_number = window.published + 1
        self._pending_control: list[Control] = []
        self._pending_flags = 0

    def room(self) -> Filling | None:
        """The current segment, with room for one more batch and the largest request; None when the window is full."""
        current = self.current
        if current is not None:
            if not current.is_full():
                return current
            self.roll()
        return self._begin()

    def _begin(self) -> Filling | None:
        first_kept = self.leaving[0][0].start if self.leaving else None
        if not self.window.has_descriptors():
            return None
        start = self.window.room_at(self._head, REGION_BYTES_MAX, first_kept)
        if start is None:
            return None
        filling = Filling(self.window.regions[start : start + REGION_BYTES_MAX], start)
        filling.control, self._pending_control = self._pending_control, []
        filling.flags, self._pending_flags = self._pending_flags, 0
        self.current = filling
        return filling

    def roll(self) -> None:
        """Close the current segment; it leaves once its last payload is whole."""
        current = self.current
        if current is None or current.is_empty():
            return
        current.number = self._next_number
        self._next_number += 1
        descriptor = current.close()
        self._head = aligned(descriptor.start + descriptor.total_bytes)
        self.leaving.append((current, descriptor))
        self.current = None
        self.leave()

    def leave(self) -> None:
        """Publish, in order, the closed segments in which no payload is missing."""
        published = False
        while self.leaving and not self.leaving[0][0].open_count:
            _, descriptor = self.leaving.pop(0)
            self.window.publish(descriptor)
            published = True
        if published:
            os.eventfd_write(self.wake_fd, 1)

    def number_of(self, filling: Filling) -> int:
        """The sequence that this segment has or will have."""
        return filling.number or self._next_number

    def add_control(self, *records: Control) -> bool:
        """Put control records behind all that was appended, and close the segment. False: no room, nothing was put."""
        size = len(json.dumps(records))
        if size > CONTROL_BYTES_MAX // 2:
            raise ValueError(f"control records of {size} bytes do not fit into a segment")
        filling = self.room()
        if filling is None:
            return False
        filling.control.extend(records)
        self.roll()
        return True

    def break_stream(self, reason: str) -> None:
        """What follows is not continuous with what is here: told in the stream by a flag and a record."""
        self.roll()
        self._pending_flags |= FLAG_BREAK
        self._pending_control = [
            *self._pending_control[-8:],
            {"type": "break", "reason": reason, "time_ns": time.time_ns()},
        ]
        if self._begin() is not None:
            self.roll()

    def age_seconds(self) -> float:
        """Since the current segment was begun; 0 when there is none."""
        current = self.current
        return 0.0 if current is None or current.is_empty() else (time.time_ns() - current.first_ns) / 1e9
