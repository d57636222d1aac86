"""Which way of attaching is safe, by QEMU's version and by whether the disk has an iothread.

The rows are what was soaked, hundreds of times under load (docs/architecture.md). A version that has none is attached
the careful way, which lived on every version: the mirror on the disk's own node, set while the guest is paused.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal


class Manner(Enum):
    """How the tap's mirror is put on a disk."""

    SHIM = "shim"
    """On a pass-through node of ours over the disk: the owner's backups and snapshots go on working."""
    DIRECT = "direct"
    """On the disk's own node, while the guest runs: QEMU refuses the owner's backups and snapshots."""
    DIRECT_PAUSED = "direct_paused"
    """The same, with the guest paused for a few milliseconds."""

    @property
    def word(self) -> Literal["shim", "direct", "direct_paused"]:
        """The word of `driver.Attached.manner`."""
        if self is Manner.SHIM:
            return "shim"
        return "direct" if self is Manner.DIRECT else "direct_paused"


@dataclass(frozen=True, order=True)
class QemuVersion:
    """As `query-version` tells it."""

    major: int
    minor: int
    micro: int = 0

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.micro}"


_SOAKED: dict[tuple[int, int], tuple[Manner, Manner]] = {
    # (major, minor): (no iothread, iothread)
    (7, 2): (Manner.SHIM, Manner.DIRECT_PAUSED),
    (10, 0): (Manner.SHIM, Manner.DIRECT),
    (11, 1): (Manner.SHIM, Manner.SHIM),
}


@dataclass(frozen=True)
class Qualification:
    """What this QEMU stands. `guest` is False for a storage daemon: no device to hand a shim to, nothing to pause."""

    version: QemuVersion
    guest: bool = True

    def manner(self, iothread: bool) -> Manner:
        """How to attach a disk."""
        if not self.guest:
            return Manner.DIRECT
        row = _SOAKED.get((self.version.major, self.version.minor))
        if row is None:
            return Manner.DIRECT_PAUSED
        return row[1 if iothread else 0]

    @property
    def may_attach_beside_jobs(self) -> bool:
        """Whether attaching and detaching beside the owner's running job is safe (QEMU 7.2 died about once in 1000)."""
        return self.version.major >= 9

    def may_export(self, iothread: bool) -> bool:
        """Whether a reader may leave an NBD export of such a disk (before QEMU 9 an iothread disk's guest aborts)."""
        return not iothread or self.version.major >= 9
