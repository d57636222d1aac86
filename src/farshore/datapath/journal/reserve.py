"""The rest of the store that journal, replica and scratch never take: it is for databases and for ending operations."""

from __future__ import annotations

from pathlib import Path

from farshore.datapath.journal.faults import NoSpace
from farshore.model.store_room import room_bytes


class StoreReserve:
    """Watches the store that `folder` is on. `reserve_bytes` None: the lesser of 2 GiB and 3 % of the store."""

    def __init__(self, folder: Path, reserve_bytes: int | None = None) -> None:
        self._folder = folder
        self.reserve_bytes = reserve_bytes

    def missing_bytes(self, wanted_bytes: int = 0) -> int:
        """How many bytes are missing for `wanted_bytes` more; 0 when there is room."""
        return max(0, wanted_bytes - room_bytes(self._folder, self.reserve_bytes))

    def demand(self, wanted_bytes: int) -> None:
        """Raises NoSpace when the bytes would touch the reserve."""
        missing = self.missing_bytes(wanted_bytes)
        if missing:
            raise NoSpace(
                f"The journal's store lacks {missing} bytes (its reserve included).",
                "Free space there; replication resumes by itself.",
            )
