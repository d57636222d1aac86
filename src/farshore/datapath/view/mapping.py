"""A volume's extent map at a checkpoint, from the indexes in the journal's files; no data are read."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from farshore.datapath.journal import DamagedJournal, Journal
from farshore.datapath.journal.files import BadBytes, Placed, SegmentFile, read_control, read_index, walk
from farshore.datapath.segment import FLAG_ENCRYPTED, FLAG_ZSTD, Kind
from farshore.datapath.view.extents import ZERO, ExtentMap, MapBuilder
from farshore.errors import NotFound


def volume_size(journal: Journal, volume: int, ordinal: int) -> int:
    """Bytes of a volume at that ordinal. Raises NotFound when the VPG had no such volume then."""
    for each in journal.ledger.volumes_at(ordinal):
        if int(each["number"]) == volume:
            return int(each["size_bytes"])
    raise NotFound(f"There was no volume {volume} at {ordinal}.", "List the checkpoint's volumes.")


def build_map(journal: Journal, volume: int, ordinal: int) -> ExtentMap:
    """Where the bytes of `volume` lie at that ordinal; a source is the first ordinal of a journal file.

    What the map does not cover is in the base image. Raises DamagedJournal when an index cannot be read.
    """
    builder = MapBuilder()
    floor = journal.floor.ordinal
    size = next((int(v["size_bytes"]) for v in journal.ledger.volumes_at(floor) if int(v["number"]) == volume), 0)
    for file in journal.files():
        if file.last <= floor or file.first > ordinal:
            continue
        fd = os.open(file.path, os.O_RDONLY)
        try:
            size = _add_file(builder, fd, file, volume, (floor, ordinal), size)
        except BadBytes as error:
            raise DamagedJournal(
                f"Segment {error.ordinal} in {file.path.name} is damaged: {error.fact}",
                "Checkpoints before it can be opened.",
                error.ordinal,
            ) from error
        finally:
            os.close(fd)
    return builder.build()


def _add_file(
    builder: MapBuilder, fd: int, file: SegmentFile, volume: int, above_up_to: tuple[int, int], size: int
) -> int:
    """Add a file's records of the volume; returns the volume's size after them."""
    for placed in walk(fd, file.first, end=file.end):
        if placed.ordinal > above_up_to[1]:
            break
        if placed.ordinal <= above_up_to[0]:
            continue
        if placed.header.flags & (FLAG_ZSTD | FLAG_ENCRYPTED):
            raise BadBytes(placed.ordinal, placed.offset, "It is compressed or encrypted.")
        if placed.header.record_count:
            builder.add(_records(read_index(fd, placed), placed, file.first, volume))
        for record in read_control(fd, placed):
            if record.get("type") == "volumes":
                size = _resized(builder, record["volumes"], volume, size)
    return size


def _records(index: npt.NDArray[np.void], placed: Placed, source: int, volume: int) -> ExtentMap:
    mine = index[index["volume"] == volume]
    start = mine["offset"].astype(np.int64)
    zero = (mine["kind"] == Kind.ZERO) | (mine["kind"] == Kind.SYNC_ZERO)
    return ExtentMap(
        start,
        start + mine["length"].astype(np.int64),
        np.where(zero, ZERO, source).astype(np.int64),
        np.where(zero, 0, mine["position"].astype(np.int64) + placed.body_at),
    )


def _resized(builder: MapBuilder, volumes: list[dict[str, Any]], volume: int, size: int) -> int:
    """A shrink counts as zeros from the new end on, so that a later growth shows zeros there."""
    for each in volumes:
        if int(each["number"]) == volume:
            new = int(each["size_bytes"])
            if new < size:
                one = np.array([1], dtype=np.int64)
                builder.add(ExtentMap(one * new, one * size, one * ZERO, one * 0))
            return new
    return size
