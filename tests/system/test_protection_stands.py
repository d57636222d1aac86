"""Bad luck that protection must stand: a mirror cancelled by somebody, a link that is cut, a store that is full."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from farshore.appliance.client import ApplianceClient
from farshore.datapath.journal import Journal
from farshore.hypervisor.block_layer.names import job_prefix
from farshore.hypervisor.processes import VmFolder
from farshore.identity.contexts import client_context
from farshore.model.rundir import run_directory
from farshore.model.site import SiteConfig
from tests.storage_lab import StorageLab, farshore, until


def newest_ns(lab):
    """The newest checkpoint's time, from the journal's files."""
    with Journal.open(lab.journal_folder()) as journal:
        return max((c.time_ns for c in journal.checkpoints()), default=0)


def times_ns(lab):
    """All checkpoints' times, from the journal's files."""
    with Journal.open(lab.journal_folder()) as journal:
        return [c.time_ns for c in journal.checkpoints()]


def somebody_cancels_a_mirror(lab):
    """As an owner's tool might: a soft cancel of one disk's mirror job, on a monitor that is not ours to use."""
    vm_id = lab.made["vms"][0]["id"]
    path = VmFolder(run_directory(Path(lab.site("north")["folder"])), vm_id).control
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.settimeout(10)
        monitor.connect(os.fspath(path))
        lines = monitor.makefile("rb")
        lines.readline()
        monitor.sendall(b'{"execute": "qmp_capabilities"}{"execute": "query-block-jobs"}')
        jobs = None
        while jobs is None:
            said = json.loads(lines.readline()).get("return")
            jobs = said if isinstance(said, list) else None
        disk_id = lab.made["vms"][0]["disks"][1]["id"]
        victim = next(job["device"] for job in jobs if job["device"].startswith(job_prefix(disk_id)))
        order = {"execute": "block-job-cancel", "arguments": {"device": victim}}
        monitor.sendall(json.dumps(order).encode())
        cancelled_ns = time.time_ns()
        while "return" not in json.loads(lines.readline()):
            continue
        lines.close()
        return cancelled_ns


def test_a_mirror_that_somebody_cancels_stops_the_checkpoints_until_it_is_synced_again():
    """I1: no checkpoint is listed that lacks a disk; it is attached and synced by itself, and the law holds."""
    with StorageLab(vms=2, disks=2) as lab:
        lab.begin()
        until(lambda: len(times_ns(lab)) >= 2, 60, "two checkpoints")
        for _ in range(3):
            cancelled_ns = somebody_cancels_a_mirror(lab)
            until(lambda after=cancelled_ns: newest_ns(lab) > after, 30, "a checkpoint after the cancel")
        status = lab.run("north", "vpg", "show", lab.vpg, "--json")
        assert status["Status"] == 1
        lab.chain.end()
        assert lab.check_law() > 4
        assert not lab.chain.failures
        assert lab.chain.worst_seconds < 2
        with Journal.open(lab.journal_folder()) as journal:
            assert sum(c.hole_before for c in journal.checkpoints()) >= 3


@pytest.mark.timeout(300)
def test_a_link_that_is_cut_for_30_seconds_is_bridged_or_repaired():
    """Checkpoints go on being cut while the window has room; they arrive with the link, and the law holds."""
    with StorageLab(vms=2, disks=2, pace_seconds=0.002) as lab:
        lab.begin()
        until(lambda: len(times_ns(lab)) >= 2, 60, "two checkpoints")
        farshore("lab", "link", "down", "--dir", lab.folder / "lab")
        cut_ns = time.time_ns()
        before = lab.chain.acknowledged[0][-1][0]
        until(lambda: time.time_ns() > cut_ns + 30 * 10**9, 40, "30 s")
        assert lab.chain.acknowledged[0][-1][0] > before + 100
        assert newest_ns(lab) < cut_ns + 2 * 10**9
        farshore("lab", "link", "up", "--dir", lab.folder / "lab")
        up_ns = time.time_ns()
        until(lambda: newest_ns(lab) > up_ns, 60, "a checkpoint after the link is back")
        meanwhile = [t for t in times_ns(lab) if cut_ns + 10**9 < t < up_ns]
        print(f"{len(meanwhile)} checkpoints were cut while the link was down")
        lab.chain.end()
        assert lab.check_law() > 2
        assert meanwhile, "the window bridges what fits into it"
        assert not lab.chain.failures
        assert lab.chain.worst_seconds < 2


@pytest.mark.timeout(300)
def test_a_stalled_link_that_outlasts_the_window_is_repaired_by_a_bitmap_sync():
    """More is written than the window holds: the stream breaks, the guest goes on, the bitmaps repair."""
    with StorageLab(vms=1, disks=2, size="256M", pace_seconds=0.002) as lab:
        lab.begin()
        until(lambda: len(times_ns(lab)) >= 2, 60, "two checkpoints")
        farshore("lab", "link", "stall", "--dir", lab.folder / "lab")
        _write_much(lab, 150 << 20)
        until(lambda: "caught up" in _status(lab), 30, "the window is full")
        farshore("lab", "link", "up", "--dir", lab.folder / "lab")
        up_ns = time.time_ns()
        until(lambda: newest_ns(lab) > up_ns, 90, "a checkpoint after the link is back")
        lab.chain.end()
        assert lab.check_law() > 2
        assert not lab.chain.failures
        assert lab.chain.worst_seconds < 2


def _status(lab):
    """What north's appliance says of its protection, as one text."""
    folder = Path(lab.site("north")["folder"])
    config = SiteConfig.load(folder)
    (order,) = (folder / "appliance" / "protect").glob("*.json")

    async def ask():
        context = client_context(folder / "identity", config.site_id)
        client = ApplianceClient(config.host, config.appliance_port, context)
        try:
            return await client.protection_status(order.stem)
        finally:
            await client.close()

    return json.dumps(asyncio.run(ask()))


