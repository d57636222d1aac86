"""The rest of the store that journal, replica and scratch never take: it is for databases and for ending operations."""

from __future__ import annotations

import os
from pathlib import Path

from farshore.datapath.journal.faults import NoSpace

RESERVE_BYTES_MAX = 2 << 30
RESERVE_SHARE = 0.03


class StoreReserve:
    """Watches the store that `folder` is on. `reserve_bytes` None: the lesser of 2 GiB and 3 % of the store."""

    def __init__(self, folder: Path, reserve_bytes: int | None = None) -> None:
        self._folder = folder
        self.reserve_bytes = reserve_bytes

    def missing_bytes(self, wanted_bytes: int = 0) -> int:
        """How many bytes are missing for `wanted_bytes` more; 0 when there is room."""
        store = os.statvfs(self._folder)
        reserve = self.reserve_bytes
        if reserve is None:
            reserve = min(RESERVE_BYTES_MAX, int(store.f_blocks * store.f_frsize * RESERVE_SHARE))
        return max(0, wanted_bytes + reserve - store.f_bavail * store.f_frsize)

    def demand(self, wanted_bytes: int) -> None:
        """Raises NoSpace when the bytes would touch the reserve."""
        missing = self.missing_bytes(wanted_bytes)
        if missing:
            raise NoSpace(
                f"The journal's store lacks {missing} bytes (its reserve included).",
                "Free space there; replication resumes by itself.",
            )
