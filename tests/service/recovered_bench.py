"""A recovered VM under test: overlays over read-only views of plain files, a load, and what its disks must hold."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from farshore.hypervisor.block_layer.vm_handle import BlockLayerVm
from farshore.hypervisor.driver import Overlay
from farshore.model.vm import VmDefinition
from farshore.nbd.client import NbdClient
from tests.service.vm_bench import GRANULE, SIZES, QemuBench, Sink, VmBench


class Cut(Exception):
    """A process of ours that was killed before a step."""


class View(Sink):
    """A view of a disk, read-only, as the view's carrier serves it: the file stays open beside QEMU."""

    def __init__(self, folder: Path, disk_id: str, base: Path) -> None:
        self._base = base
        super().__init__(folder, disk_id, base.stat().st_size)

    def command(self) -> list[str]:
        """nbdkit's file plugin."""
        return ["nbdkit", "-f", "-r", "-U", str(self.socket), "file", str(self._base)]


class Hand:
    """Writes to a VM's disks, and flushes each write: what an image tool finds after a kill is what was flushed.

    To a storage daemon always on the same connections, as a guest's devices would. A new connection that comes while
    QEMU drains is served nevertheless: a write on it in the instant of the move is lost, or the daemon aborts (7.2);
    the drain waits for it for ever (10.0).
    """

    def __init__(self, bench: VmBench) -> None:
        self._bench = bench
        self._clients: dict[str, NbdClient] = {}

    async def write(self, disk_id: str, offset: int, length: int, pattern: int) -> None:
        """A write that is durable when it returns."""
        if isinstance(self._bench, QemuBench):
            await self._bench.write(disk_id, offset, length, pattern)
            await self._bench.flush(disk_id)
            return
        await self.connect(disk_id)
        client = self._clients[disk_id]

        def work() -> None:
            client.pwrite(offset, bytes([pattern]) * length)
            client.flush()

        await asyncio.to_thread(work)

    async def connect(self, disk_id: str) -> None:
        """Have the connection on which a storage daemon's disk is written."""
        if disk_id not in self._clients and not isinstance(self._bench, QemuBench):
            disks = self._bench.driver.processes.folder("vm-1").disks
            self._clients[disk_id] = await asyncio.to_thread(NbdClient, disks, disk_id)

    def close(self) -> None:
        """Hang up; the next write connects anew."""
        for client in self._clients.values():
            with suppress(OSError):
                client.close()
        self._clients.clear()


class Recovered:
    """See the module. Use as an asynchronous context manager."""

    def __init__(self, bench: VmBench) -> None:
        self.bench = bench
        self.bases = {disk_id: bench.folder / f"base-{disk_id}.raw" for disk_id in SIZES}
        self.scratch = {disk_id: bench.folder / "scratch" / f"{disk_id}.qcow2" for disk_id in SIZES}
        self.expected: dict[str, bytearray] = {}
        self.written: dict[str, set[int]] = {disk_id: set() for disk_id in SIZES}
        self.longest = 0.0
        self.seed = random.randrange(1 << 30)
        self._chance = random.Random(self.seed)
        self._load: asyncio.Task[None] | None = None
        self._over = False
        self._hand = Hand(bench)
        for disk_id, size in SIZES.items():
            self.expected[disk_id] = bytearray(self._chance.randbytes(size))
            self.bases[disk_id].write_bytes(self.expected[disk_id])

    @property
    def settled(self) -> VmDefinition:
        """The VM on its plain files."""
        disks = tuple(
            disk.model_copy(update={"path": str(self.bases[disk.id])}) for disk in self.bench.definition.disks
        )
        return self.bench.definition.model_copy(update={"disks": disks})

    async def __aenter__(self) -> Self:
        bench = self.bench
        overlays = {}
        for disk_id, base in self.bases.items():
            bench.sinks[f"view-{disk_id}"] = view = View(bench.short, disk_id, base)
            overlays[disk_id] = Overlay(view.socket, "", self.scratch[disk_id])
        await bench.driver.start_vm(bench.definition, overlays=overlays, label="failover")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._load is not None:
            self._load.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await self._load
        self._hand.close()

    def hang_up(self) -> None:
        """The VM's process is another one from now on."""
        self._hand.close()

    async def write(self, disk_id: str) -> None:
        """One write at random, kept."""
        length = self._chance.choice((512, 4096, GRANULE))
        offset = self._chance.randrange((SIZES[disk_id] - length) // 512 + 1) * 512
        pattern = self._chance.randrange(256)
        began = time.monotonic()
        await self._hand.write(disk_id, offset, length, pattern)
        self.longest = max(self.longest, time.monotonic() - began)
        self.expected[disk_id][offset : offset + length] = bytes([pattern]) * length
        self.written[disk_id].update(range(offset // GRANULE, (offset + length - 1) // GRANULE + 1))

    async def begin_load(self) -> None:
        """Write all the time from now on, on connections that are there when it returns."""
        self._over = False
        for disk_id in SIZES:
            await self._hand.connect(disk_id)

        async def work() -> None:
            while not self._over:
                for disk_id in SIZES:
                    await self.write(disk_id)

        self._load = asyncio.create_task(work())

    async def end_load(self) -> None:
        """Write no more; returns when every write that was begun has ended. Raises what a write raised."""
        self._over = True
        assert self._load is not None
        await self._load

    def check(self) -> None:
        """The plain files hold, to the byte, what was written."""
        for disk_id, base in self.bases.items():
            found = base.read_bytes()
            wanted = self.expected[disk_id]
            wrong = [at for at in range(0, len(found), 512) if found[at : at + 512] != wanted[at : at + 512]]
            assert not wrong, f"disk {disk_id} differs at {wrong[:5]} and {len(wrong)} sectors in all, seed {self.seed}"


def cut_after(vm: BlockLayerVm, steps: int) -> list[str]:
    """Let a process of ours die before it sends one more changing command than `steps`; the names of those sent."""
    run: Callable[..., Any] = vm.monitor.run
    sent: list[str] = []

    async def counted(command: str, *args: Any, **kwargs: Any) -> Any:
        if not command.startswith(("query-", "x-debug-")):
            if len(sent) == steps:
                raise Cut(command)
            sent.append(command)
        return await run(command, *args, **kwargs)

    vm.monitor.run = counted  # type: ignore[method-assign]  # commands are counted where they are sent
    return sent
