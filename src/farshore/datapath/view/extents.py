"""Maps of extents: sorted, disjoint runs of a volume and where each one's bytes lie. All numpy, no object per run.

Always true of an ExtentMap: start[i] < end[i] <= start[i + 1]. A source of ZERO means zeros; otherwise it is the
number of a file, and `position[i]` is where the byte of `start[i]` lies in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

ZERO = -1
_CELLS_PER_RECORD = 8
_CELLS_FREE = 1 << 16

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ExtentMap:
    """Parallel columns: start and end in bytes on the volume, source, position in bytes in the source."""

    start: I64
    end: I64
    source: I64
    position: I64

    def __len__(self) -> int:
        return len(self.start)

    @classmethod
    def empty(cls) -> ExtentMap:
        """A map of nothing."""
        none = np.zeros(0, dtype=np.int64)
        return cls(none, none, none, none)

    def cut(self, start: int, end: int) -> ExtentMap:
        """The part inside [start, end)."""
        first = int(np.searchsorted(self.end, start, side="right"))
        last = int(np.searchsorted(self.start, end, side="left"))
        begins, ends = self.start[first:last], self.end[first:last]
        begin: I64 = np.maximum(begins, start)
        return ExtentMap(
            begin, np.minimum(ends, end), self.source[first:last], self.position[first:last] + (begin - begins)
        )


def resolve(records: ExtentMap) -> ExtentMap:
    """From records in stream order (their runs may overlap) the map in which the last writer of each byte wins.

    The records' ends cut the volume into cells; each record is expanded to the cells it covers, and assigning the
    records' numbers in order leaves the last one's. Where that would expand too far the records are split in two by
    order.
    """
    count = len(records)
    if count <= 1:
        return records
    edges = np.sort(np.concatenate((records.start, records.end)))
    edges = edges[np.concatenate(([True], edges[1:] != edges[:-1]))]
    low = np.searchsorted(edges, records.start)
    covered = np.searchsorted(edges, records.end) - low
    total = int(covered.sum())
    if total > _CELLS_PER_RECORD * count + _CELLS_FREE:
        half = count // 2
        return overlay(resolve(_part(records, slice(half, None))), resolve(_part(records, slice(half))))
    before = np.cumsum(covered) - covered
    cells = np.repeat(low - before, covered) + np.arange(total)
    writer = np.full(len(edges) - 1, -1, dtype=np.int64)
    writer[cells] = np.repeat(np.arange(count), covered)
    # neighbouring cells of one writer are one extent again
    change = np.flatnonzero(np.concatenate(([True], writer[1:] != writer[:-1])))
    last = np.concatenate((change[1:], [len(writer)]))
    kept = writer[change] >= 0
    change, last = change[kept], last[kept]
    who = writer[change]
    start = edges[change]
    return ExtentMap(start, edges[last], records.source[who], records.position[who] + (start - records.start[who]))


def overlay(upper: ExtentMap, lower: ExtentMap) -> ExtentMap:
    """(lower minus upper) union upper."""
    if not len(upper):
        return lower
    if not len(lower):
        return upper
    gap_start = np.concatenate(([np.iinfo(np.int64).min], upper.end))
    gap_end = np.concatenate((upper.start, [np.iinfo(np.int64).max]))
    first = np.searchsorted(gap_end, lower.start, side="right")
    count = np.maximum(np.searchsorted(gap_start, lower.end, side="left") - first, 0)
    which = np.repeat(np.arange(len(lower)), count)
    gap = np.repeat(first - (np.cumsum(count) - count), count) + np.arange(int(count.sum()))
    start: I64 = np.maximum(lower.start[which], gap_start[gap])
    end = np.minimum(lower.end[which], gap_end[gap])
    real = start < end
    which, start, end = which[real], start[real], end[real]
    rest = ExtentMap(start, end, lower.source[which], lower.position[which] + (start - lower.start[which]))
    order = np.argsort(np.concatenate((upper.start, rest.start)), kind="stable")
    return _part(_joined([upper, rest]), order)


def _part(records: ExtentMap, which: slice | I64) -> ExtentMap:
    return ExtentMap(records.start[which], records.end[which], records.source[which], records.position[which])


def _joined(maps: list[ExtentMap]) -> ExtentMap:
    return ExtentMap(
        np.concatenate([each.start for each in maps]),
        np.concatenate([each.end for each in maps]),
        np.concatenate([each.source for each in maps]),
        np.concatenate([each.position for each in maps]),
    )


class MapBuilder:
    """Resolves records, which come in stream order, batch by batch, and overlays the batches pairwise in a tree."""

    def __init__(self, batch_records: int = 1 << 18) -> None:
        self._batch_records = batch_records
        self._waiting: list[ExtentMap] = []
        self._waiting_count = 0
        self._levels: list[ExtentMap] = []
        """Oldest first, each at least twice as long as the one after it."""

    def add(self, records: ExtentMap) -> None:
        """The next records, in order."""
        if not len(records):
            return
        self._waiting.append(records)
        self._waiting_count += len(records)
        if self._waiting_count >= self._batch_records:
            self._flush()

    def _flush(self) -> None:
        if not self._waiting:
            return
        self._levels.append(resolve(_joined(self._waiting)))
        self._waiting, self._waiting_count = [], 0
        while len(self._levels) > 1 and len(self._levels[-2]) < 2 * len(self._levels[-1]):
            upper = self._levels.pop()
            self._levels.append(overlay(upper, self._levels.pop()))

    def build(self) -> ExtentMap:
        """The map of all that was added."""
        self._flush()
        result = ExtentMap.empty()
        for lower in reversed(self._levels):
            result = overlay(result, lower)
        self._levels = [result]
        return result
