"""A segment on its way from the wire to the journal: verified once, never copied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from farshore.datapath.segment import SegmentHeader


@dataclass(frozen=True, slots=True)
class Arrived:
    """A verified segment: its header, its control records, its bytes (header and payload, in order) as buffers."""

    header: SegmentHeader
    control: list[dict[str, Any]]
    buffers: Sequence[bytes | bytearray | memoryview]
