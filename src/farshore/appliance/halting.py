"""VMs that are halted for a failover or move: their processes stay, nothing is written any more, protection goes on.

The taps, bitmaps and image locks of a halted VM stay, so a marker that is cut and vouched for after the halt holds the
very last write. Which VMs ran is kept in `appliance/halted/<operation>.json`, written before the first is asked, so
that a rollback lets exactly those run again, also after any kill.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from farshore.appliance.members import Members
from farshore.appliance.vm_doors import VmDoors
from farshore.errors import BadInput, NotFound
from farshore.hypervisor.driver import StartRequest, VmGone
from farshore.model.files import remove_durably, write_durably

_OPERATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class Halting:
    """Halts VMs for an operation and lets them run again."""

    def __init__(self, folder: Path, doors: VmDoors, members: Members) -> None:
        """`folder`: where it is kept what ran."""
        self.folder = folder
        self.members = members
        self.doors = doors
        self._changing = asyncio.Lock()

    def calls(self) -> dict[str, Callable[..., Any]]:
        """By name."""
        return {"halt_vms": self.halt_vms, "revive_vms": self.revive_vms}

    async def halt_vms(self, vpg_id: str, vm_ids: list[str], operation: str, force: bool) -> dict[str, str]:
        """Ask the VMs to halt, or force them; at once. How each is now: running, halted or off.

        Raises NotFound for a VM that is not there (then none was asked), Unavailable.
        """
        self.members.demand(vpg_id, vm_ids)
        async with self._changing:
            await self._remember(vpg_id, vm_ids, operation)
            states = await asyncio.gather(*(self._halt(vm_id, force) for vm_id in vm_ids))
            return dict(zip(vm_ids, states, strict=True))

    async def revive_vms(self, vpg_id: str, operation: str) -> None:
        """Let run again what the operation halted; what has ended meanwhile is started. Nothing halted is fine."""
        async with self._changing:
            record = self._record(operation)
            if record is None or record["vpg_id"] != vpg_id:
                return
            for vm_id, power in record["vms"].items():
                if power == "running":
                    await self._revive(vm_id)
            remove_durably(self._path(operation))

    def forget(self, vpg_id: str) -> None:
        """The VPG's protection is retired: what it halted is not revived any more."""
        for path in self.folder.glob("*.json"):
            if json.loads(path.read_text())["vpg_id"] == vpg_id:
                remove_durably(path)

    async def _remember(self, vpg_id: str, vm_ids: Sequence[str], operation: str) -> None:
        record = self._record(operation) or {"vpg_id": vpg_id, "vms": {}}
        new = [vm_id for vm_id in vm_ids if vm_id not in record["vms"]]
        for vm_id in new:
            summary = await self.doors.summary(vm_id)
            if summary is None:
                raise NotFound(f"There is no VM {vm_id} here.", "farshore vm list shows all.")
            record["vms"][vm_id] = "running" if summary.power == "unknown" else summary.power
        if new:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_durably(self._path(operation), json.dumps(record).encode())

    async def _halt(self, vm_id: str, force: bool) -> str:
        try:
            async with self.doors.open(vm_id) as handle:
                return "halted" if await handle.halt(force) else "running"
        except VmGone:
            if self.doors.is_off(vm_id):
                return "off"
            raise

    async def _revive(self, vm_id: str) -> None:
        try:
            async with self.doors.open(vm_id) as handle:
                await handle.revive()
                return
        except VmGone:
            if not self.doors.is_off(vm_id):
                raise
        await self.doors.hypervisors.start_vms([StartRequest(self.doors.hypervisors.definition(vm_id))])

    def _record(self, operation: str) -> dict[str, Any] | None:
        try:
            record: dict[str, Any] = json.loads(self._path(operation).read_text())
        except FileNotFoundError:
            return None
        return record

    def _path(self, operation: str) -> Path:
        if not _OPERATION.fullmatch(operation):  # it may come from another site
            raise BadInput(f"{operation!r} is no identifier of an operation.", "")
        return self.folder / f"{operation}.json"
