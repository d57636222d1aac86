"""One checkpoint, and the catalogue of all that a journal holds: compact, since 30 days at 5 s are half a million."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A moment of the whole VPG. `id` is the ordinal as text; `time_ns` by the protected host's clock (Unix).

    `hole_before`: since the checkpoint before this one the order of writes is not known throughout.
    """

    id: str
    time_ns: int
    tag: str | None
    task: str | None
    marker_id: str
    ordinal: int
    volumes: tuple[int, ...]
    hole_before: bool

    def to_json(self) -> dict[str, Any]:
        """As it is told and kept."""
        return {**asdict(self), "volumes": list(self.volumes)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Checkpoint:
        """The opposite of to_json."""
        return cls(**{**data, "volumes": tuple(data["volumes"])})


class Catalogue:
    """Checkpoints by ordinal, ascending, at most one an ordinal. Kept as columns; tags and tasks are few."""

    def __init__(self) -> None:
        self._ordinals = array("Q")
        self._times = array("Q")
        self._holes = bytearray()
        self._markers: list[str] = []
        self._volumes: list[tuple[int, ...]] = []
        self._named: dict[int, tuple[str | None, str | None]] = {}
        self._sets: dict[tuple[int, ...], tuple[int, ...]] = {}

    def __len__(self) -> int:
        return len(self._ordinals)

    def add(self, checkpoint: Checkpoint) -> None:
        """Put one in its place. A second one at the same ordinal is the same moment: it only may add tag and task."""
        at = bisect_left(self._ordinals, checkpoint.ordinal)
        if at < len(self) and self._ordinals[at] == checkpoint.ordinal:
            if checkpoint.tag is None and checkpoint.task is None:
                return
            self._markers[at] = checkpoint.marker_id
        else:
            self._ordinals.insert(at, checkpoint.ordinal)
            self._times.insert(at, checkpoint.time_ns)
            self._holes.insert(at, checkpoint.hole_before)
            self._markers.insert(at, checkpoint.marker_id)
            self._volumes.insert(at, self._sets.setdefault(checkpoint.volumes, checkpoint.volumes))
        if checkpoint.tag is not None or checkpoint.task is not None:
            self._named[checkpoint.ordinal] = (checkpoint.tag, checkpoint.task)

    def _at(self, at: int) -> Checkpoint:
        ordinal = self._ordinals[at]
        tag, task = self._named.get(ordinal, (None, None))
        return Checkpoint(
            id=str(ordinal),
            time_ns=self._times[at],
            tag=tag,
            task=task,
            marker_id=self._markers[at],
            ordinal=ordinal,
            volumes=self._volumes[at],
            hole_before=bool(self._holes[at]),
        )

    def get(self, ordinal: int) -> Checkpoint | None:
        """The one at that ordinal."""
        at = bisect_left(self._ordinals, ordinal)
        return self._at(at) if at < len(self) and self._ordinals[at] == ordinal else None

    def newest(self) -> Checkpoint | None:
        """The last one."""
        return self._at(len(self) - 1) if self._ordinals else None

    def oldest(self) -> Checkpoint | None:
        """The first one."""
        return self._at(0) if self._ordinals else None

    def newest_up_to(self, ordinal: int) -> Checkpoint | None:
        """The last one whose ordinal is not above."""
        at = bisect_left(self._ordinals, ordinal + 1)
        return self._at(at - 1) if at else None

    def page(
        self, from_ns: int | None = None, to_ns: int | None = None, limit: int | None = None, newest_first: bool = False
    ) -> list[Checkpoint]:
        """Those with from_ns <= time <= to_ns, in order of ordinals or the other way round, at most `limit`."""
        times = np.array(self._times, dtype=np.uint64)
        wanted = np.ones(len(times), dtype=bool)
        if from_ns is not None:
            wanted &= times >= max(0, from_ns)
        if to_ns is not None:
            wanted &= times <= max(0, to_ns)
        found = np.flatnonzero(wanted)
        if newest_first:
            found = found[::-1]
        return [self._at(int(at)) for at in (found if limit is None else found[: max(0, limit)])]

    def by_marker(self, marker_id: str) -> Checkpoint | None:
        """The one of that marker."""
        for at in range(len(self) - 1, -1, -1):
            if self._markers[at] == marker_id:
                return self._at(at)
        return None

    def by_task(self, task: str) -> Checkpoint | None:
        """The newest one cut for that task."""
        found = [ordinal for ordinal, (_, its) in self._named.items() if its == task]
        return self.get(max(found)) if found else None

    def times_and_ordinals(self) -> tuple[array[int], array[int]]:
        """Both columns, not to be changed."""
        return self._times, self._ordinals

    def drop_before(self, ordinal: int) -> None:
        """Forget all below that ordinal."""
        at = bisect_left(self._ordinals, ordinal)
        for gone in self._ordinals[:at]:
            self._named.pop(gone, None)
        del self._ordinals[:at], self._times[:at], self._holes[:at], self._markers[:at], self._volumes[:at]

    def keep(self, wanted: Callable[[int, tuple[int, ...]], bool]) -> None:
        """Forget all but those whose ordinal and volumes are wanted."""
        kept = [at for at in range(len(self)) if wanted(self._ordinals[at], self._volumes[at])]
        for gone in set(self._ordinals) - {self._ordinals[at] for at in kept}:
            self._named.pop(gone, None)
        self._ordinals = array("Q", [self._ordinals[at] for at in kept])
        self._times = array("Q", [self._times[at] for at in kept])
        self._holes = bytearray(self._holes[at] for at in kept)
        self._markers = [self._markers[at] for at in kept]
        self._volumes = [self._volumes[at] for at in kept]

    def drop_from(self, ordinal: int) -> list[Checkpoint]:
        """Forget, and return, all from that ordinal on."""
        at = bisect_left(self._ordinals, ordinal)
        gone = [self._at(each) for each in range(at, len(self))]
        for checkpoint in gone:
            self._named.pop(checkpoint.ordinal, None)
        del self._ordinals[at:], self._times[at:], self._holes[at:], self._markers[at:], self._volumes[at:]
        return gone
