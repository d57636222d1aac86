"""Where a journal begins: what the replica has (`replica/base.json`), kept with the ledger's state at that point.

    {"ordinal": n, "promoting": t or null, "checkpoint": {..} or null, "volumes": {"0": n, ..}, "state": {..}}

`promoting` is written before the replica is touched: from then on no checkpoint below it can be opened, since the
replica may hold newer bytes; every one from it on can, since a view takes all that lies above `ordinal` from the
journal.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from farshore.datapath.journal.checkpoint import Checkpoint
from farshore.datapath.journal.faults import DamagedJournal
from farshore.datapath.journal.taken import Taken
from farshore.model.files import write_durably


@dataclass(frozen=True, slots=True)
class Floor:
    """`ordinal`: the replica has all records up to it. `checkpoint`: that of this ordinal, if it is one."""

    ordinal: int = 0
    promoting: int | None = None
    checkpoint: Checkpoint | None = None
    state: dict[str, Any] = field(default_factory=dict)

    @property
    def openable_from(self) -> int:
        """The lowest ordinal whose state can still be had."""
        return max(self.ordinal, self.promoting or 0)

    @staticmethod
    def path(journal: Path) -> Path:
        """Its file."""
        return journal / "replica" / "base.json"

    @classmethod
    def load(cls, journal: Path) -> Floor:
        """Read it; a journal without one begins at 0. Raises DamagedJournal when it cannot be understood."""
        path = cls.path(journal)
        try:
            data = json.loads(path.read_bytes())
            kept = data["checkpoint"]
            return cls(
                ordinal=int(data["ordinal"]),
                promoting=data["promoting"],
                checkpoint=None if kept is None else Checkpoint.from_json(kept),
                state=data["state"],
            )
        except FileNotFoundError:
            return cls()
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedJournal(f"{path} cannot be understood.", "The replica cannot be used without it.") from error

    def save(self, journal: Path) -> None:
        """Write it durably."""
        path = self.path(journal)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        taken = Taken.load(journal).numbers
        numbers = [volume["number"] for volume in self.state.get("volumes", []) if volume["number"] not in taken]
        data = {
            "ordinal": self.ordinal,
            "promoting": self.promoting,
            "checkpoint": None if self.checkpoint is None else self.checkpoint.to_json(),
            "volumes": {str(number): self.ordinal for number in numbers},
            "state": self.state,
        }
        write_durably(path, json.dumps(data, indent=1).encode())
