"""The calls that make recovered VMs VMs of this site: promote, adopt. A promotion goes on by itself after a restart."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from farshore.appliance.datastores import own_disks
from farshore.appliance.keeping import VpgJournal
from farshore.appliance.promotion import Promotion
from farshore.appliance.promotion_record import PromotedDisk, PromotedVm, PromotionRecord
from farshore.appliance.recovered_vms import RecoveredVms
from farshore.appliance.view_keeper import ViewKeeper
from farshore.appliance.vm_doors import VmDoors
from farshore.errors import BadInput, Conflict, NotFound
from farshore.model.files import remove_durably
from farshore.model.vm import VmDefinition

KEPT_SECONDS = 30 * 86400.0
"""How long the answer to a repeated `adopt_recovered` is kept."""


class Promotions:
    """All promotions of a site, by operation."""

    def __init__(
        self, journal: Callable[[str], VpgJournal], views: ViewKeeper, recovered: RecoveredVms, doors: VmDoors
    ) -> None:
        """Nothing goes on before `resume`."""
        self.site_folder = recovered.around.site_folder
        self.folder = self.site_folder / "appliance" / "promotions"
        self._journal = journal
        self._views = views
        self._recovered = recovered
        self._doors = doors
        self._promotions: dict[str, Promotion] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._changing = asyncio.Lock()
        self.before_first: Callable[[str], Awaitable[None]] | None = None
        """Is done for the VPG before the first of its volumes leaves the journal, which waits for all older pins."""

    def calls(self) -> dict[str, Callable[..., Any]]:
        """By name."""
        return {
            "promote_recovered": self.promote_recovered,
            "promotion_status": self.promotion_status,
            "adopt_recovered": self.adopt_recovered,
        }

    def resume(self) -> None:
        """Go on with what was under way."""
        for path in sorted(self.folder.glob("*.json")):
            record = PromotionRecord.load(path)
            if record.state == "adopted" and path.stat().st_mtime < time.time() - KEPT_SECONDS:
                remove_durably(path)
            elif record.state == "running":
                self._go_on(record)

    async def stop(self) -> None:
        """Leave all where they are; the VMs go on."""
        for task in self._tasks.values():
            task.cancel()
        for task in self._tasks.values():
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def demand_none(self, operation: str, *, or_done: bool = False) -> None:
        """Raises Conflict once the operation's VMs are promoted: there is no way back.

        `or_done`: only until that is done, for what is of no more use then.
        """
        record = self._record(operation)
        if record is None or record.state == "adopted" or (or_done and record.state == "done"):
            return
        raise Conflict(f"The VMs of operation {operation} are being committed ({record.state}).", "Let that end.")

    async def promote_recovered(
        self, vpg_id: str, operation: str, checkpoint_id: str, volumes: dict[str, dict[str, int]]
    ) -> None:
        """Begin to promote, or go on after a failure. Raises NotFound, BadInput."""
        async with self._changing:
            record = self._record(operation)
            if record is None:
                if self.before_first is not None:
                    await self.before_first(vpg_id)
                record = self._new_record(vpg_id, operation, checkpoint_id, volumes)
                record.save()
            if record.state in ("done", "adopted"):
                return
            task = self._tasks.get(operation)
            if task is None or task.done():
                record.state, record.reason = "running", ""
                record.save()
                self._go_on(record)

    async def promotion_status(self, operation: str) -> dict[str, Any]:
        """How far it is. Raises NotFound."""
        record = self._demand(operation)
        promotion = self._promotions.get(operation)
        done, total = promotion.progress() if promotion is not None else (0, 0)
        return {
            "state": "done" if record.state == "adopted" else record.state,
            "reason": record.reason or (promotion.waits_for if promotion is not None else ""),
            "done_bytes": done,
            "total_bytes": total,
            "vms": {
                vm_id: {
                    "instance": vm.instance,
                    "disks": {disk_id: disk.path for disk_id, disk in vm.disks.items() if disk.done},
                }
                for vm_id, vm in record.vms.items()
            },
        }

    async def adopt_recovered(self, operation: str) -> list[dict[str, Any]]:
        """Take the promoted VMs into the inventory; their scratch is removed. Again gives the same definitions.

        Raises NotFound, Conflict while they are not all promoted.
        """
        async with self._changing:
            record = self._demand(operation)
            if record.state not in ("done", "adopted"):
                raise Conflict(f"The VMs of operation {operation} are not promoted yet ({record.state}).", "Wait.")
            if record.state == "done":
                definitions = [vm.settled_definition() for vm in record.vms.values()]
                for definition in definitions:
                    self._doors.hypervisors.inventory.adopt(definition)
                await self._remove_replaced(record, definitions)
                record.adopted = [definition.model_dump(mode="json") for definition in definitions]
                record.state = "adopted"
                record.save()
            await self._recovered.forget(operation)
            return record.adopted

    async def _remove_replaced(self, record: PromotionRecord, definitions: list[VmDefinition]) -> None:
        """A VM that is held and whose disks have become an adopted one's is of no more use.

        Which ones is durable before the first goes: a hold without its VM could not be told from any other. The driver
        may remember such a VM from before a crash, and would list it for ever.
        """
        inventory, adopted = self._doors.hypervisors.inventory, {definition.id for definition in definitions}
        disks = [{Path(disk.path).resolve() for disk in definition.disks} for definition in definitions]
        for entry in inventory.entries():
            other = entry.definition
            if other is None or other.id in adopted or inventory.held(other.id) is None:
                continue
            own = {Path(disk.path).resolve() for disk in other.disks}
            if other.id not in record.replaced and any(own <= theirs for theirs in disks):
                record.replaced.append(other.id)
        record.save()
        for vm_id in record.replaced:
            if self._doors.is_off(vm_id):
                with contextlib.suppress(NotFound):  # neither in the inventory nor remembered any more
                    await self._doors.hypervisors.stop_vm(vm_id, force=True)
            inventory.remove(vm_id)
            inventory.release(vm_id)

    def _new_record(
        self, vpg_id: str, operation: str, checkpoint_id: str, volumes: dict[str, dict[str, int]]
    ) -> PromotionRecord:
        recovered = self._recovered.record(operation)
        if recovered is None:
            raise NotFound(f"Operation {operation} has no recovered VMs here.", "Were they removed?")
        started = {vm["vm_id"]: vm for vm in recovered["vms"]}
        vms: dict[str, PromotedVm] = {}
        for vm_id, numbers in volumes.items():
            if vm_id not in started or set(numbers) != set(started[vm_id]["scratch"]):
                raise BadInput(f"VM {vm_id} of operation {operation} has not the disks that were named.", "")
            vm = started[vm_id]
            disks = {disk_id: PromotedDisk(number, vm["scratch"][disk_id]) for disk_id, number in numbers.items()}
            vms[vm_id] = PromotedVm(vm["definition"], vm["serial_log"], disks)
        return PromotionRecord(self._path(operation), operation, vpg_id, checkpoint_id, vms)

    def _go_on(self, record: PromotionRecord) -> None:
        promotion = Promotion(
            record, self._journal, self._views, self._doors, own_disks(self.site_folder) / record.operation
        )
        self._promotions[record.operation] = promotion
        self._tasks[record.operation] = asyncio.get_running_loop().create_task(promotion.run())

    def _record(self, operation: str) -> PromotionRecord | None:
        promotion = self._promotions.get(operation)
        if promotion is not None:
            return promotion.record
        try:
            return PromotionRecord.load(self._path(operation))
        except FileNotFoundError:
            return None

    def _demand(self, operation: str) -> PromotionRecord:
        record = self._record(operation)
        if record is None:
            raise NotFound(f"Nothing of operation {operation} is promoted here.", "Order it first.")
        return record

    def _path(self, operation: str) -> Path:
        return self.folder / f"{operation}.json"
