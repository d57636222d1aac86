"""The interface that every hypervisor driver keeps, and its promises.

A `Hypervisor` finds, starts and stops VMs; a `VmHandle` is one live process of a VM, with its own connection. A handle
that has lost its process is of no more use: open the VM again. All calls are asyncio coroutines, and each is bounded.

Promises that the contract suite (tests/service/hypervisor_contract.py) holds every driver to:

* Nothing here stops a guest's I/O for more than 2 s or fails it. The caller pings the tap before it calls what drains
  (attach, detach, begin_generation, merge_generations, drop_*, freeze_for_sync, close_sync_exports): a tap that hangs
  while QEMU drains freezes the guest, and only killing the tap, or `yank`, helps.
* `attach` either taps every disk that was named, or raises AttachRefused and leaves the guest as it was.
* `vouch` returns only if no write that completed before the call can have passed a tap by.
* At any moment the bitmaps of a VM that is attached, or was detached with its bitmaps, hold every write that was not
  dropped by `drop_generations`, `drop_unshipped` or `drop_sync_set`.
* Nothing of ours outlives `detach(keep_bitmaps=False)`, and after `detach()` only the bitmaps do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from farshore.errors import FarshoreError, Fault, Unavailable
from farshore.model.vm import VmDefinition

Power = Literal["running", "paused", "halted", "off", "unknown"]
"""`halted`: as after `VmHandle.halt`, the process is there, its guest does not work; `unknown`: it does not answer."""

OnProgress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all) in the event loop. Must not block or raise."""

OnLost = Callable[[str, str], None]
"""Called with (disk_id, reason) in the event loop, at once, at most once a disk and attach. Must not block or raise."""


class TapLost(Unavailable):
    """A disk has left the stream: writes to it may have passed the tap by. `disk_ids` says which.

    `unanswered`: QEMU only did not say in time that all is well; the marker is void all the same, the taps may be fine.
    """

    def __init__(self, disk_ids: Sequence[str], reason: str, *, unanswered: bool = False) -> None:
        names = ", ".join(disk_ids)
        super().__init__(f"The tap of {names} is lost: {reason}.", "It is attached and synced again by itself.")
        self.disk_ids = tuple(disk_ids)
        self.reason = reason
        self.unanswered = unanswered


class AttachRefused(Unavailable):
    """The disks could not be tapped; the guest is as it was, and its bitmaps still count."""


class VmGone(Unavailable):
    """The VM's process has ended, or its monitor is gone: open the VM again."""


class StartFailed(Fault):
    """A VM's process did not come up; nothing of it is left but its log."""


@dataclass(frozen=True)
class DiskSummary:
    """A disk as a person sees it. `nbd_socket`: where a storage daemon's disk is read and written, else None."""

    disk_id: str
    path: str
    size_bytes: int
    nbd_socket: Path | None = None
    nbd_export: str | None = None


@dataclass(frozen=True)
class VmSummary:
    """A VM as a driver knows it. `problem` is in words; then the rest holds only as far as it could be read.

    `definition` is None only where the file could not be read. `label` is what `start_vms` was given ("" for none).
    """

    id: str
    name: str
    power: Power
    hypervisor: str
    disks: tuple[DiskSummary, ...] = ()
    problem: str | None = None
    definition: VmDefinition | None = None
    pid: int | None = None
    serial_log: Path | None = None
    label: str = ""
    recovered: bool = False
    """True for a VM that was started and is no definition of the inventory: a recovered one."""


@dataclass(frozen=True)
class TapDisk:
    """Where the writes of one disk go: an NBD export of exactly the disk's size, minimum block size 1."""

    disk_id: str
    socket: Path
    export: str


@dataclass(frozen=True)
class Attached:
    """How a disk was attached.

    `bitmaps_unbroken`: bitmaps of an earlier attach of this process were found on the disk's top node and count as
    `unshipped`, so that they hold every write since then. (Whether the disk had been synced *before* them, only the
    caller knows.) False: nothing vouches for the disk; it needs a full comparison.
    """

    disk_id: str
    manner: Literal["shim", "direct", "direct_paused"]
    bitmaps_unbroken: bool


