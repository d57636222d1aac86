"""The `VmHandle` of every VM that is a process with QEMU's block layer: it orders the calls and watches the events."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from farshore.errors import FarshoreError, Unsupported
from farshore.hypervisor.block_layer import names
from farshore.hypervisor.block_layer.attach import Attacher
from farshore.hypervisor.block_layer.bitmaps import Bitmaps
from farshore.hypervisor.block_layer.halting import FORCED, Halter, HaltNote, power_of
from farshore.hypervisor.block_layer.monitor import Event, Monitor
from farshore.hypervisor.block_layer.promotion import Promoter
from farshore.hypervisor.block_layer.qualification import QemuVersion, Qualification
from farshore.hypervisor.block_layer.sync_export import NbdServer, SyncExports
from farshore.hypervisor.block_layer.tapped import Seats, TappedDisk, TapState
from farshore.hypervisor.block_layer.vouch import vouch
from farshore.hypervisor.driver import Attached, OnLost, OnProgress, Power, SyncExport, TapDisk
from farshore.model.vm import VmDefinition

log = logging.getLogger(__name__)

YANK_SECONDS = 0.5


class BlockLayerVm:
    """See `driver.VmHandle`. Calls that change something go one after another; vouch, yank and power do not wait."""

    def __init__(self, definition: VmDefinition, instance: str, commands: Path, out_of_band: Path | None) -> None:
        self.vm_id = definition.id
        self.instance = instance
        self.on_lost: OnLost | None = None
        self.monitor = Monitor(commands, self._on_event, self._on_closed)
        self._out_of_band = Monitor(out_of_band) if out_of_band is not None else None
        self._disk_ids = tuple(disk.id for disk in definition.disks)
        self._lock = asyncio.Lock()
        self._connected = False
        self._halting = False
        """Set while it is we who take a storage daemon's exports away."""

    async def connect(
        self, seats: Seats, server: NbdServer, halter: Halter, *,
        guest: bool, halt_note: HaltNote, pause_note: Path | None = None,
    ) -> None:  # fmt: skip
        """Connect the monitors. Raises MonitorLost, MonitorTimeout; then nothing is left open."""
        try:
            await self.monitor.connect()
            if self._out_of_band is not None:
                await self._out_of_band.connect()
            told = (await self.monitor.run("query-version"))["qemu"]
            version = QemuVersion(told["major"], told["minor"], told["micro"])
            self._state = TapState(self.monitor, seats, Qualification(version, guest), pause_note=pause_note)
            self._attacher = Attacher(self._state, self._disk_ids)
            self._bitmaps = Bitmaps(self._state)
            self._exports = SyncExports(self._state, server)
            self._promoter = Promoter(self.monitor, seats)
            self._halter, self._halt_note = halter, halt_note
            self._connected = True
            if self._state.was_paused():
                await self.resume()
                self._state.forget_pause()
        except BaseException:
            await self.close()
            raise

    @property
    def qualification(self) -> Qualification:
        """The QEMU version, and what it stands."""
        return self._state.qualification

    async def attach(self, disks: Sequence[TapDisk]) -> dict[str, Attached]:
        """See VmHandle."""
        async with self._lock:
            await self._exports.close()
            return await self._attacher.attach(disks)

    async def detach(self, keep_bitmaps: bool = True) -> None:
        """See VmHandle."""
        async with self._lock:
            await self._exports.close()
            await self._attacher.detach(keep_bitmaps)

    async def vouch(self) -> None:
        """See VmHandle."""
        await vouch(self._state)

    async def begin_generation(self) -> int:
        """See VmHandle."""
        async with self._lock:
            return await self._bitmaps.begin_generation()

    async def merge_generations(self, upto: int) -> None:
        """See VmHandle."""
        async with self._lock:
            await self._bitmaps.merge_generations(upto)

    async def drop_generations(self, upto: int) -> None:
        """See VmHandle."""
        async with self._lock:
            await self._bitmaps.drop_generations(upto)

    async def drop_unshipped(self) -> None:
        """See VmHandle."""
        async with self._lock:
            await self._bitmaps.drop(names.UNSHIPPED)

    async def freeze_for_sync(self) -> int:
        """See VmHandle."""
        async with self._lock:
            await self._exports.close()
            return await self._bitmaps.freeze_for_sync()

    async def drop_sync_set(self) -> None:
        """See VmHandle."""
        async with self._lock:
            await self._exports.close()
            await self._bitmaps.drop(names.SYNC)

    async def bitmaps(self) -> dict[str, dict[str, int]]:
        """See VmHandle."""
        return await self._bitmaps.dirty_bytes()

    async def open_sync_export(self, disk_id: str, with_bitmap: bool) -> SyncExport:
        """See VmHandle."""
        async with self._lock:
            return await self._exports.open(disk_id, with_bitmap)

    async def close_sync_exports(self) -> None:
        """See VmHandle."""
        async with self._lock:
            await self._exports.close()

    async def yank(self, disk_id: str) -> None:
        """See VmHandle."""
        if self._out_of_band is None:
            raise Unsupported("A storage daemon cannot cut a connection by itself.", "Kill the tap.")
        instance = {"type": "block-node", "node-name": names.tap_node(disk_id)}
        await self._out_of_band.run("yank", {"instances": [instance]}, bound_seconds=YANK_SECONDS, out_of_band=True)

    async def power(self) -> Power:
        """See VmHandle."""
        if not self.monitor.connected:
            return "off"
        if not self._state.qualification.guest:
            return "halted" if FORCED in self._halt_note.words() else "running"
        try:
            status = await self.monitor.run("query-status")
        except FarshoreError:
            return "unknown"
        return power_of(status, self._halt_note)

    async def resume(self) -> None:
        """See VmHandle."""
        if self._state.qualification.guest:
            await self.monitor.run("cont")

    async def halt(self, force: bool) -> bool:
        """See VmHandle."""
        async with self._lock:
            self._halting = True
            try:
                halted = await self._halter.halt(force)
            except BaseException:
                self._halting = False
                raise
            self._halting = halted
            return halted

    async def halted(self) -> bool:
        """See VmHandle."""
        return await self._halter.halted()

    async def revive(self) -> None:
        """See VmHandle."""
        async with self._lock:
            await self._halter.revive()
            self._halting = False

    async def promote(self, disk_id: str, base: Path, progress: OnProgress) -> None:
        """See VmHandle."""
        async with self._lock:
            await self._promoter.promote(disk_id, base, progress)

    async def close(self) -> None:
        """See VmHandle."""
        await self.monitor.close()
        if self._out_of_band is not None:
            await self._out_of_band.close()

    # -- events, handled before any later reply is

    def _on_event(self, event: Event) -> None:
        name, data = event["event"], event.get("data", {})
        if self._halting and name == "BLOCK_EXPORT_DELETED":
            return  # the disk's user is gone, its tap stays
        for disk in self._tapped():
            reason = reason_of_loss(name, data, disk)
            if reason is not None:
                self._lose(disk, reason)

    def _on_closed(self, reason: str) -> None:
        for disk in self._tapped():
            self._lose(disk, f"the VM's process does not answer any more ({reason})")

    def _tapped(self) -> list[TappedDisk]:
        return list(self._state.disks.values()) if self._connected else []

    def _lose(self, disk: TappedDisk, reason: str) -> None:
        if disk.lost is not None or disk.leaving:
            return
        disk.lost = reason
        log.warning("the tap of %s %s is lost: %s", self.vm_id, disk.disk_id, reason)
        if self.on_lost is not None:
            try:
                self.on_lost(disk.disk_id, reason)
            except Exception:
                # The monitor's reader calls this: it must go on, or every other disk's loss would stay unseen.
                log.exception("what is to be told of a lost tap failed")


def reason_of_loss(name: str, data: Event, disk: TappedDisk) -> str | None:
    """Why this event means that writes to the disk may pass its tap by; None if it does not."""
    about_job = data.get("device") == disk.job
    if about_job and name == "BLOCK_JOB_ERROR":
        return "a write to the tap failed"
    if about_job and name == "BLOCK_JOB_COMPLETED":
        return f"its mirror job ended ({data.get('error', 'somebody ended it')})"
    if about_job and name == "BLOCK_JOB_CANCELLED":
        return "somebody cancelled its mirror job"
    device = names.device(disk.disk_id)
    if name == "DEVICE_DELETED" and (data.get("device") == device or device in str(data.get("path", "")).split("/")):
        return "its device was removed"
    if name == "BLOCK_EXPORT_DELETED" and data.get("id") == device:
        return "its export was removed"
    return None
