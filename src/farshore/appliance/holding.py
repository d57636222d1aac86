"""What becomes of the VMs that a failover or move has replaced: ended, held from starting, released, or deleted.

None of it is done to a VM that runs: such a one is refused, and a person decides.
"""

from __future__ import annotations

import asyncio
import contextlib
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from farshore.appliance.keeping import VpgJournal
from farshore.appliance.members import Members
from farshore.appliance.protection import VpgProtection
from farshore.appliance.vm_doors import VmDoors
from farshore.errors import BadInput, Conflict, NotFound
from farshore.hypervisor.driver import VmGone
from farshore.hypervisor.inventory import Inventory
from farshore.model.files import sync_directory
from farshore.model.vm import VmDefinition


class Holding:
    """The calls about VMs that must not run any more."""

    def __init__(
        self,
        doors: VmDoors,
        members: Members,
        protections: Mapping[str, VpgProtection],
        journals: Mapping[str, VpgJournal],
    ) -> None:
        """Both mappings are looked at anew for every call."""
        self.doors = doors
        self.members = members
        self._protections = protections
        self._journals = journals

    @property
    def inventory(self) -> Inventory:
        """The site's VMs."""
        return self.doors.hypervisors.inventory

    def calls(self) -> dict[str, Callable[..., Any]]:
        """By name."""
        return {
            "end_vms": self.end_vms,
            "hold_vms": self.hold_vms,
            "release_vms": self.release_vms,
            "delete_vms": self.delete_vms,
            "held_vms": self.held_vms,
            "release_held": self.release_held,
        }

    async def end_vms(self, vpg_id: str, vm_ids: list[str]) -> None:
        """End the processes of halted VMs; off is fine. Raises Conflict when one runs (then none was ended).

        What a process that was killed has left is forgotten too: it would be listed after its definition is gone.
        """
        self.members.demand(vpg_id, vm_ids)
        live = [vm_id for vm_id in vm_ids if not self.doors.is_off(vm_id)]
        for vm_id in live:
            if not await self._is_halted(vm_id):
                raise Conflict(f"VM {vm_id} runs.", "Halt it first: what it writes now is in no checkpoint.")
        for vm_id in vm_ids:
            with contextlib.suppress(NotFound):
                if vm_id in live or self.doors.is_off(vm_id):
                    await self.doors.hypervisors.stop_vm(vm_id, force=True)

    async def _is_halted(self, vm_id: str) -> bool:
        try:
            async with self.doors.open(vm_id) as handle:
                return await handle.halted()
        except VmGone:
            return self.doors.is_off(vm_id)

    async def hold_vms(self, vpg_id: str, vm_ids: list[str], reason: str) -> None:
        """From now on the VMs cannot be started. Raises Conflict when one runs, NotFound; then nothing was changed."""
        self.members.demand(vpg_id, vm_ids)
        for vm_id in vm_ids:
            if self.inventory.entry(vm_id) is None:
                raise NotFound(f"There is no VM {vm_id} in the inventory.", "farshore vm list shows all.")
        self._demand_off(vm_ids)
        held: list[str] = []
        try:
            for vm_id in vm_ids:
                if self.inventory.held(vm_id) is None:
                    held.append(vm_id)
                self.inventory.hold(vm_id, reason)
            self._demand_off(vm_ids)  # one may have been started between the look and the hold
        except BaseException:
            for vm_id in held:
                self.inventory.release(vm_id)
            raise

    async def release_vms(self, vpg_id: str, vm_ids: list[str]) -> None:
        """The VMs may be started again; not held is fine."""
        self.members.demand(vpg_id, vm_ids)
        for vm_id in vm_ids:
            self.inventory.release(vm_id)

    async def held_vms(self) -> list[dict[str, Any]]:
        """The VMs that are held: {"vm_id", "name", "reason", "base_of": VPG whose replica its disks are, or ""}."""
        held = [(e, self.inventory.held(e.vm_id)) for e in self.inventory.entries() if e.definition is not None]
        return [
            {"vm_id": e.vm_id, "name": e.definition.name, "reason": reason, "base_of": self._base_of(e.definition)}
            for e, reason in held
            if e.definition is not None and reason is not None
        ]

    async def release_held(self, vm_id: str) -> None:
        """A person's word: the VM may be started again, of whichever VPG it was; not held is fine.

        Raises NotFound, Conflict where its disks are a replica's.
        """
        definition = self.inventory.find(vm_id)
        if definition is None:
            raise NotFound(f"There is no VM {vm_id} in the inventory.", "farshore vm list shows all.")
        vpg_id = self._base_of(definition)
        if vpg_id:
            raise Conflict(
                f"The disks of VM {definition.name} are the replica of VPG {vpg_id}.",
                "Delete that VPG first, or move it back here.",
            )
        self.inventory.release(vm_id)

    async def delete_vms(self, vpg_id: str, vm_ids: list[str]) -> None:
        """Remove definitions and disk files; none is fine. Raises Conflict when one runs or its disk is in use."""
        self.members.demand(vpg_id, vm_ids)
        self._demand_unprotected(vm_ids)
        self._demand_off(vm_ids)
        found = {vm_id: self.inventory.find(vm_id) for vm_id in vm_ids}
        definitions = [definition for definition in found.values() if definition is not None]
        paths = self._paths_to_remove(definitions)
        await asyncio.to_thread(_remove_files, paths)
        for vm_id in vm_ids:  # last: as long as it is there, a repetition finds the files that it names
            if found[vm_id] is not None:  # the driver may remember it from before a crash
                await self.doors.hypervisors.stop_vm(vm_id, force=True)
            self.inventory.remove(vm_id)
            self.inventory.release(vm_id)

    def demand_own_disks(self, paths: Iterable[str]) -> None:
        """Raises BadInput for a path that is no disk of a VM in the inventory, Conflict where that VM runs."""
        entries = [entry.definition for entry in self.inventory.entries() if entry.definition is not None]
        owners = {Path(disk.path).resolve(): definition.id for definition in entries for disk in definition.disks}
        for path in paths:
            owner = owners.get(Path(path).resolve())
            if owner is None:
                raise BadInput(f"{path} is no disk of a VM of this site.", "A journal begins from such a disk only.")
            self._demand_off([owner])

    def _paths_to_remove(self, definitions: Sequence[VmDefinition]) -> list[Path]:
        going = {definition.id for definition in definitions}
        stay = [e.definition for e in self.inventory.entries() if e.definition is not None and e.vm_id not in going]
        used = {Path(disk.path).resolve() for definition in stay for disk in definition.disks}
        paths = [Path(disk.path) for definition in definitions for disk in definition.disks]
        for path in paths:
            if path.resolve() in self._bases():
                raise Conflict(f"The disk {path} is the base of a journal.", "Remove the VPG that it belongs to first.")
        return [path for path in paths if path.resolve() not in used]

    def _base_of(self, definition: VmDefinition) -> str:
        """The VPG that has a disk of the VM as the base of its journal; empty: none."""
        disks = {Path(disk.path).resolve() for disk in definition.disks}
        for journal in self._journals.values():
            seed = journal.spec.seed
            if seed is not None and disks & {Path(path).resolve() for path in seed.bases.values()}:
                return journal.spec.vpg_id
        return ""

    def _bases(self) -> set[Path]:
        seeds = [journal.spec.seed for journal in self._journals.values()]
        return {Path(path).resolve() for seed in seeds if seed is not None for path in seed.bases.values()}

    def _demand_off(self, vm_ids: Sequence[str]) -> None:
        for vm_id in vm_ids:
            if not self.doors.is_off(vm_id):
                raise Conflict(f"VM {vm_id} runs.", "Stop it first, or look who started it.")

    def _demand_unprotected(self, vm_ids: Sequence[str]) -> None:
        for protection in self._protections.values():
            for vm_id in set(vm_ids) & set(protection.spec.vm_ids):
                raise Conflict(
                    f"VM {vm_id} is protected by VPG {protection.spec.vpg_name}.", "Its protection must end first."
                )


def _remove_files(paths: Sequence[Path]) -> None:
    """Regular files only: a block device is not ours to wipe."""
    for path in paths:
        try:
            regular = stat.S_ISREG(path.stat().st_mode)
        except FileNotFoundError:
            continue
        if regular:
            path.unlink(missing_ok=True)
            sync_directory(path.parent)
