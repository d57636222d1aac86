"""One operation's promotion: its recovered VMs come off scratch and views onto plain files, while they run.

Per volume: the journal writes the checkpoint into the base image and lets it go (take out); the VM's scratch is
committed into it, live (promote), or by the image tool when the VM's process has ended; the view is closed, since the
VM now writes to what it would read from. When all disks of a VM are done it is settled: its driver knows it as a VM on
plain files. Each step may be done again, so that a watcher which was killed at any point goes on with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from farshore.appliance.keeping import VpgJournal
from farshore.appliance.promotion_record import PromotedDisk, PromotedVm, PromotionRecord
from farshore.appliance.view_keeper import ViewKeeper
from farshore.appliance.vm_doors import VmDoors
from farshore.errors import FarshoreError, Fault, NotFound, Unavailable
from farshore.hypervisor.driver import VmGone

log = logging.getLogger(__name__)

POLL_SECONDS = 0.2
FIRST_POLL_SECONDS = 0.01
"""Little is written into a base image faster than the longer time; each look takes twice the time of the one before."""
PATIENCE_SECONDS = 30.0
"""How long something that does not answer is asked again before the promotion is called failed."""


class Promotion:
    """Carries one record to its end."""

    def __init__(
        self,
        record: PromotionRecord,
        journal: Callable[[str], VpgJournal],
        views: ViewKeeper,
        doors: VmDoors,
        folder: Path,
    ) -> None:
        """`folder`: where the plain files get their names."""
        self.record = record
        self.folder = folder
        self._journal = journal
        self._views = views
        self._doors = doors
        self.waits_for = ""
        """What holds it up at the moment, in words."""
        self._taken_out = (0, 0)
        self._committing: tuple[int, int] = (0, 0)

    def progress(self) -> tuple[int, int]:
        """Bytes done and in all, as far as it is known by now."""
        finished = sum(disk.size_bytes for disk in self.record.disks() if disk.done)
        done, total = self._committing
        return self._taken_out[0] + finished + done, self._taken_out[1] + finished + total

    async def run(self) -> None:
        """To the end, or to what went wrong; either stands in the record then."""
        try:
            await self._take_out()
            for vm_id, vm in self.record.vms.items():
                for disk_id, disk in vm.disks.items():
                    if not disk.done:
                        await self._promote(vm_id, vm, disk_id, disk)
                if not vm.settled:
                    await self._doors.hypervisors.settle_vm(vm_id, vm.settled_definition())
                    vm.settled = True
                    self.record.save()
            self.record.state, self.record.reason = "done", ""
        except (FarshoreError, OSError) as error:
            log.warning("the promotion of operation %s failed: %s", self.record.operation, error)
            self.record.state, self.record.reason = "failed", str(error)
        with contextlib.suppress(OSError):  # a full store: it is told all the same, and a restart goes on with it
            self.record.save()

    async def _take_out(self) -> None:
        """Have the journal write the checkpoint into the base images and let them go."""
        waiting = [disk for disk in self.record.disks() if not disk.path]
        if not waiting:
            return
        order = {
            "operation": self.record.operation,
            "checkpoint_id": self.record.checkpoint_id,
            "volumes": sorted(disk.number for disk in self.record.disks()),
            "folder": str(self.folder),
        }
        await self._patiently(lambda: self._journal_call("take_out", **order))
        pause_seconds = FIRST_POLL_SECONDS
        while True:
            status = await self._patiently(lambda: self._take_out_status(order))
            self._taken_out = (int(status["done_bytes"]), int(status["total_bytes"]))
            self.waits_for = str(status["reason"])
            if status["state"] == "failed":
                raise Fault(f"The checkpoint could not be written into the replica: {status['reason']}", "")
            if status["state"] == "done":
                break
            await asyncio.sleep(min(pause_seconds, POLL_SECONDS))
            pause_seconds *= 2
        for disk in waiting:
            disk.path = str(status["paths"][str(disk.number)])
        self.record.save()

    async def _take_out_status(self, order: dict[str, Any]) -> dict[str, Any]:
        """How far it is; ordered again when the journal's carrier died before it had written the order down."""
        operation = {"operation": self.record.operation}
        try:
            status: dict[str, Any] = await self._journal_call("take_out_status", **operation)
        except NotFound:
            await self._journal_call("take_out", **order)
            status = await self._journal_call("take_out_status", **operation)
        return status

    async def _journal_call(self, call: str, **args: Any) -> Any:
        return await self._journal(self.record.vpg_id).call(call, **args)

    async def _promote(self, vm_id: str, vm: PromotedVm, disk_id: str, disk: PromotedDisk) -> None:
        self._committing = (0, 0)
        await self._patiently(lambda: self._promote_once(vm_id, vm, disk_id, disk))
        await self._views.close_volume(self.record.operation, disk.number)
        disk.size_bytes = self._committing[1]
        self._committing = (0, 0)
        disk.done = True
        self.record.save()

    async def _promote_once(self, vm_id: str, vm: PromotedVm, disk_id: str, disk: PromotedDisk) -> None:
        try:
            async with self._doors.open(vm_id) as handle:
                self._note_instance(vm, handle.instance)
                await handle.promote(disk_id, Path(disk.path), self._note_progress)
                return
        except (VmGone, NotFound):
            if not self._doors.is_off(vm_id):
                raise
        self._note_instance(vm, "")
        await self._doors.hypervisors.promote_off(vm.settled_definition(), disk_id, Path(disk.scratch), Path(disk.path))

    def _note_instance(self, vm: PromotedVm, instance: str) -> None:
        """The bitmaps count only if one process saw the promotions of all disks of its VM."""
        if vm.broken or (vm.instance == instance and instance):
            return
        vm.broken = bool(vm.instance) or not instance
        vm.instance = "" if vm.broken else instance
        self.record.save()

    def _note_progress(self, done_bytes: int, total_bytes: int) -> None:
        self._committing = (done_bytes, total_bytes)

    async def _patiently(self, ask: Callable[[], Any]) -> Any:
        """Ask again while there is no answer: whoever should give it is started again by itself."""
        deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        while True:
            try:
                return await ask()
            except Unavailable:
                if asyncio.get_running_loop().time() > deadline:
                    raise
            await asyncio.sleep(POLL_SECONDS)
