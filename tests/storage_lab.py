"""A lab of storage VMs whose disks carry the chain of records, written from here over NBD; for tests.

The chain is the guests': record n on every disk in turn, each issued only after the one before was answered, then n +
1. What was answered, when, and how long it took is kept here, apart from the product.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from farshore.cli.processes import site_processes
from farshore.datapath.journal import Journal
from farshore.datapath.view.volume import VolumeView
from farshore.lab.disk_examination import examine_disk
from farshore.lab.law import check_prefix
from farshore.lab.record_layout import DiskLayout, Extent, make_empty, make_header, make_record
from farshore.nbd.client import NbdClient, NbdFault

ROOT = Path(__file__).parents[1]
SLOTS = 512
SLOT_BYTES = 4096
RING_BYTES = (SLOTS + 1) * SLOT_BYTES
RANDOM_BYTES = 4 << 20


def farshore(*words, timeout=120, check=True, environment=None):
    """The product's own command line; its JSON when `--json` is among the words."""
    done = subprocess.run(
        [sys.executable, "-m", "farshore", *map(str, words)], capture_output=True, text=True, timeout=timeout,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), **(environment or {})}, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if check and done.returncode:
        raise AssertionError(f"farshore {' '.join(map(str, words))}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return json.loads(done.stdout) if "--json" in words and done.returncode == 0 else done


class Chain(threading.Thread):
    """Writes the chain until `end`. `disks`: (socket, export) in the chain's order."""

    def __init__(self, disks, pace_seconds=0.0):
        super().__init__(daemon=True)
        self.disks = [NbdClient(path, export) for path, export in disks]
        self.layouts = []
        self.pace_seconds = pace_seconds
        self.acknowledged = [[] for _ in disks]  # (number, issued_ns, answered_ns) of each disk
        self.worst_seconds = 0.0
        self.failures = []
        self._ending = threading.Event()
        for number, disk in enumerate(self.disks):
            self._prepare(number, disk)

    def _prepare(self, number, disk):
        random = os.urandom(RANDOM_BYTES)
        layout = DiskLayout(
            number=number, kind="raw", size_bytes=disk.size_bytes, slots=SLOTS, ring=(Extent(0, RING_BYTES),),
            random=(Extent(RING_BYTES, RANDOM_BYTES),), random_sha256=hashlib.sha256(random).hexdigest(),
        )  # fmt: skip
        ring = make_header(number, SLOTS, RING_BYTES, RANDOM_BYTES, 0)
        ring += b"".join(make_empty(slot, number) for slot in range(SLOTS))
        assert len(ring) == RING_BYTES
        disk.pwrite(0, ring)
        disk.pwrite(RING_BYTES, random)
        self.layouts.append(layout)

    def run(self):
        number = 0
        try:
            while not self._ending.is_set():
                number += 1
                for which, disk in enumerate(self.disks):
                    record = make_record(number, which)
                    issued = time.time_ns()
                    disk.pwrite((1 + number % SLOTS) * SLOT_BYTES, record)
                    answered = time.time_ns()
                    self.acknowledged[which].append((number, issued, answered))
                    self.worst_seconds = max(self.worst_seconds, (answered - issued) / 1e9)
                if self.pace_seconds:
                    self._ending.wait(self.pace_seconds)
        except NbdFault as error:
            self.failures.append(str(error))

    def end(self):
        self._ending.set()
        self.join(20)
        for disk in self.disks:
            disk.close()

    def last_before(self, which, time_ns):
        """The last record of a disk that was answered before that time."""
        return max((n for n, _, answered in self.acknowledged[which] if answered < time_ns), default=0)

    def first_after(self, which, time_ns):
        """The first record of a disk that was issued after that time; a large number when there is none."""
        return min((n for n, issued, _ in self.acknowledged[which] if issued > time_ns), default=1 << 60)


class StorageLab:
    """`farshore lab up --guest storage` with a chain on its disks. Use as a context manager."""

    def __init__(self, vms=2, disks=2, size="32M", interval=1, pace_seconds=0.002, folder=None, environment=None):
        self.folder = folder or Path(tempfile.mkdtemp(prefix="fsl", dir="/tmp"))
        self.pace_seconds = pace_seconds
        self.chain = None
        self.interval = interval
        try:
            self.made = farshore(
                "lab", "up", "--dir", self.folder / "lab", "--guest", "storage", "--vms", vms, "--disks", disks,
                "--size", size, "--checkpoint-interval", interval, "--json", environment=environment,
            )  # fmt: skip
        except BaseException:
            self.close()
            raise

    def site(self, name):
        return next(s for s in self.made["sites"] if s["name"] == name)

    def run(self, site, *words, **more):
        return farshore(*words, "--site-dir", self.site(site)["folder"], **more)

    def begin(self, name="group"):
        """Write the chain's rings, protect all VMs, and begin to write."""
        disks = [(d["nbd_socket"], d["nbd_export"]) for vm in self.made["vms"] for d in vm["disks"]]
        self.chain = Chain(disks, self.pace_seconds)
        self.chain.start()
        words = [word for vm in self.made["vms"] for word in ("--vm", vm["name"])]
        self.run("north", "vpg", "create", name, *words, "--checkpoint-interval", self.interval, "--json")
        self.vpg = name
        return self

    def checkpoints(self, site="south"):
        return self.run(site, "vpg", "checkpoints", self.vpg, "--json")

    def processes(self, name):
        """Our processes of a site, (pid, role); carriers by their own names: tap, sender, journal, view, sync."""
        return [(p.pid, _role(p)) for p in site_processes(Path(self.site(name)["folder"]))]

    def journal_folder(self):
        (folder,) = (path for path in (Path(self.site("south")["folder"]) / "journal").iterdir() if path.is_dir())
        return folder

    def check_law(self, asked_ns=None, completed_ns=None, only=None):
        """The law at every checkpoint (or at `only`), from the journal's files alone. Returns how many were checked."""
        faults, checked = [], 0
        journal = Journal.open(self.journal_folder())
        try:
            for checkpoint in journal.checkpoints():
                if only is not None and checkpoint.id != only:
                    continue
                faults += [
                    (checkpoint.id, fault) for fault in self._law_at(journal, checkpoint, asked_ns, completed_ns)
                ]
                checked += 1
        finally:
            journal.close()
        assert not faults, faults[:5]
        return checked

    def _law_at(self, journal, checkpoint, asked_ns, completed_ns):
        findings = []
        for number, layout in enumerate(self.chain.layouts):
            with VolumeView(journal, number, checkpoint.ordinal) as view:
                findings.append(examine_disk(layout, _Readable(view)))
        faults = [fault for finding in findings for fault in finding.faults] + check_prefix(findings)
        for which, finding in enumerate(findings):
            if asked_ns is not None and finding.top < self.chain.last_before(which, asked_ns):
                faults.append(f"disk {which} ends at {finding.top}")
            if completed_ns is not None and finding.top >= self.chain.first_after(which, completed_ns):
                faults.append(f"disk {which} holds {finding.top}")
        return faults

    def close(self):
        if self.chain is not None:
            self.chain.end()
        farshore("lab", "down", "--dir", self.folder / "lab", check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class _Readable:
    def __init__(self, view):
        self.view = view

    def pread(self, offset, length):
        buffer = bytearray(length)
        self.view.read_into(memoryview(buffer), offset)
        return bytes(buffer)


def _role(process):
    carriers = {"tap": "tap", "sender_process": "sender", "journal_carrier": "journal", "view": "view", "sync": "sync"}
    module = next((word for word in process.command if word.startswith("farshore.datapath.")), "")
    return carriers.get(module.rpartition(".")[2], process.role)


def until(condition, seconds, what):
    """Wait until `condition()` is true; what it returned."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(AssertionError):
            found = condition()
            if found:
                return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.1)
