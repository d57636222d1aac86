"""Volumes that were taken out of the journal's history, or are being so (`replica/taken.json`).

A taking names a checkpoint and volumes. It is durable before a byte of their base images is touched. From then on those
volumes are offered and opened at that checkpoint only, promotion leaves them out for ever, and so do views of what the
stream says of them later. When they are `retired` they are offered nowhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from farshore.datapath.journal.checkpoint import Catalogue, Checkpoint
from farshore.datapath.journal.faults import DamagedJournal
from farshore.errors import Conflict
from farshore.model.files import write_durably


@dataclass(frozen=True, slots=True)
class Taking:
    """One operation's volumes. `waits_for`: operations whose pins were there before; None: not looked yet."""

    operation: str
    ordinal: int
    volumes: tuple[int, ...]
    folder: str
    done: bool = False
    waits_for: tuple[str, ...] | None = None
    paths: dict[str, str] = field(default_factory=dict)
    retired: tuple[int, ...] = ()

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The opposite of asdict, after JSON."""
        waits_for = data["waits_for"]
        return cls(
            operation=str(data["operation"]),
            ordinal=int(data["ordinal"]),
            volumes=tuple(data["volumes"]),
            folder=str(data["folder"]),
            done=bool(data["done"]),
            waits_for=None if waits_for is None else tuple(waits_for),
            paths=dict(data["paths"]),
            retired=tuple(data["retired"]),
        )


class Taken:
    """All takings of a journal. Not changed in place: `with_taking` makes another one."""

    def __init__(self, takings: Iterable[Taking] = ()) -> None:
        self.takings = tuple(takings)
        self._at = {number: taking for taking in self.takings for number in taking.volumes}

    @staticmethod
    def path(journal: Path) -> Path:
        """Its file."""
        return journal / "replica" / "taken.json"

    @classmethod
    def load(cls, journal: Path) -> Taken:
        """Read it; none is fine. Raises DamagedJournal when it cannot be understood."""
        path = cls.path(journal)
        try:
            return cls(Taking.from_json(each) for each in json.loads(path.read_bytes())["takings"])
        except FileNotFoundError:
            return cls()
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedJournal(f"{path} cannot be understood.", "Nothing may be opened without it.") from error

    def save(self, journal: Path) -> None:
        """Write it durably."""
        data = {"takings": [asdict(taking) for taking in self.takings]}
        write_durably(self.path(journal), json.dumps(data, indent=1).encode())

    def with_taking(self, taking: Taking) -> Taken:
        """With this one instead of the one of the same operation, or besides the others."""
        return Taken([*(each for each in self.takings if each.operation != taking.operation), taking])

    def of(self, operation: str) -> Taking | None:
        """The taking of that operation."""
        return next((taking for taking in self.takings if taking.operation == operation), None)

    def with_retired(self, numbers: Iterable[int]) -> Taken:
        """With these volumes offered nowhere any more. Raises Conflict for one that was not taken out to the end."""
        gone = set(numbers)
        for number in sorted(gone):
            if number not in self._at or not self._at[number].done:
                raise Conflict(f"Volume {number} was not taken out of the journal.", "Take it out first.")
        return Taken(
            replace(taking, retired=tuple(sorted({*taking.retired, *gone} & set(taking.volumes))))
            for taking in self.takings
        )

    @property
    def numbers(self) -> frozenset[int]:
        """All volumes that are in no promotion any more."""
        return frozenset(self._at)

    @property
    def is_under_way(self) -> bool:
        """Whether base images are being written: nothing of the journal may be promoted meanwhile."""
        return any(not taking.done for taking in self.takings)

    def shows(self, number: int, ordinal: int) -> bool:
        """Whether a volume may be seen at that ordinal."""
        taking = self._at.get(number)
        return taking is None or (ordinal == taking.ordinal and number not in taking.retired)

    def demand_shown(self, number: int, ordinal: int) -> None:
        """Raises Conflict when the volume may not be opened at that ordinal."""
        if not self.shows(number, ordinal):
            at = self._at[number].ordinal
            raise Conflict(
                f"Volume {number} was taken out of the journal at checkpoint {at}.",
                "Its VM was recovered for good: the volume is a disk of that VM now.",
            )

    def offered(self, checkpoint: Checkpoint) -> Checkpoint | None:
        """The checkpoint with the volumes that it still can give; None when none is left."""
        if not self._at:
            return checkpoint
        left = tuple(number for number in checkpoint.volumes if self.shows(number, checkpoint.ordinal))
        if left == checkpoint.volumes:
            return checkpoint
        return replace(checkpoint, volumes=left) if left else None

    def forget_in(self, catalogue: Catalogue) -> None:
        """Drop the checkpoints of which nothing is left."""
        if self._at:
            catalogue.keep(lambda ordinal, volumes: any(self.shows(number, ordinal) for number in volumes))

    def volumes_left(self, volumes: list[dict[str, Any]], ordinal: int) -> list[dict[str, Any]]:
        """Those of a list of volumes that can be had at that ordinal."""
        return [volume for volume in volumes if self.shows(int(volume["number"]), ordinal)]

    def definitions_left(
        self, definitions: dict[str, dict[str, Any]], volumes: list[dict[str, Any]], ordinal: int
    ) -> dict[str, dict[str, Any]]:
        """Without the VMs of which no volume is left."""
        had = {str(volume["vm_id"]) for volume in volumes}
        left = {str(volume["vm_id"]) for volume in self.volumes_left(volumes, ordinal)}
        return {vm_id: vm for vm_id, vm in definitions.items() if vm_id not in had - left}