def _write_much(lab, size_bytes):
    disk = lab.made["vms"][0]["disks"][1]
    subprocess.run(
        ["qemu-img", "bench", "-w", "-t", "none", "-f", "raw", "-s", "1048576", "-d", "4", "-o", str(16 << 20), "-S",
         "1048576", "-c", str(size_bytes >> 20), f"nbd+unix:///{disk['nbd_export']}?socket={disk['nbd_socket']}"],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip


@pytest.mark.root(reason="mounts a small file system for the journal")
@pytest.mark.timeout(300)
def test_a_full_store_refuses_and_resumes_by_itself_and_loses_no_checkpoint():
    """The journal's store fills up: what is listed stays whole, guests go on; with room it resumes."""
    with StorageLab(vms=1, disks=2, size="64M") as lab:
        store = Path(lab.site("south")["folder"]) / "journal"
        store.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160M", "tmpfs", str(store)], check=True)
        try:
            lab.begin()
            until(lambda: len(times_ns(lab)) >= 2, 60, "two checkpoints")
            ballast = store / "ballast"
            with ballast.open("wb") as file:
                statistics = os.statvfs(store)
                file.write(bytes(max(0, statistics.f_bavail * statistics.f_frsize - (12 << 20))))
            _write_much(lab, 24 << 20)
            until(lambda: "no_space" in _status(lab), 30, "the store is told to be full")
            full_ns = time.time_ns()
            listed = times_ns(lab)
            assert lab.check_law() == len(listed)
            ballast.unlink()
            until(lambda: newest_ns(lab) > full_ns, 60, "a checkpoint after there is room again")
            assert set(listed) <= set(times_ns(lab))
            lab.chain.end()
            lab.check_law()
            assert not lab.chain.failures
            assert lab.chain.worst_seconds < 2
        finally:
            lab.run("south", "vpg", "delete", lab.vpg, "--yes", "--json", check=False)
            for pid, role in lab.processes("south"):
                if role == "site":
                    os.kill(pid, signal.SIGTERM)
            until(lambda: not lab.processes("south"), 30, "south has ended")
            subprocess.run(["umount", str(store)], check=True)
