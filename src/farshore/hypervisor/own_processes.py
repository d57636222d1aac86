"""What the drivers have in common whose VMs are processes of our own: the inventory, starting, listing, stopping."""

from __future__ import annotations

import asyncio
import functools
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from farshore.errors import BadInput, Conflict, NotFound, Unavailable
from farshore.hypervisor.block_layer.blockdevs import check_disks, make_scratch
from farshore.hypervisor.block_layer.commit_off import commit_off
from farshore.hypervisor.block_layer.monitor import Monitor, MonitorTimeout
from farshore.hypervisor.block_layer.vm_handle import BlockLayerVm
from farshore.hypervisor.driver import (
    STOP_SECONDS,
    DiskSummary,
    Overlay,
    Power,
    StartRequest,
    VmGone,
    VmSummary,
)
from farshore.hypervisor.inventory import Inventory
from farshore.hypervisor.processes import StartRecord, VmFolder, VmProcesses
from farshore.hypervisor.start_lock import one_at_a_time
from farshore.model.vm import DiskDefinition, VmDefinition


class OwnProcessDriver(ABC):
    """See `driver.Hypervisor`. A driver of this kind says how its command looks and how a VM is connected to."""

    name: str
    lacks: Mapping[str, str]

    def __init__(self, site_dir: Path, run_dir: Path) -> None:
        self.site_dir = site_dir
        self.run_dir = run_dir
        self.inventory = Inventory(site_dir / "vms")
        self.processes = VmProcesses(run_dir)

    @abstractmethod
    def command(self, record: StartRecord, folder: VmFolder, paused: bool) -> list[str]:
        """The command line. Raises Unsupported, BadInput."""

    @abstractmethod
    async def connect(self, record: StartRecord, folder: VmFolder, instance: str) -> BlockLayerVm:
        """A connected handle. Raises VmGone, Unavailable."""

    @abstractmethod
    def short_use(self, folder: VmFolder) -> Path:
        """A monitor that answers once the process is up, and that nobody holds then."""

    @abstractmethod
    async def ask_to_stop(self, folder: VmFolder) -> bool:
        """Ask the guest to end; False where there is no guest, and the process is simply ended in order."""

    @abstractmethod
    def disk_summary(self, disk: DiskDefinition, folder: VmFolder) -> DiskSummary:
        """How a disk is told of."""

    async def plan_network(self, records: Sequence[StartRecord]) -> None:
        """Prepare what the interfaces of VMs that start together need. Raises Unavailable, BadInput."""
        return

    def after_end(self, record: StartRecord) -> None:
        """Remove what `plan_network` made for a VM that has ended."""
        return

    async def list_vms(self) -> list[VmSummary]:
        """See Hypervisor."""
        records = {
            record.definition.id: record for record in self.processes.records() if self._is_mine(record.definition)
        }
        defined = [entry.definition for entry in self.inventory.entries() if entry.definition is not None]
        own = [definition for definition in defined if self._is_mine(definition)]
        pairs = [(definition, records.pop(definition.id, None)) for definition in own]
        listed = await asyncio.gather(*(self._summary(definition, record) for definition, record in pairs))
        recovered = await asyncio.gather(*(self._summary(record.definition, record) for record in records.values()))
        return [*listed, *(replace(summary, recovered=True) for summary in recovered)]

    async def open_vm(self, vm_id: str) -> BlockLayerVm:
        """See Hypervisor."""
        record = self._record(vm_id)
        live = self.processes.folder(vm_id).live() if record else None
        if record is None or live is None:
            self._known(vm_id)
            raise VmGone(f"The VM {vm_id} is off.", "Start it first.")
        return await self.connect(record, self.processes.folder(vm_id), live.instance)

    async def start_vms(
        self,
        requests: Sequence[StartRequest],
        *,
        network_scope: Path | None = None,
        label: str = "",
        paused: bool = False,
    ) -> list[VmSummary]:
        """See Hypervisor."""
        scope = network_scope or self.run_dir / "net"
        records = [self._new_record(request, scope, label) for request in requests]
        self._refuse_held(records)
        # The scope too: who is the middle of a network is decided by who is live, and one that is starting is not yet.
        async with one_at_a_time(self.run_dir, [_scope_name(scope), *(record.definition.id for record in records)]):
            await self._start_those_that_are_off(records, paused)
        return [await self._summary(record.definition, record) for record in records]

    def _refuse_held(self, records: Sequence[StartRecord]) -> None:
        for record in records:
            reason = self.inventory.held(record.definition.id)
            if reason is not None:
                raise Conflict(f"The VM {record.definition.name} is held: {reason}", "It cannot be started now.")

    async def _start_those_that_are_off(self, records: Sequence[StartRecord], paused: bool) -> None:
        self._refuse_held(records)  # again, under the lock: who holds a VM looks afterwards whether it runs
        to_start = [record for record in records if not self.processes.is_live(record.definition.id)]
        await self.plan_network(to_start)
        begun: list[str] = []
        made: list[Path] = []
        try:
            for record in to_start:
                check_disks(record.definition, record.overlays)
                made += await make_scratch(record.definition, record.overlays)
                folder = self.processes.folder(record.definition.id)
                command = self.command(record, folder, paused)
                begun.append(record.definition.id)
                answers = functools.partial(_answers, self.short_use(folder))
                await self.processes.start(record, command, answers, self._log(record.definition.id))
        except BaseException:
            for vm_id in begun:
                await self.processes.end(vm_id)
            for record in to_start:
                self.after_end(record)
            for path in made:
                path.unlink(missing_ok=True)
            raise

    async def start_vm(
        self, definition: VmDefinition, *, overlays: Mapping[str, Overlay] | None = None,
        network_scope: Path | None = None, label: str = "", paused: bool = False,
    ) -> VmSummary:  # fmt: skip
        """See Hypervisor."""
        request = StartRequest(definition, overlays or {})
        return (await self.start_vms([request], network_scope=network_scope, label=label, paused=paused))[0]

    async def stop_vm(self, vm_id: str, force: bool) -> None:
        """See Hypervisor."""
        names = [vm_id] if self.run_dir.is_dir() else []  # without the folder nothing runs or starts
        async with one_at_a_time(self.run_dir, names):
            await self._stop_vm(vm_id, force)

    async def _stop_vm(self, vm_id: str, force: bool) -> None:
        record = self._record(vm_id)
        if record is None:
            self._known(vm_id)
        folder = self.processes.folder(vm_id)
        if self.processes.is_live(vm_id) and not force:
            asked = await self.ask_to_stop(folder)
            if asked and not await self.processes.wait_end(vm_id, STOP_SECONDS):
                raise Unavailable(f"The VM {vm_id} did not stop within {STOP_SECONDS:g} s.", "Stop it by force.")
        scopes = [_scope_name(record.network_scope)] if record is not None else []
        async with one_at_a_time(self.run_dir, scopes):
            await self.processes.end(vm_id)
            if self.processes.is_live(vm_id):
                raise Unavailable(f"The process of the VM {vm_id} cannot be ended.", "Look at the host's storage.")
            if record is not None:
                self.after_end(record)

    async def settle_vm(self, vm_id: str, definition: VmDefinition) -> None:
        """See Hypervisor."""
        async with one_at_a_time(self.run_dir, [vm_id]):
            self.processes.settle(vm_id, definition)

    async def promote_off(self, definition: VmDefinition, disk_id: str, scratch: Path, base: Path) -> None:
        """See Hypervisor."""
        async with one_at_a_time(self.run_dir, [definition.id]):
            if self.processes.is_live(definition.id):
                raise Conflict(f"The VM {definition.name} runs.", "It is promoted while it runs, then.")
            await commit_off(definition.disk(disk_id), scratch, base)

    def knows(self, vm_id: str) -> bool:
        """Whether this VM is one of this driver's."""
        return self._record(vm_id) is not None or self._defined(vm_id) is not None

    def definition(self, vm_id: str) -> VmDefinition:
        """As it was started if it runs, else as the inventory has it. Raises NotFound."""
        record = self._record(vm_id)
        if record is not None and self.processes.is_live(vm_id):
            return record.definition
        return self._defined(vm_id) or (record.definition if record else self._known(vm_id))

    def _is_mine(self, definition: VmDefinition) -> bool:
        return definition.hypervisor == self.name

    def _record(self, vm_id: str) -> StartRecord | None:
        record = self.processes.folder(vm_id).record()
        return (
            record
            if record is not None and record.definition.id == vm_id and self._is_mine(record.definition)
            else None
        )

    def _defined(self, vm_id: str) -> VmDefinition | None:
        entry = self.inventory.entry(vm_id)
        return entry.definition if entry and entry.definition and self._is_mine(entry.definition) else None

    def _known(self, vm_id: str) -> VmDefinition:
        definition = self._defined(vm_id)
        if definition is None:
            raise NotFound(f"There is no VM {vm_id} here.", "farshore vm list shows all.")
        return definition

    def _log(self, vm_id: str) -> Path:
        return self.site_dir / "log" / f"vm-{_file_name(vm_id)}.log"

    def _new_record(self, request: StartRequest, scope: Path, label: str) -> StartRecord:
        definition = request.definition
        if not self._is_mine(definition):
            raise BadInput(f"The VM {definition.name} is of the driver {definition.hypervisor}, not {self.name}.", "")
        unknown = set(request.overlays) - {disk.id for disk in definition.disks}
        if unknown or (request.overlays and len(request.overlays) != len(definition.disks)):
            raise BadInput(
                f"The overlays of {definition.name} do not fit its disks.", "Give one for each disk, or none."
            )
        serial = request.serial_log
        if serial is None and definition.serial_log and not request.overlays:
            serial = Path(definition.serial_log)
        if serial is None:
            serial = self.site_dir / "log" / f"vm-{_file_name(definition.id)}.serial"
        return StartRecord(definition, dict(request.overlays), serial, scope, label)

    async def _summary(self, definition: VmDefinition, record: StartRecord | None) -> VmSummary:
        folder = self.processes.folder(definition.id)
        live = folder.live() if self.processes.is_live(definition.id) else None
        held = self.inventory.held(definition.id)
        return VmSummary(
            id=definition.id,
            name=definition.name,
            power="off" if live is None else await self.power(folder),
            hypervisor=self.name,
            disks=tuple(self.disk_summary(disk, folder) for disk in definition.disks),
            definition=definition,
            pid=live.pid if live else None,
            serial_log=record.serial_log if record else None,
            label=record.label if record else "",
            problem=None if held is None else f"It is held, and cannot be started: {held}",
        )

    async def power(self, folder: VmFolder) -> Power:
        """The power of a live process. Overridden where one can ask."""
        return "running" if folder.live() is not None else "off"


async def _answers(socket: Path) -> bool:
    """Whether the monitor answers a command: QEMU's sockets are there long before its devices are."""
    if not socket.exists():
        return False
    monitor = Monitor(socket)
    try:
        await monitor.connect()
        await monitor.run("query-version")
    except (VmGone, MonitorTimeout):
        return False
    finally:
        await monitor.close()
    return True


def _scope_name(scope: Path) -> str:
    return f"~ the network {scope}"  # sorted after all VMs: a stop holds its VM when it takes the scope


def _file_name(vm_id: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", vm_id)[:100]
