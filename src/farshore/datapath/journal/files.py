"""The journal's segment files: their names, and walking through one segment by segment.

segments/<ordinal of its first segment, 20 digits>.segments: sealed segments back to back, exactly as on the wire. The
name of the next file bounds the one before it: whatever lies there beyond the last ordinal before that was never
acknowledged.
"""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from farshore.datapath.journal.control import is_understood
from farshore.datapath.segment import HEADER_BYTES, DamagedSegment, SegmentHeader
from farshore.datapath.segment.header import MAGIC
from farshore.datapath.segment.index import RECORD
from farshore.datapath.segment.seal import Segment, parse_payload

SUFFIX = ".segments"
FILE_BYTES_MAX = 64 << 20
_EMPTY_CONTROL_BYTES = 2


@dataclass(frozen=True, slots=True)
class SegmentFile:
    """One file. `last` is the ordinal of its last segment (first - 1 when it has none), `end` where that ends."""

    path: Path
    first: int
    last: int
    end: int


@dataclass(frozen=True, slots=True)
class Placed:
    """A segment's place: its ordinal, where its header begins in the file, the header."""

    ordinal: int
    offset: int
    header: SegmentHeader

    @property
    def end(self) -> int:
        """Where the next one begins."""
        return self.offset + self.header.total_bytes

    @property
    def body_at(self) -> int:
        """Where the body begins in the file."""
        return self.end - self.header.body_bytes


class BadBytes(DamagedSegment):
    """A file does not go on with a whole segment at `offset`, which should be segment `ordinal`."""

    def __init__(self, ordinal: int, offset: int, reason: str) -> None:
        super().__init__(reason)
        self.ordinal = ordinal
        self.offset = offset


def segments_folder(journal: Path) -> Path:
    """Where the files are."""
    return journal / "segments"


def file_path(journal: Path, first: int) -> Path:
    """The file whose first segment has that ordinal."""
    return segments_folder(journal) / f"{first:020d}{SUFFIX}"


def list_files(journal: Path) -> list[tuple[int, Path]]:
    """(first ordinal, path) of all files, ascending."""
    folder = segments_folder(journal)
    found = [(int(path.stem), path) for path in folder.glob(f"*{SUFFIX}") if path.stem.isdigit()]
    return sorted(found)


def walk(fd: int, first: int, *, offset: int = 0, end: int) -> Iterator[Placed]:
    """The segments in [offset, end) of a file; `first` is the ordinal of the one at `offset`.

    Only headers are read and checked. Raises BadBytes where the bytes up to `end` do not go on with a whole segment.
    """
    ordinal = first
    while offset < end:
        try:
            header = SegmentHeader.parse(os.pread(fd, HEADER_BYTES, offset))
        except DamagedSegment as error:
            raise BadBytes(ordinal, offset, error.fact) from error
        placed = Placed(ordinal, offset, header)
        if placed.end > end:
            raise BadBytes(ordinal, offset, f"{placed.end - end} bytes of the segment are missing.")
        yield placed
        offset = placed.end
        ordinal += 1


def read_control(fd: int, placed: Placed) -> list[dict[str, Any]]:
    """The control records of a segment, unverified. Raises BadBytes when they cannot be understood."""
    header = placed.header
    if header.control_bytes <= _EMPTY_CONTROL_BYTES:
        return []
    data = os.pread(fd, header.control_bytes, placed.offset + HEADER_BYTES + header.index_bytes)
    try:
        control = json.loads(data)
    except ValueError:
        control = None
    if not isinstance(control, list) or not all(map(is_understood, control)):
        raise BadBytes(placed.ordinal, placed.offset, "Its control records cannot be understood.")
    return control


def read_index(fd: int, placed: Placed) -> npt.NDArray[np.void]:
    """The index of a segment (dtype RECORD), unverified. Raises BadBytes when it is not whole."""
    header = placed.header
    data = os.pread(fd, header.index_bytes, placed.offset + HEADER_BYTES)
    if len(data) != header.record_count * RECORD.itemsize:
        raise BadBytes(placed.ordinal, placed.offset, "Its index is not whole.")
    return np.frombuffer(data, dtype=RECORD)


def read_segment(fd: int, placed: Placed) -> Segment:
    """The whole segment, verified. Raises BadBytes when its payload is not what was written."""
    data = os.pread(fd, placed.header.payload_bytes, placed.offset + HEADER_BYTES)
    try:
        return parse_payload(placed.header, data)
    except DamagedSegment as error:
        raise BadBytes(placed.ordinal, placed.offset, error.fact) from error


def find_segment(fd: int, offset: int, end: int) -> tuple[int, SegmentHeader] | None:
    """The next whole, verified segment that begins at or after `offset`: where, and its header. For after damage."""
    if end <= offset:
        return None
    with mmap.mmap(fd, end, access=mmap.ACCESS_READ) as data:
        at = data.find(MAGIC, offset)
        while at >= 0:
            try:
                header = SegmentHeader.parse(data[at : at + HEADER_BYTES])
                parse_payload(header, data[at + HEADER_BYTES : at + header.total_bytes])
            except DamagedSegment:
                at = data.find(MAGIC, at + 1)
            else:
                return at, header
    return None