@dataclass(frozen=True)
class SyncExport:
    """A read-only NBD export of a disk's present content, below the tap.

    `bitmap_context` is the NBD meta context of the frozen set (bit 0 set: dirty), None without a bitmap.
    """

    socket: Path
    export: str
    bitmap_context: str | None
    size_bytes: int


@dataclass(frozen=True)
class Overlay:
    """A recovered disk: a new qcow2 file at `scratch_path` over the read-only NBD export `view_export`."""

    view_socket: Path
    view_export: str
    scratch_path: Path


@dataclass(frozen=True)
class StartRequest:
    """A VM to start. A recovered one has an identifier of its own and an overlay for each disk.

    `serial_log`: where the guest's serial line goes, appended; None: the definition's, or with overlays (where the
    definition's is a path of another host) `<site>/log/vm-<id>.serial`.
    """

    definition: VmDefinition
    overlays: Mapping[str, Overlay] = field(default_factory=dict)
    serial_log: Path | None = None


class VmHandle(Protocol):
    """One live process of a VM."""

    vm_id: str
    instance: str
    """`pid:starttime` of the process: bitmaps live and die with it."""
    on_lost: OnLost | None
    """Called when a tapped disk leaves the stream: job error, end or cancellation, device removal, process end."""

    async def attach(self, disks: Sequence[TapDisk]) -> dict[str, Attached]:
        """Tap the disks: a new generation first, then the mirror. Cleans up what a killed watcher left.

        Raises AttachRefused (the guest is as it was), VmGone.
        """
        ...

    async def detach(self, keep_bitmaps: bool = True) -> None:
        """Take the taps off, in order, never by force; safe to repeat, and after a tap was lost.

        With `keep_bitmaps` the bitmaps go on counting on every layer of the disk's chain. Raises Unavailable when a
        job does not end in time: kill the tap and call again.
        """
        ...

    async def vouch(self) -> None:
        """Return if every disk is in the stream and was up to now. Raises TapLost."""
        ...

    async def begin_generation(self) -> int:
        """Begin a new dirty bitmap on all tapped disks and disable the present one; the new one's number. Drains."""
        ...

    async def merge_generations(self, upto: int) -> None:
        """Merge generations <= `upto` into `unshipped`. Raises BadInput if that includes the one that is counting."""
        ...

    async def drop_generations(self, upto: int) -> None:
        """Forget generations <= `upto`: all that is in them is acknowledged. Raises BadInput as merge_generations."""
        ...

    async def drop_unshipped(self) -> None:
        """Forget `unshipped`: all that is in it is acknowledged."""
        ...

    async def freeze_for_sync(self) -> int:
        """Begin a generation (its number is returned) and freeze all that is older into the sync set.

        That is all other generations, `unshipped`, and the set of an unfinished sync. Closes sync exports.
        """
        ...

    async def drop_sync_set(self) -> None:
        """Forget the frozen sync set: the first checkpoint after the sync is acknowledged. Closes sync exports."""
        ...

    async def bitmaps(self) -> dict[str, dict[str, int]]:
        """Per disk, our bitmaps by name ("g7", "unshipped", "sync") with their dirty bytes."""
        ...

    async def open_sync_export(self, disk_id: str, with_bitmap: bool) -> SyncExport:
        """Export the disk, read-only, below the tap; with the frozen sync set if asked.

        Raises Unsupported where a reader that leaves would kill the guest, Unavailable, NotFound.
        """
        ...

    async def close_sync_exports(self) -> None:
        """Close all sync exports of this VM; none is fine."""
        ...

    async def yank(self, disk_id: str) -> None:
        """Cut the tap's connection from QEMU's side, out of band, while all else hangs. Raises Unsupported."""
        ...

    async def power(self) -> Power:
        """Whether the guest runs."""
        ...

    async def resume(self) -> None:
        """Let a VM that was started paused run."""
        ...

    async def halt(self, force: bool) -> bool:
        """Ask the guest to shut down, or `force` it to stop at once; True when it is halted now. Safe to repeat.

        The process stays, with taps, mirrors, bitmaps and image locks: a marker that is cut and vouched for after this
        returned True comes after the guest's very last write. Asked for often, the guest is asked every 5 s.
        """
        ...

    async def halted(self) -> bool:
        """Whether the guest is halted. Raises VmGone, Unavailable."""
        ...

    async def revive(self) -> None:
        """Let a halted guest work again: one that shut down, or was asked to, boots; one that was stopped goes on.

        Safe to repeat; one that runs is left alone.
        """
        ...

    async def promote(self, disk_id: str, base: Path, progress: OnProgress) -> None:
        """Bring a recovered disk off its overlay and view onto the plain raw file `base`, while the guest works.

        `base` must hold what the view shows. From before the first write into it a bitmap counts on it, which the next
        attach finds (`bitmaps_unbroken`). Safe to repeat after a kill at any point; done already is fine. The disk must
        not be tapped. Raises Unavailable (repeat it), BadInput (`base` does not fit), NotFound, VmGone.
        """
        ...

    async def close(self) -> None:
        """Give the connection up; the VM and its taps go on. `on_lost` is not called."""
        ...


