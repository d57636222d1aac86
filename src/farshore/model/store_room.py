"""How much of a store may be taken: a rest of it is left for databases and for ending operations."""

from __future__ import annotations

import os
from pathlib import Path

RESERVE_BYTES_MAX = 2 << 30
RESERVE_SHARE = 0.03


def room_bytes(folder: Path, reserve_bytes: int | None = None) -> int:
    """Bytes that may still be taken on the store that `folder` is on; negative once its reserve is touched.

    `reserve_bytes` None: the lesser of 2 GiB and 3 % of the store. Raises OSError.
    """
    store = os.statvfs(folder)
    if reserve_bytes is None:
        reserve_bytes = min(RESERVE_BYTES_MAX, int(store.f_blocks * store.f_frsize * RESERVE_SHARE))
    return store.f_bavail * store.f_frsize - reserve_bytes
