"""VMs that are QEMU processes of our own."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from farshore.errors import FarshoreError, NotFound, Unavailable
from farshore.hypervisor.block_layer import names
from farshore.hypervisor.block_layer.graph import BlockGraph
from farshore.hypervisor.block_layer.halting import HaltNote, power_of
from farshore.hypervisor.block_layer.monitor import CommandFailed, Monitor
from farshore.hypervisor.block_layer.vm_handle import BlockLayerVm
from farshore.hypervisor.driver import DiskSummary, Power
from farshore.hypervisor.own_processes import OwnProcessDriver
from farshore.hypervisor.processes import StartRecord, VmFolder
from farshore.hypervisor.qemu import network
from farshore.hypervisor.qemu.command_line import command_line
from farshore.hypervisor.qemu.guest_agent import agent_socket
from farshore.hypervisor.qemu.halting import GuestHalter
from farshore.model.vm import DiskDefinition, VmDefinition

Accelerator = Literal["tcg", "kvm"]


class DeviceSeats:
    """The devices of a QEMU: found by `query-block`, handed another node with `qom-set`."""

    def __init__(self, monitor: Monitor, definition: VmDefinition) -> None:
        self._monitor = monitor
        self._definition = definition

    async def root(self, graph: BlockGraph, disk_id: str) -> str | None:
        """The node that the device sees."""
        path = _device_path(disk_id)
        for told in await self._monitor.run("query-block"):
            if told.get("qdev") in (path, f"{path}/virtio-backend") and "inserted" in told:
                return str(told["inserted"]["node-name"])
        return None

    async def hand_over(self, disk_id: str, node: str) -> None:
        """Let the device see another node, while the guest works."""
        await self._monitor.run("qom-set", {"path": _device_path(disk_id), "property": "drive", "value": node})

    async def running(self) -> bool:
        """Whether the guest runs."""
        return bool((await self._monitor.run("query-status"))["running"])

    def iothread(self, disk_id: str) -> bool:
        """As defined."""
        try:
            return self._definition.disk(disk_id).iothread
        except KeyError:
            raise NotFound(f"The VM {self._definition.name} has no disk {disk_id}.", "") from None


class QemuNbdServer:
    """QEMU's one NBD server, on only while a sync reads: the owner's pull backups need it too."""

    def __init__(self, monitor: Monitor, socket: Path) -> None:
        self._monitor = monitor
        self.socket = socket

    async def start(self) -> None:
        """See NbdServer."""
        address = {"type": "unix", "data": {"path": str(self.socket)}}
        try:
            await self._monitor.run("nbd-server-start", {"addr": address})
        except CommandFailed as error:
            if "already running" in error.words and self.socket.exists():
                return
            raise Unavailable(
                f"QEMU's NBD server cannot be used: {error.words}", "The owner's backup may use it: it is tried again."
            ) from error

    async def stop(self) -> None:
        """See NbdServer."""
        if self.socket.exists():
            try:
                await self._monitor.run("nbd-server-stop")
            except CommandFailed as error:
                if "not running" not in error.words:
                    raise
            self.socket.unlink(missing_ok=True)


class QemuDriver(OwnProcessDriver):
    """See `driver.Hypervisor`."""

    name = "qemu"
    lacks: Mapping[str, str] = {}

    def __init__(self, site_dir: Path, run_dir: Path, accelerator: Accelerator) -> None:
        super().__init__(site_dir, run_dir)
        self.accelerator = accelerator

    def command(self, record: StartRecord, folder: VmFolder, paused: bool) -> list[str]:
        """See OwnProcessDriver."""
        return command_line(record, folder, self.accelerator, paused)

    async def plan_network(self, records: Sequence[StartRecord]) -> None:
        """Places for all interfaces; new ones are plugged into middles that run."""
        to_plug = network.plan(records, self.processes.is_live)
        await network.plug_all(to_plug, lambda vm_id: self.processes.folder(vm_id).control)

    async def connect(self, record: StartRecord, folder: VmFolder, instance: str) -> BlockLayerVm:
        """See OwnProcessDriver."""
        vm = BlockLayerVm(record.definition, instance, folder.commands, folder.out_of_band)
        seats = DeviceSeats(vm.monitor, record.definition)
        server = QemuNbdServer(vm.monitor, folder.sync)
        note = HaltNote(folder.halt_note)
        halter = GuestHalter(vm.monitor, note, agent_socket(record.definition))
        await vm.connect(seats, server, halter, guest=True, halt_note=note, pause_note=folder.pause_note)
        return vm

    def short_use(self, folder: VmFolder) -> Path:
        """See OwnProcessDriver."""
        return folder.control

    async def ask_to_stop(self, folder: VmFolder) -> bool:
        """Press the guest's power button."""
        await _ask(folder, "system_powerdown")
        return True

    def after_end(self, record: StartRecord) -> None:
        """See OwnProcessDriver."""
        network.leave(record, self.processes.is_live)

    async def power(self, folder: VmFolder) -> Power:
        """Asked on the monitor for short use."""
        try:
            status = await _ask(folder, "query-status")
        except FarshoreError:
            return "unknown" if folder.live() is not None else "off"
        return power_of(status, HaltNote(folder.halt_note))

    def disk_summary(self, disk: DiskDefinition, folder: VmFolder) -> DiskSummary:
        """See OwnProcessDriver."""
        return DiskSummary(disk.id, os.fspath(disk.path), disk.size_bytes)


async def _ask(folder: VmFolder, command: str) -> dict[str, bool]:
    monitor = Monitor(folder.control)
    await monitor.connect()
    try:
        answer: dict[str, bool] = await monitor.run(command)
        return answer
    finally:
        await monitor.close()


def _device_path(disk_id: str) -> str:
    return f"/machine/peripheral/{names.device(disk_id)}"
