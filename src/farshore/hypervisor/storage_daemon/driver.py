"""VMs that are only disks: each is a qemu-storage-daemon with a writable NBD export per disk.

Whoever writes to the export is "the guest". The data road is the same as with QEMU (bitmaps, mirror, exports), at full
speed and with nothing to boot.

Whoever writes keeps its connection while the VM is promoted: QEMU 7.2 serves one that comes while it drains, and what
is written on that in the instant of the pivot is lost, or the daemon aborts.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from farshore.errors import NotFound, Unsupported
from farshore.hypervisor.block_layer import names
from farshore.hypervisor.block_layer.blockdevs import blockdev_arguments, escaped, program
from farshore.hypervisor.block_layer.graph import BlockGraph
from farshore.hypervisor.block_layer.halting import FORCED, HaltNote
from farshore.hypervisor.block_layer.monitor import Monitor
from farshore.hypervisor.block_layer.vm_handle import BlockLayerVm
from farshore.hypervisor.driver import DiskSummary, Power
from farshore.hypervisor.own_processes import OwnProcessDriver
from farshore.hypervisor.processes import StartRecord, VmFolder
from farshore.hypervisor.storage_daemon.halting import ExportHalter
from farshore.model.vm import DiskDefinition, VmDefinition

LACKS: Mapping[str, str] = {
    "shim": "A storage daemon has no device to hand another node to: the mirror sits on the disk itself.",
    "backup": "The owner's backups and snapshots of a tapped disk are refused by QEMU: detach first.",
    "yank": "A storage daemon cannot cut a connection by itself: kill the tap.",
    "pause": "There is no guest to pause.",
    "network": "There is no guest that could use a network interface.",
    "console": "There is no guest that could write to a console.",
    "iothread": "A disk of a storage daemon has no iothread of its own.",
}


class ExportSeats:
    """The "device" of a disk is its writable export, which follows whatever node is put over the disk's own."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor

    async def root(self, graph: BlockGraph, disk_id: str) -> str | None:
        """What the export sees; while the VM is halted, and has none, the uppermost node over the disk's own."""
        for export in await self._monitor.run("query-block-exports"):
            if export["id"] == names.device(disk_id):
                return str(export["node-name"])
        node = names.disk_node(disk_id) if names.disk_node(disk_id) in graph else names.base_node(disk_id)
        return graph.top_over(node) if node in graph else None

    async def hand_over(self, disk_id: str, node: str) -> None:
        """Not offered."""
        raise Unsupported(LACKS["shim"])

    async def running(self) -> bool:
        """Always: there is nothing to pause."""
        return True

    def iothread(self, disk_id: str) -> bool:
        """None has one."""
        return False


class DaemonNbdServer:
    """The daemon's one NBD server, which serves the disks as well and listens from the start to the end."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket

    async def start(self) -> None:
        """It listens."""

    async def stop(self) -> None:
        """It goes on."""


class StorageDaemonDriver(OwnProcessDriver):
    """See `driver.Hypervisor`."""

    name = "storage_daemon"
    lacks = LACKS

    def command(self, record: StartRecord, folder: VmFolder, paused: bool) -> list[str]:
        """qemu-storage-daemon's command line; the order of its options counts."""
        definition = record.definition
        _refuse_what_is_lacking(definition)
        arguments = [program("qemu-storage-daemon"), "--pidfile", str(folder.pid_file)]
        arguments += blockdev_arguments(definition, record.overlays, "--blockdev")
        arguments += ["--nbd-server", f"addr.type=unix,addr.path={escaped(folder.disks)}"]
        for disk in definition.disks:
            node, export = names.disk_node(disk.id), names.device(disk.id)
            arguments += ["--export", f"type=nbd,id={export},node-name={node},name={disk.id},writable=on"]
        for name, socket in (("commands", folder.commands), ("control", folder.control)):
            arguments += ["--chardev", f"socket,id={name},path={escaped(socket)},server=on,wait=off"]
            arguments += ["--monitor", f"chardev={name}"]
        return [*arguments, *definition.extra_arguments]

    async def connect(self, record: StartRecord, folder: VmFolder, instance: str) -> BlockLayerVm:
        """See OwnProcessDriver."""
        vm = BlockLayerVm(record.definition, instance, folder.commands, None)
        seats, note = ExportSeats(vm.monitor), HaltNote(folder.halt_note)
        halter = ExportHalter(vm.monitor, seats, record.definition, note)
        await vm.connect(seats, DaemonNbdServer(folder.disks), halter, guest=False, halt_note=note)
        return vm

    def short_use(self, folder: VmFolder) -> Path:
        """It has one monitor, the watcher's."""
        return folder.commands

    async def ask_to_stop(self, folder: VmFolder) -> bool:
        """There is no guest to ask."""
        return False

    async def power(self, folder: VmFolder) -> Power:
        """By the note of who halted it."""
        if folder.live() is None:
            return "off"
        return "halted" if FORCED in HaltNote(folder.halt_note).words() else "running"

    def disk_summary(self, disk: DiskDefinition, folder: VmFolder) -> DiskSummary:
        """With the NBD socket at which the disk is read and written."""
        return DiskSummary(disk.id, disk.path, disk.size_bytes, folder.disks, disk.id)


def _refuse_what_is_lacking(definition: VmDefinition) -> None:
    if definition.nics:
        raise Unsupported(
            f"{definition.name} has network interfaces. {LACKS['network']}", "Take them out of the definition."
        )
    if any(disk.iothread for disk in definition.disks):
        raise Unsupported(
            f"{definition.name} asks for an iothread. {LACKS['iothread']}", "Take it out of the definition."
        )
    if not definition.disks:
        raise NotFound(f"{definition.name} has no disks.", "A storage daemon's VM is its disks.")
