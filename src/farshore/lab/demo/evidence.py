"""What the demo looks at itself: disks through views of the journal's files, guests by their serial lines."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from farshore.datapath.journal import Journal
from farshore.errors import Fault
from farshore.hypervisor.inventory import Inventory
from farshore.lab.demo.checks import Check
from farshore.lab.law import LawReport, check_recovered_set
from farshore.lab.record_layout import DiskLayout, ReadableDisk
from farshore.lab.serial import Event, read_events
from farshore.lab.testimony import Testimony
from farshore.nbd.client import NbdClient

VIEW_SECONDS = 20.0
LOOK_SECONDS = 0.01


def disk_layouts(site_folder: Path) -> dict[tuple[str, str], DiskLayout]:
    """The layouts of all disks of the test guests of a site's inventory, by VM and disk."""
    definitions = [entry.definition for entry in Inventory(site_folder / "vms").entries() if entry.definition]
    return {(vm.id, disk.id): DiskLayout.load(Path(disk.path)) for vm in definitions for disk in vm.disks}


def layouts_by_name(site_folder: Path) -> dict[tuple[str, str], DiskLayout]:
    """The same by the VM's name, which stays when a recovery gives it another identifier and other files."""
    definitions = [entry.definition for entry in Inventory(site_folder / "vms").entries() if entry.definition]
    return {(vm.name, disk.id): DiskLayout.load(Path(disk.path)) for vm in definitions for disk in vm.disks}


def layouts_of(site_folder: Path, made: Mapping[tuple[str, str], DiskLayout]) -> dict[tuple[str, str], DiskLayout]:
    """The layouts, as `made` once, of the VMs that a site runs now, by their present identifiers."""
    inventory = Inventory(site_folder / "vms")
    found = [entry.definition for entry in inventory.entries() if entry.definition]
    own = [vm for vm in found if inventory.held(vm.id) is None]
    return {(vm.id, disk.id): made[vm.name, disk.id] for vm in own for disk in vm.disks}


def disk_paths(site_folder: Path) -> dict[tuple[str, str], Path]:
    """The files of the disks of the VMs that a site runs or ran, held ones left out, by VM name and disk."""
    inventory = Inventory(site_folder / "vms")
    found = [entry.definition for entry in inventory.entries() if entry.definition]
    own = [vm for vm in found if inventory.held(vm.id) is None]
    return {(vm.name, disk.id): Path(disk.path) for vm in own for disk in vm.disks}


def examine_checkpoint(
    journal_folder: Path,
    checkpoint_id: str,
    layouts: Mapping[tuple[str, str], DiskLayout],
    testimony: Testimony | None = None,
    asked_ns: int | None = None,
    completed_ns: int | None = None,
) -> LawReport:
    """The law over all disks at a checkpoint, read through views of the journal's files. Raises Fault, Damaged."""
    with open_disks(journal_folder, checkpoint_id, layouts) as disks:
        return check_recovered_set(disks, testimony, asked_ns, completed_ns)


def check_examined(name: str, report: LawReport) -> Check:
    """The host's verification of a checkpoint as a check."""
    return Check(name, report.good, report.summary)


@contextmanager
def open_disks(
    journal_folder: Path, checkpoint_id: str, layouts: Mapping[tuple[str, str], DiskLayout]
) -> Iterator[dict[int, tuple[DiskLayout, ReadableDisk]]]:
    """All disks at a checkpoint, each behind a view process of its own, by the disk's number in the chain."""
    with Journal.open(journal_folder) as journal:
        volumes = journal.volumes_at(journal.checkpoint(checkpoint_id))
    sockets = Path(tempfile.mkdtemp(prefix="fs"))
    try:
        with ExitStack() as stack:
            disks: dict[int, tuple[DiskLayout, ReadableDisk]] = {}
            for volume in volumes:
                layout = layouts[volume["vm_id"], volume["disk_id"]]
                socket = sockets / str(volume["number"])
                stack.enter_context(_view(journal_folder, checkpoint_id, volume["number"], socket))
                disks[layout.number] = (layout, stack.enter_context(NbdClient(socket)))
            yield disks
    finally:
        shutil.rmtree(sockets)


@contextmanager
def _view(journal_folder: Path, checkpoint_id: str, volume: int, socket: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "farshore.datapath.view", "--journal", os.fspath(journal_folder)]
    command += ["--checkpoint", checkpoint_id, "--volume", str(volume), "--socket", os.fspath(socket)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            if process.stdout.readline() != b"ready\n":
                raise Fault(f"Volume {volume} cannot be opened at checkpoint {checkpoint_id}.", "See the lines above.")
            yield
        finally:
            process.terminate()
            process.wait(VIEW_SECONDS)


def guest_events(logs: Mapping[str, Path]) -> dict[str, list[Event]]:
    """What each guest has said so far, by its name."""
    return {name: read_events(path) for name, path in logs.items()}


class FirstWords:
    """Sees when the first serial output of a new guest comes: looks for new logs in a folder from the call on."""

    def __init__(self, folder: Path, pattern: str = "vm-*.serial") -> None:
        self._folder = folder
        self._pattern = pattern
        self._known = {path: path.stat().st_size for path in folder.glob(pattern)}
        self._stop = threading.Event()
        self.seen_ns: int | None = None
        self._thread = threading.Thread(target=self._look, name="first-words")
        self._thread.start()

    def end(self) -> int | None:
        """Stop looking; when the first byte was seen (unix time), None if none came."""
        self._stop.set()
        self._thread.join()
        return self.seen_ns

    def _look(self) -> None:
        while not self._stop.is_set():
            for path in self._folder.glob(self._pattern):
                if path.stat().st_size > self._known.get(path, 0):
                    self.seen_ns = time.time_ns()
                    return
            self._stop.wait(LOOK_SECONDS)
