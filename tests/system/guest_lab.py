"""Real test guests for system tests: made in a folder, started and stopped by the product's own driver."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from farshore.hypervisor.driver import StartRequest, VmSummary
from farshore.hypervisor.registry import Hypervisors
from farshore.lab.law import ImageFile
from farshore.lab.record_layout import DiskLayout
from farshore.lab.serial import Event, wait_for_event
from farshore.model.rundir import make_run_directory, remove_run_directory
from farshore.model.vm import VmDefinition

BOOT_SECONDS = 60.0
"""About 4 s on an idle machine; these tests share theirs."""


class GuestLab:
    """A site's folder with VMs in it. Use as a context manager: at its end nothing runs and no socket is left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        (folder / "vms").mkdir()
        self.run_dir = make_run_directory(folder)
        self.hypervisors = Hypervisors(folder, self.run_dir, "tcg")
        self.started: dict[str, VmSummary] = {}
        self._marks: dict[Path, int] = {}

    def start(self, definitions: Sequence[VmDefinition], network: str = "own") -> None:
        """Start VMs in a network scope of that name; what is waited for after this was said after it."""
        for vm in definitions:
            self.hypervisors.inventory.put(vm)
            log = self.log(vm)
            self._marks[log] = log.stat().st_size if log.exists() else 0
        summaries = asyncio.run(
            self.hypervisors.start_vms([StartRequest(vm) for vm in definitions], network_scope=self.run_dir / network)
        )
        self.started |= {summary.id: summary for summary in summaries}

    def kill(self, vm: VmDefinition) -> None:
        """kill -9, as a host's power failure would; returns when the process is gone."""
        pid = self.started[vm.id].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        asyncio.run(self.hypervisors.stop_vm(vm.id, force=True))

    def press_power_button(self, vm: VmDefinition) -> None:
        """Ask the guest to switch off, and wait until it has."""
        asyncio.run(self.hypervisors.stop_vm(vm.id, force=False))
        deadline = time.monotonic() + 30
        while asyncio.run(self.hypervisors.find_vm(vm.id)).power != "off":
            assert time.monotonic() < deadline, f"{vm.name} did not switch off: {self.log(vm).read_text()[-300:]}"
            time.sleep(0.05)

    def wait_for(self, vm: VmDefinition, wanted: Callable[[Event], bool]) -> Event:
        """The first such event since the VM was started last."""
        return wait_for_event(self.log(vm), wanted, BOOT_SECONDS, self._marks[self.log(vm)])

    def skip_to_end(self, vm: VmDefinition) -> None:
        """What is waited for from now on is to be said after this."""
        self._marks[self.log(vm)] = self.log(vm).stat().st_size

    @staticmethod
    def log(vm: VmDefinition) -> Path:
        """Its serial log."""
        assert vm.serial_log is not None
        return Path(vm.serial_log)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with ExitStack() as stops:  # one that cannot be stopped does not keep the others running
            for vm_id in self.started:
                stops.callback(lambda vm_id=vm_id: asyncio.run(self.hypervisors.stop_vm(vm_id, force=True)))
        left = [str(path) for path in self.run_dir.rglob("*") if path.is_socket()]
        remove_run_directory(self.folder)
        assert not left, f"sockets were left: {left}"


def images_of(definitions: Sequence[VmDefinition]) -> list[Path]:
    """All disks, in the chain's order."""
    return [Path(disk.path) for vm in definitions for disk in vm.disks]


def put_slot(image: Path, place: int, slot: bytes) -> None:
    """Write a slot of an image's ring from the host."""
    layout = DiskLayout.load(image)
    position = len(slot) * (1 + place)
    for extent in layout.ring:
        if position < extent.length:
            with image.open("r+b") as file:
                file.seek(extent.offset + position)
                file.write(slot)
            return
        position -= extent.length
    raise AssertionError(f"{image} has no slot {place}")


def flip_bit(image: Path, offset: int) -> None:
    """Change one bit of an image."""
    with ImageFile(image) as file:
        byte = file.pread(offset, 1)[0]
    with image.open("r+b") as changed:
        changed.seek(offset)
        changed.write(bytes([byte ^ 1]))
