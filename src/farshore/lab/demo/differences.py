"""How two sets of disks really differ, in blocks of 4 KiB: the demo's own count, to hold the sync's figures against."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xxhash

from farshore.lab.demo.recovery_checks import BLOCK_BYTES

Digests = dict[tuple[str, str], npt.NDArray[np.uint64]]
"""By VM name and disk: a hash of each block."""

_CHUNK_BYTES = 4 << 20


def digest_disks(paths: Mapping[tuple[str, str], Path]) -> Digests:
    """Read all of these disks."""
    return {disk: _digest(path) for disk, path in paths.items()}


def count_differing(one: Digests, other: Digests) -> int:
    """How many blocks differ, over all disks."""
    return sum(int(np.count_nonzero(one[disk] != other[disk])) for disk in one)


def _digest(path: Path) -> npt.NDArray[np.uint64]:
    found = []
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            view = memoryview(chunk)
            found += [xxhash.xxh3_64_intdigest(view[at : at + BLOCK_BYTES]) for at in range(0, len(chunk), BLOCK_BYTES)]
    return np.array(found, dtype=np.uint64)
