"""The whole path: 1 GiB that does not compress, read, sent, journaled, fsynced and listed as a checkpoint.

Peer: QEMU's own `blockdev-mirror sync=full` of the same disk to qemu-nbd, timed to BLOCK_JOB_READY, then fsync. At
least 0.1. Beside it the peak memory (PSS) of watchers and carriers of both sites: under 250 MB.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from benchmarks.guest_write import Monitor
from benchmarks.measuring import running, short_folder, tell
from tests.storage_lab import StorageLab, until

SIZE_BYTES = 1 << 30
ROUNDS = 3
PSS_BYTES_MAX = 250_000_000
CARRIERS = {"watcher", "tap", "sender", "journal", "sync"}


def run() -> bool:
    """Paired rounds; whether the bar was met and memory stayed under its bound."""
    pairs, peaks = [], []
    for _ in range(ROUNDS):
        rate, peak = ours()
        pairs.append((rate, peer()))
        peaks.append(peak)
    met = tell("initial sync to a listed checkpoint / mirror", pairs, "MB/s", 0.1)
    print(f"{'peak PSS of watchers and carriers, both sites':44} {max(peaks) / 1e6:12,.1f} MB, under 250: ", end="")
    print("ok" if max(peaks) < PSS_BYTES_MAX else "MISSED", flush=True)
    return met and max(peaks) < PSS_BYTES_MAX


def ours() -> tuple[float, float]:
    """MB/s from the order to the first listed checkpoint, and the peak of PSS in bytes meanwhile."""
    with StorageLab(vms=1, disks=1, size="1G", interval=1) as lab:
        disk = lab.made["vms"][0]["disks"][0]
        fill(Path(disk["path"]))
        sampler = Sampler(lab)
        sampler.start()
        began = time.monotonic()
        lab.run("north", "vpg", "create", "bench", "--vm", lab.made["vms"][0]["name"], "--no-wait", "--json")
        lab.vpg = "bench"
        until(lab.checkpoints, 300, "the first checkpoint")
        elapsed = time.monotonic() - began
        sampler.end()
        return SIZE_BYTES / elapsed / 1e6, sampler.peak_bytes


def fill(path: Path) -> None:
    """Random bytes, durable, so that writing them back does not fall into the measurement."""
    with path.open("r+b") as file:
        for _ in range(SIZE_BYTES >> 24):
            file.write(os.urandom(1 << 24))
        os.fsync(file.fileno())


def peer() -> float:
    """MB/s of the mirror."""
    with short_folder() as folder:
        image, target, monitor_path, disk_path, nbd = (folder / name for name in ("d", "t", "q", "n", "b"))
        image.touch()
        fill(image)
        with target.open("wb") as file:
            file.truncate(SIZE_BYTES)
        daemon = [
            "qemu-storage-daemon",
            "--blockdev", f"driver=raw,node-name=d0,file.driver=file,file.filename={image}",
            "--chardev", f"socket,id=m,path={monitor_path},server=on,wait=off", "--monitor", "chardev=m",
            "--nbd-server", f"addr.type=unix,addr.path={disk_path}",
        ]  # fmt: skip
        server = ["qemu-nbd", "-t", "-k", str(nbd), "-f", "raw", "--cache=writeback", str(target)]
        with running(daemon, disk_path), running(server, nbd):
            monitor = Monitor(monitor_path)
            address = {"type": "unix", "path": str(nbd)}
            monitor.call("blockdev-add", **{"driver": "nbd", "node-name": "t", "server": address, "export": ""})
            began = time.monotonic()
            arguments = {"job-id": "j", "device": "d0", "target": "t", "sync": "full"}
            monitor.call("blockdev-mirror", **arguments)
            monitor.wait("BLOCK_JOB_READY")
            descriptor = os.open(target, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)
            elapsed = time.monotonic() - began
            monitor.call("block-job-cancel", device="j")
            monitor.wait("BLOCK_JOB_COMPLETED")
            monitor.close()
        return SIZE_BYTES / elapsed / 1e6


class Sampler(threading.Thread):
    """Adds up the PSS of a lab's watchers and carriers, twice a second, and keeps the peak."""

    def __init__(self, lab: StorageLab) -> None:
        super().__init__(daemon=True)
        self.lab = lab
        self.peak_bytes = 0.0
        self._ending = threading.Event()

    def run(self) -> None:
        """Sample until the end."""
        while not self._ending.wait(0.5):
            pids = [pid for site in ("north", "south") for pid, role in self.lab.processes(site) if role in CARRIERS]
            self.peak_bytes = max(self.peak_bytes, sum(map(pss_bytes, pids)))

    def end(self) -> None:
        """Stop sampling."""
        self._ending.set()
        self.join()


def pss_bytes(pid: int) -> int:
    """A process's proportional share of memory; 0 when it has just ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:")), 0)
