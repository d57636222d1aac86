"""What an appliance does when it is asked: its calls, and what it takes up again at its start."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from farshore.appliance.clones import Clones
from farshore.appliance.datastores import Datastores
from farshore.appliance.discarded import Discarded
from farshore.appliance.durable_state import ProtectionState
from farshore.appliance.halting import Halting
from farshore.appliance.holding import Holding
from farshore.appliance.keeping import VpgJournal
from farshore.appliance.kept_volumes import KeptVolumes
from farshore.appliance.members import Members
from farshore.appliance.overview import Overview
from farshore.appliance.pin_keeping import PinKeeping
from farshore.appliance.promotions import Promotions
from farshore.appliance.protection import VpgProtection
from farshore.appliance.recovered_vms import RecoveredVms
from farshore.appliance.recovery_calls import RecoveryCalls
from farshore.appliance.road import Surroundings
from farshore.appliance.steering import Steering
from farshore.appliance.view_keeper import ViewKeeper
from farshore.appliance.vm_doors import VmDoors
from farshore.errors import BadInput, Conflict, NotFound
from farshore.hypervisor.driver import VmGone, VmSummary
from farshore.hypervisor.registry import Hypervisors
from farshore.model.appliance_specs import KeepSpec, ProtectSpec
from farshore.model.files import remove_durably, write_durably
from farshore.model.site import SiteConfig

RETIRE_SECONDS = 60.0
_JOURNAL_CALLS = {
    "journal_status": "status",
    "list_checkpoints": "list_checkpoints",
    "find_marker": "find_marker",
    "pin_checkpoint": "pin",
    "unpin_checkpoint": "unpin",
    "raise_epoch": "raise_epoch",
    "configure_journal": "configure",
    "definitions_at": "definitions",
    "volumes_at": "volumes",
}


class Appliance:
    """All VPGs of one host: those that it protects, those whose journal it keeps, what it has recovered."""

    def __init__(self, config: SiteConfig, around: Surroundings, hypervisors: Hypervisors) -> None:
        """Nothing is started before `resume`."""
        self.config = config
        self.around = around
        self.hypervisors = hypervisors
        self.protections: dict[str, VpgProtection] = {}
        self.journals: dict[str, VpgJournal] = {}
        self.views = ViewKeeper(around)
        self.recovered = RecoveredVms(around, hypervisors)
        self.folder = around.site_folder / "appliance"
        self.doors = doors = VmDoors(hypervisors, self.protections)
        self.members = Members(self.folder / "members")
        self.halting = Halting(self.folder / "halted", doors, self.members)
        self.holding = Holding(doors, self.members, self.protections, self.journals)
        self.promotions = Promotions(self.journal, self.views, self.recovered, doors)
        self.datastores = Datastores(config, around.site_folder)
        self.clones = Clones(around, self.journal, self.datastores, doors, config.settings.store_reserve_bytes)
        reserve_bytes = config.settings.store_reserve_bytes
        self.kept = KeptVolumes(around, self.journal, hypervisors.inventory, reserve_bytes)
        self.discarded = Discarded(around.site_folder, self.journal, self.recovered, self.promotions, reserve_bytes)
        self._changing = asyncio.Lock()

    async def resume(self) -> None:
        """Go on with all that was ordered before."""
        for name in ("protect", "keep", "state"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        for path in sorted((self.folder / "keep").glob("*.json")):
            self._keep(KeepSpec.model_validate_json(path.read_text()))
        for path in sorted((self.folder / "protect").glob("*.json")):
            self._protect(ProtectSpec.model_validate_json(path.read_text()))
        await self.views.resume()
        self.promotions.resume()
        self.clones.resume()
        self.kept.resume()

    async def stop(self) -> None:
        """End in order: taps off, bitmaps kept; journals closed. Guests and their views go on."""
        await self.promotions.stop()
        await self.clones.stop()
        await self.kept.stop()
        await asyncio.gather(*(p.stop(keep_bitmaps=True) for p in self.protections.values()))
        await asyncio.gather(*(j.stop() for j in self.journals.values()))

    def calls(self) -> dict[str, Callable[..., Any]]:
        """Every call that a client may make, by name."""
        own: dict[str, Callable[..., Any]] = {
            "ping": self.ping,
            "list_vms": self.list_vms,
            "vm_definition": self.vm_definition,
            "protect_vpg": self.protect_vpg,
            "stop_protecting": self.stop_protecting,
            "dismiss_vms": self.dismiss_vms,
            "protection_status": self.protection_status,
            "cut_checkpoint": self.cut_checkpoint,
            "keep_vpg": self.keep_vpg,
            "forget_vpg": self.forget_vpg,
            "retire_protection": self.retire_protection,
            "retire_journal": self.retire_journal,
        }
        journals = {name: self._journal_call(call) for name, call in _JOURNAL_CALLS.items()}
        recovery = RecoveryCalls(self.journal, self.views, self.recovered, self.promotions)
        steering = Steering(self._protection)
        overview = Overview(self.protections, self.journals, self.recovered, self.promotions)
        groups = (
            self.halting,
            self.holding,
            self.promotions,
            recovery,
            self.datastores,
            self.clones,
            self.kept,
            self.discarded,
            overview,
            steering,
            PinKeeping(self.around.site_folder, self.journal),
        )
        return own | journals | {name: call for group in groups for name, call in group.calls().items()}

    # -- VMs

    async def ping(self) -> dict[str, Any]:
        """Who answers."""
        return {"site_id": self.config.site_id}

    async def list_vms(self) -> list[dict[str, Any]]:
        """All VMs of this host."""
        return [_vm_json(summary) for summary in await self.hypervisors.list_vms()]

    async def vm_definition(self, vm_id: str) -> dict[str, Any]:
        """What a VM is. Raises NotFound."""
        return self.hypervisors.definition(vm_id).model_dump(mode="json")

    # -- protected site

    async def protect_vpg(self, spec: dict[str, Any]) -> dict[str, Any]:
        """Protect a VPG from now on; the same again changes nothing, another spec takes the old one's place."""
        order = ProtectSpec.model_validate(spec)
        async with self._changing:
            present = self.protections.get(order.vpg_id)
            if present is not None and present.spec == order and not present.is_ending:
                return present.status()
            note = self.folder / "protect" / f"{order.vpg_id}.json"
            if present is not None and present.take(order):
                write_durably(note, order.model_dump_json().encode())
                return present.status()
            for volume in order.volumes:
                self._check_volume(volume.vm_id, volume.disk_id, volume.size_bytes)
            if present is not None:
                await present.stop(keep_bitmaps=True)
                del self.protections[order.vpg_id]
            self._take_word(order, present)
            write_durably(note, order.model_dump_json().encode())
            return self._protect(order).status()

    async def dismiss_vms(self, vpg_id: str, vm_ids: list[str]) -> None:
        """Forget VMs that the VPG does not protect any more, and their bitmaps; not known or off is fine.

        Raises Conflict when one is still protected by it.
        """
        present = self.protections.get(vpg_id)
        if present is not None and set(vm_ids) & set(present.spec.vm_ids):
            raise Conflict(f"VPG {present.spec.vpg_name} protects them still.", "Take them out of it first.")
        for vm_id in vm_ids:
            if not any(vm_id in other.spec.vm_ids for other in self.protections.values()):
                with contextlib.suppress(NotFound, VmGone):
                    async with self.doors.open(vm_id) as handle:
                        await handle.detach(keep_bitmaps=False)
        self.members.dismiss(vpg_id, vm_ids)

    def _check_volume(self, vm_id: str, disk_id: str, size_bytes: int) -> None:
        try:
            size = self.hypervisors.definition(vm_id).disk(disk_id).size_bytes
        except KeyError:
            raise NotFound(f"VM {vm_id} has no disk {disk_id}.", "Look at its definition.") from None
        if size != size_bytes:
            raise BadInput(f"Disk {disk_id} of VM {vm_id} has {size} bytes, not {size_bytes}.")

    def _take_word(self, order: ProtectSpec, present: VpgProtection | None) -> None:
        """What the order says was synced counts once, when it is new: later, what came to pass here does."""
        before = present.spec if present is not None else None
        is_new = before is None or (before.synced, before.journal_id) != (order.synced, order.journal_id)
        if order.synced and order.journal_id and is_new:
            self._state_of(order.vpg_id).take_word(order.synced, order.journal_id)

    def _state_of(self, vpg_id: str) -> ProtectionState:
        return ProtectionState.load(self.folder / "state" / f"{vpg_id}.json")

    def _protect(self, order: ProtectSpec) -> VpgProtection:
        self.members.add(order.vpg_id, order.vm_ids)
        seconds = self.config.settings.generation_seconds
        state = self._state_of(order.vpg_id)
        protection = VpgProtection(order, self.around, self.hypervisors, state, seconds)
        self.protections[order.vpg_id] = protection
        protection.start()
        return protection

    async def stop_protecting(self, vpg_id: str) -> None:
        """Take the taps off and forget the VPG; none is fine."""
        await self._end_protection(vpg_id, keep_bitmaps=False)
        self.members.forget(vpg_id)

    async def retire_protection(self, vpg_id: str) -> None:
        """The VPG runs at the other site now: taps off, all forgotten but the bitmaps; none is fine."""
        await self._end_protection(vpg_id, keep_bitmaps=True)

    async def _end_protection(self, vpg_id: str, keep_bitmaps: bool) -> None:
        async with self._changing:
            protection = self.protections.get(vpg_id)
            if protection is not None:
                await protection.stop(keep_bitmaps)
                del self.protections[vpg_id]
            remove_durably(self.folder / "protect" / f"{vpg_id}.json")
            remove_durably(self.folder / "state" / f"{vpg_id}.json")
            self.halting.forget(vpg_id)

    async def protection_status(self, vpg_id: str) -> dict[str, Any]:
        """What the protection of a VPG is doing. Raises NotFound."""
        return self._protection(vpg_id).status()

    async def cut_checkpoint(self, vpg_id: str, tag: str, task: str) -> dict[str, Any]:
        """Cut and vouch a tagged marker at once. Raises NotFound, Conflict."""
        return await self._protection(vpg_id).cut_checkpoint(tag, task)

    def _protection(self, vpg_id: str) -> VpgProtection:
        protection = self.protections.get(vpg_id)
        if protection is None:
            raise NotFound(f"VPG {vpg_id} is not protected here.", "farshore vpg list shows which site protects it.")
        return protection

    # -- recovery site

    async def keep_vpg(self, spec: dict[str, Any]) -> None:
        """Keep the journal of a VPG from now on; the same again changes nothing.

        Raises BadInput when it shall begin from what is no disk of this site's VMs, Conflict when such a VM runs.
        """
        order = KeepSpec.model_validate(spec)
        if order.reserve_bytes is None:
            order = order.model_copy(update={"reserve_bytes": self.config.settings.store_reserve_bytes})
        async with self._changing:
            present = self.journals.get(order.vpg_id)
            stands = present is not None and order.seed is None
            if present is not None and stands:  # another epoch or history: it stands on what it stood on
                order = order.model_copy(update={"seed": present.spec.seed})
            if present is not None and present.spec == order:
                return
            if order.seed is not None and not stands:
                self.holding.demand_own_disks(order.seed.bases.values())
            self._note_keep(order)
            if present is not None:
                if await present.take(order):
                    return
                await present.stop()
            self._keep(order)

    def _note_keep(self, order: KeepSpec) -> None:
        write_durably(self.folder / "keep" / f"{order.vpg_id}.json", order.model_dump_json().encode())

    def _keep(self, order: KeepSpec) -> None:
        journal = VpgJournal(order, self.around)
        self.journals[order.vpg_id] = journal
        journal.start()

    async def forget_vpg(self, vpg_id: str) -> None:
        """Remove a VPG's journal, replica and checkpoints; none is fine."""
        async with self._changing:
            remove_durably(self.folder / "keep" / f"{vpg_id}.json")
            journal = self.journals.pop(vpg_id, None)
            if journal is not None:
                await journal.forget()
            if vpg_id not in self.protections:
                self.members.forget(vpg_id)

    async def retire_journal(self, vpg_id: str, volumes: list[int] | None = None) -> None:
        """Remove all checkpoints of these volumes (None: of all); the journal stays. Raises NotFound."""
        await self.journal(vpg_id).call("retire", RETIRE_SECONDS, volumes=volumes)
        async with self._changing:
            journal = self.journal(vpg_id)
            seed = journal.spec.seed
            if seed is not None:  # what these volumes began from are another VM's disks now
                gone = seed.bases.keys() if volumes is None else volumes
                bases = {number: path for number, path in seed.bases.items() if number not in gone}
                seed = seed.model_copy(update={"bases": bases}) if bases else None
                journal.spec = journal.spec.model_copy(update={"seed": seed})
                self._note_keep(journal.spec)

    def journal(self, vpg_id: str) -> VpgJournal:
        """The journal of a VPG. Raises NotFound."""
        journal = self.journals.get(vpg_id)
        if journal is None:
            raise NotFound(f"No journal of VPG {vpg_id} is kept here.", "farshore vpg list shows its recovery site.")
        return journal

    def _journal_call(self, call: str) -> Callable[..., Any]:
        async def ask(vpg_id: str, **args: Any) -> Any:
            return await self.journal(vpg_id).call(call, **args)

        return ask


def _vm_json(summary: VmSummary) -> dict[str, Any]:
    return {
        "vm_id": summary.id,
        "name": summary.name,
        "power": summary.power,
        "hypervisor": summary.hypervisor,
        "problem": summary.problem,
        "recovered": summary.recovered,
        "label": summary.label,
        "serial_log": _text(summary.serial_log),
        "pid": summary.pid,
        "nics": [nic.id for nic in summary.definition.nics] if summary.definition else [],
        "disks": [
            {
                "disk_id": d.disk_id,
                "path": d.path,
                "size_bytes": d.size_bytes,
                "nbd_socket": _text(d.nbd_socket),
                "nbd_export": d.nbd_export,
            }
            for d in summary.disks
        ],
    }


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
