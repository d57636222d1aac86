"""A VM of two disks on a driver under test, with sinks in the place of taps, and hands to write to its disks.

A sink is nbdkit's memory plugin: a process of its own that can be killed and stopped, and whose content tells which
writes arrived.
"""

from __future__ import annotations

import asyncio
import functools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from farshore.hypervisor.block_layer.monitor import Monitor
from farshore.hypervisor.block_layer.vm_handle import BlockLayerVm
from farshore.hypervisor.driver import TapDisk
from farshore.hypervisor.own_processes import OwnProcessDriver
from farshore.hypervisor.qemu.driver import QemuDriver
from farshore.hypervisor.storage_daemon.driver import StorageDaemonDriver
from farshore.model.vm import DiskDefinition, VmDefinition
from farshore.nbd.client import NbdClient

SIZES = {"a": 16 << 20, "b": (8 << 20) + 512}
GRANULE = 65536


def in_loop(test: Callable[..., Coroutine[Any, Any, None]] | None = None, *, seconds: float = 120) -> Any:
    """Run a test that is a coroutine, within a bound."""
    if test is None:
        return functools.partial(in_loop, seconds=seconds)
    body = test

    @functools.wraps(body)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(asyncio.wait_for(body(*args, **kwargs), seconds))

    return run


async def until(holds: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to be in time"
        await asyncio.sleep(0.01)


def _answers(path: Path) -> bool:
    """The file is there before its process listens."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


class Sink:
    """The sink of one disk."""

    def __init__(self, folder: Path, disk_id: str, size: int) -> None:
        self.disk_id = disk_id
        self.socket = folder / f"sink-{disk_id}-{time.monotonic_ns()}"
        self.size = size
        self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while not _answers(self.socket):
            assert self.process.poll() is None, "nbdkit did not start"
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def command(self) -> list[str]:
        """nbdkit's memory plugin."""
        command = ["nbdkit", "-f", "-U", str(self.socket), "--filter=blocksize-policy", "memory", str(self.size)]
        return [*command, "blocksize-minimum=1"]

    @property
    def tap(self) -> TapDisk:
        """Where the driver finds it."""
        return TapDisk(self.disk_id, self.socket, "")

    def read(self, offset: int, length: int) -> bytes:
        """What arrived there."""
        with NbdClient(self.socket) as client:
            return client.pread(offset, length)

    def stop(self) -> None:
        """Let it hang: return once each of its threads has stopped."""
        self.process.send_signal(signal.SIGSTOP)
        tasks = Path(f"/proc/{self.process.pid}/task")
        deadline = time.monotonic() + 5
        while any((task / "stat").read_text().rsplit(")", 1)[1].split()[0] != "T" for task in tasks.iterdir()):
            assert time.monotonic() < deadline, "it does not stop"
            time.sleep(0.01)

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait(10)
        self.socket.unlink(missing_ok=True)


class VmBench(ABC):
    """The VM under test."""

    driver: OwnProcessDriver

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.short = Path(tempfile.mkdtemp(prefix="fs", dir="/tmp"))
        self.sinks: dict[str, Sink] = {}
        self.lost: list[tuple[str, str]] = []
        for disk_id, size in SIZES.items():
            (folder / f"{disk_id}.raw").touch()
            os.truncate(folder / f"{disk_id}.raw", size)

    def disks(self, *, iothread: bool = False) -> tuple[DiskDefinition, ...]:
        """The two disks."""
        return tuple(
            DiskDefinition(id=name, path=str(self.folder / f"{name}.raw"), size_bytes=size, iothread=iothread)
            for name, size in SIZES.items()
        )

    @property
    @abstractmethod
    def definition(self) -> VmDefinition:
        """The VM."""

    @abstractmethod
    async def write(self, disk_id: str, offset: int, length: int, pattern: int) -> None:
        """A write of the guest."""

    async def start(self) -> BlockLayerVm:
        """Start the VM and open it."""
        self.driver.inventory.put(self.definition)
        await self.driver.start_vm(self.definition)
        return await self.open()

    async def open(self) -> BlockLayerVm:
        """Open it (again)."""
        vm = await self.driver.open_vm(self.definition.id)
        vm.on_lost = lambda disk_id, reason: self.lost.append((disk_id, reason))
        return vm

    def new_sinks(self) -> list[TapDisk]:
        """Fresh sinks for all disks, in the place of the old ones."""
        for disk_id, size in SIZES.items():
            if disk_id in self.sinks:
                self.sinks.pop(disk_id).kill()
            self.sinks[disk_id] = Sink(self.short, disk_id, size)
        return [self.sinks[disk_id].tap for disk_id in SIZES]

    def kill_sinks(self) -> None:
        """End all sinks."""
        for sink in self.sinks.values():
            sink.kill()

    async def close(self) -> None:
        """Leave nothing behind, and say so if something cannot be removed."""
        self.kill_sinks()
        self.driver.inventory.put(self.definition)
        await self.driver.stop_vm(self.definition.id, force=True)
        self.driver.inventory.remove(self.definition.id)
        left = [path.name for path in self.short.rglob("*") if path.name != "run"]
        shutil.rmtree(self.short)
        assert left == [], "sockets or records were left behind"


class StorageDaemonBench(VmBench):
    """A qemu-storage-daemon."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.driver = StorageDaemonDriver(folder / "site", self.short / "run")

    @property
    def definition(self) -> VmDefinition:
        """Two disks, nothing else."""
        return VmDefinition(id="vm-1", name="disks", hypervisor="storage_daemon", disks=self.disks())

    async def write(self, disk_id: str, offset: int, length: int, pattern: int) -> None:
        """Through the disk's writable export."""
        disks = self.driver.processes.folder(self.definition.id).disks

        def work() -> None:
            with NbdClient(disks, disk_id) as client:
                client.pwrite(offset, bytes([pattern]) * length)

        await asyncio.to_thread(work)


class QemuBench(VmBench):
    """A QEMU whose guest never runs: its devices' writes are made by QEMU's own `qemu-io`, on the owner's monitor."""

    def __init__(self, folder: Path, *, iothread: bool = False) -> None:
        super().__init__(folder)
        self.iothread = iothread
        self.driver = QemuDriver(folder / "site", self.short / "run", "tcg")

    @property
    def definition(self) -> VmDefinition:
        """With a monitor of the owner's."""
        return VmDefinition(
            id="vm-1", name="guest", memory_mib=64, disks=self.disks(iothread=self.iothread),
            extra_arguments=("-S", "-qmp", f"unix:{self.short}/run/owner,server=on,wait=off"),
        )  # fmt: skip

    async def owner(self, command: str, arguments: dict[str, Any] | None = None, seconds: float = 30) -> Any:
        """A command of the owner's tools."""
        monitor = Monitor(self.short / "run" / "owner")
        await monitor.connect()
        try:
            return await monitor.run(command, arguments, bound_seconds=seconds)
        finally:
            await monitor.close()

    async def write(self, disk_id: str, offset: int, length: int, pattern: int) -> None:
        """Through the guest's device."""
        await self._qemu_io(disk_id, f"write -P {pattern} {offset} {length}")

    async def flush(self, disk_id: str) -> None:
        """A flush of the guest."""
        await self._qemu_io(disk_id, "flush")

    async def _qemu_io(self, disk_id: str, words: str) -> None:
        line = f'qemu-io -d /machine/peripheral/vd-{disk_id}/virtio-backend "{words}"'
        said = await self.owner("human-monitor-command", {"command-line": line})
        assert "wrote" in said or not said, said

    async def close(self) -> None:
        """QEMU does not remove the owner's socket when it is killed."""
        (self.short / "run" / "owner").unlink(missing_ok=True)
        await super().close()
        (self.short / "run" / "owner").unlink(missing_ok=True)