class Hypervisor(Protocol):
    """A kind of hypervisor on this host, with the VMs of one site."""

    name: str
    lacks: Mapping[str, str]
    """What this driver lacks, in words, by a short name: shim, network, console, yank, pause, backup, iothread."""

    async def list_vms(self) -> list[VmSummary]:
        """All VMs of this driver: the inventory's definitions, and recovered ones that were started."""
        ...

    async def open_vm(self, vm_id: str) -> VmHandle:
        """Connect to a VM's live process. Raises NotFound, VmGone (it is off), Unavailable (it does not answer)."""
        ...

    async def start_vms(
        self,
        requests: Sequence[StartRequest],
        *,
        network_scope: Path | None = None,
        label: str = "",
        paused: bool = False,
    ) -> list[VmSummary]:
        """Start VMs, detached from this process; one that runs already is left alone. All or none.

        VMs of one `network_scope` (a folder for sockets, made here; None: the site's own) whose interfaces name the
        same network reach each other, and nothing else. Raises StartFailed, Unsupported, BadInput, and Conflict for
        a VM that the inventory holds.
        """
        ...

    async def start_vm(
        self,
        definition: VmDefinition,
        *,
        overlays: Mapping[str, Overlay] | None = None,
        network_scope: Path | None = None,
        label: str = "",
        paused: bool = False,
    ) -> VmSummary:
        """Start one VM, as `start_vms`."""
        ...

    async def stop_vm(self, vm_id: str, force: bool) -> None:
        """Stop a VM; one that is off is fine. What was made to run it (sockets, its record) is removed.

        `force`: at once, as if the power went. Else the guest is asked, and Unavailable is raised after
        `STOP_SECONDS` if it still runs. A recovered VM is no longer listed then; its scratch files are the caller's.
        """
        ...

    async def settle_vm(self, vm_id: str, definition: VmDefinition) -> None:
        """All disks of a recovered VM are promoted: from now on it is known as `definition`, without overlays or label.

        Its process, if there is one, goes on. Safe to repeat; one that was stopped is fine.
        """
        ...

    async def promote_off(self, definition: VmDefinition, disk_id: str, scratch: Path, base: Path) -> None:
        """Promote a disk of a recovered VM whose process has ended: write `scratch` into the plain raw file `base`.

        Safe to repeat, also after a live promotion that was cut short. Raises Conflict when the VM runs.
        """
        ...


STOP_SECONDS = 60.0

__all__ = [
    "STOP_SECONDS",
    "AttachRefused",
    "Attached",
    "DiskSummary",
    "FarshoreError",
    "Hypervisor",
    "OnLost",
    "OnProgress",
    "Overlay",
    "Power",
    "StartFailed",
    "StartRequest",
    "SyncExport",
    "TapDisk",
    "TapLost",
    "VmGone",
    "VmHandle",
    "VmSummary",
]
