"""All hypervisors of a host in one: the driver is picked by each VM's definition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from farshore.errors import NotFound
from farshore.hypervisor.block_layer.vm_handle import BlockLayerVm
from farshore.hypervisor.driver import Overlay, StartRequest, VmSummary
from farshore.hypervisor.inventory import Inventory
from farshore.hypervisor.own_processes import OwnProcessDriver
from farshore.hypervisor.qemu.driver import QemuDriver
from farshore.hypervisor.storage_daemon.driver import StorageDaemonDriver
from farshore.model.vm import VmDefinition


class Hypervisors:
    """See `driver.Hypervisor`; `run_dir` is the site's (model/rundir.py), made by the caller."""

    def __init__(self, site_dir: Path, run_dir: Path, accelerator: Literal["tcg", "kvm"] = "tcg") -> None:
        self.inventory = Inventory(site_dir / "vms")
        self.drivers: dict[str, OwnProcessDriver] = {
            "qemu": QemuDriver(site_dir, run_dir, accelerator),
            "storage_daemon": StorageDaemonDriver(site_dir, run_dir),
        }

    async def list_vms(self) -> list[VmSummary]:
        """All VMs of all drivers by name; a file that cannot be read is listed with its problem."""
        listed = [summary for driver in self.drivers.values() for summary in await driver.list_vms()]
        bad = [entry for entry in self.inventory.entries() if entry.problem is not None]
        listed += [VmSummary(entry.vm_id, entry.vm_id, "unknown", "", problem=entry.problem) for entry in bad]
        return sorted(listed, key=lambda summary: (summary.name, summary.id))

    async def find_vm(self, vm_id: str) -> VmSummary:
        """One VM. Raises NotFound."""
        for summary in await self.list_vms():
            if summary.id == vm_id:
                return summary
        raise NotFound(f"There is no VM {vm_id} here.", "farshore vm list shows all.")

    def definition(self, vm_id: str) -> VmDefinition:
        """What a VM is: as it was started if it runs, else as the inventory has it. Raises NotFound."""
        return self.driver_of(vm_id).definition(vm_id)

    def driver_of(self, vm_id: str) -> OwnProcessDriver:
        """The driver of a VM. Raises NotFound."""
        for driver in self.drivers.values():
            if driver.knows(vm_id):
                return driver
        self.inventory.find(vm_id)  # a bad file is told of in its own words
        raise NotFound(f"There is no VM {vm_id} here.", "farshore vm list shows all.")

    async def open_vm(self, vm_id: str) -> BlockLayerVm:
        """See Hypervisor."""
        return await self.driver_of(vm_id).open_vm(vm_id)

    async def start_vms(
        self,
        requests: Sequence[StartRequest],
        *,
        network_scope: Path | None = None,
        label: str = "",
        paused: bool = False,
    ) -> list[VmSummary]:
        """See Hypervisor. All or none, also over two drivers."""
        started: list[VmSummary] = []
        running = {request.definition.id for request in requests if self._is_live(request.definition)}
        try:
            for name, driver in self.drivers.items():
                own = [request for request in requests if request.definition.hypervisor == name]
                if own:
                    started += await driver.start_vms(own, network_scope=network_scope, label=label, paused=paused)
        except BaseException:
            for summary in started:
                if summary.id not in running:
                    await self.drivers[summary.hypervisor].stop_vm(summary.id, force=True)
            raise
        places = {request.definition.id: place for place, request in enumerate(requests)}
        return sorted(started, key=lambda summary: places[summary.id])

    async def start_vm(
        self, definition: VmDefinition, *, overlays: Mapping[str, Overlay] | None = None,
        network_scope: Path | None = None, label: str = "", paused: bool = False,
    ) -> VmSummary:  # fmt: skip
        """See Hypervisor."""
        request = StartRequest(definition, overlays or {})
        return (await self.start_vms([request], network_scope=network_scope, label=label, paused=paused))[0]

    async def stop_vm(self, vm_id: str, force: bool) -> None:
        """See Hypervisor."""
        await self.driver_of(vm_id).stop_vm(vm_id, force)

    async def settle_vm(self, vm_id: str, definition: VmDefinition) -> None:
        """See Hypervisor."""
        await self.drivers[definition.hypervisor].settle_vm(vm_id, definition)

    async def promote_off(self, definition: VmDefinition, disk_id: str, scratch: Path, base: Path) -> None:
        """See Hypervisor."""
        await self.drivers[definition.hypervisor].promote_off(definition, disk_id, scratch, base)

    def _is_live(self, definition: VmDefinition) -> bool:
        return self.drivers[definition.hypervisor].processes.is_live(definition.id)
