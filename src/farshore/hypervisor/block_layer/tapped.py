"""The state of one VM's tapped disks that attach, bitmaps, vouch and sync export share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from farshore.errors import NotFound
from farshore.hypervisor.block_layer.graph import BlockGraph
from farshore.hypervisor.block_layer.monitor import Monitor
from farshore.hypervisor.block_layer.qualification import Manner, Qualification


class Seats(Protocol):
    """Where a driver's devices sit: which node each one sees, and how it is handed another."""

    async def root(self, graph: BlockGraph, disk_id: str) -> str | None:
        """The node that the guest's device sees, None when the device is gone."""
        ...

    async def hand_over(self, disk_id: str, node: str) -> None:
        """Let the device see `node` from now on. Raises CommandFailed."""
        ...

    async def running(self) -> bool:
        """Whether the guest runs (a paused one is not to be resumed by us)."""
        ...

    def iothread(self, disk_id: str) -> bool:
        """Whether the disk has an iothread. Raises NotFound."""
        ...


@dataclass
class TappedDisk:
    """A disk that has a tap. `carrier` is the node on which the bitmaps are and under which nothing by-passes us."""

    disk_id: str
    manner: Manner
    carrier: str
    job: str
    size_bytes: int
    lost: str | None = None
    leaving: bool = False
    """Set while we detach it ourselves: its job's end is no loss."""


@dataclass
class TapState:
    """All tapped disks of one process of a VM, with what is needed to work on them."""

    monitor: Monitor
    seats: Seats
    qualification: Qualification
    disks: dict[str, TappedDisk] = field(default_factory=dict)
    pause_note: Path | None = None
    """A file that is there while we hold the guest paused: whoever finds it lets the guest run again."""
    generation: int = 0
    """The number of the generation that is counting; 0 before the first."""

    def note_pause(self) -> None:
        """We pause the guest now."""
        if self.pause_note is not None:
            self.pause_note.touch()

    def was_paused(self) -> bool:
        """Whether a process of ours died between pausing the guest and letting it run."""
        return self.pause_note is not None and self.pause_note.exists()

    def forget_pause(self) -> None:
        """The guest runs again."""
        if self.pause_note is not None:
            self.pause_note.unlink(missing_ok=True)

    def disk(self, disk_id: str) -> TappedDisk:
        """The tapped disk of that identifier. Raises NotFound."""
        try:
            return self.disks[disk_id]
        except KeyError:
            raise NotFound(f"The disk {disk_id} is not tapped.", "Attach it first.") from None

    def carriers(self) -> list[str]:
        """The nodes with the bitmaps, one a disk."""
        return [disk.carrier for disk in self.disks.values()]
