"""The hypervisor contract with QEMU, with and without iothreads, and what only devices and the owner's tools show."""

from __future__ import annotations

import asyncio
import subprocess
import time

import pytest

from farshore.errors import Unavailable, Unsupported
from farshore.hypervisor.block_layer.qualification import Manner
from farshore.hypervisor.driver import AttachRefused, StartFailed, StartRequest, TapLost
from farshore.nbd.client import NbdClient
from tests.service.hypervisor_contract import HypervisorContract, ours
from tests.service.vm_bench import GRANULE, SIZES, QemuBench, in_loop, until


@pytest.fixture
def bench(tmp_path):
    """Disks without an iothread."""
    made = QemuBench(tmp_path)
    yield made
    asyncio.run(made.close())


@pytest.fixture
def iothreads(tmp_path):
    """Disks with an iothread each."""
    made = QemuBench(tmp_path, iothread=True)
    yield made
    asyncio.run(made.close())


class TestQemu(HypervisorContract):
    """See hypervisor_contract."""


class TestQemuWithIothreads(HypervisorContract):
    """The same; a sync export may be refused there, so those tests are in TestIothreads."""

    @pytest.fixture
    def bench(self, iothreads):
        """Disks with an iothread each."""
        return iothreads

    @pytest.fixture(autouse=True)
    def _version(self, request, bench):
        reads = ("frozen_set", "rotate", "recovered_vm", "read_by_a_sync")
        if any(word in request.node.name for word in reads) and not asyncio.run(_may_export(bench)):
            pytest.skip("this QEMU aborts when a reader leaves the export of an iothread disk; it is refused")


class TestOwnersTools:
    """What the shim is for: the owner's tools go on working while the disk is tapped."""

    @pytest.fixture(autouse=True)
    def _shim(self, bench):
        async def manner():
            vm = await bench.start()
            await vm.close()
            return vm.qualification.manner(iothread=False)

        if asyncio.run(manner()) is not Manner.SHIM:
            pytest.skip("this QEMU version was not soaked: no shim is put in")

    @in_loop
    async def test_the_owners_backup_runs_while_the_disk_is_tapped(self, bench: QemuBench):
        """`blockdev-backup` of the disk's node gives its content, and the tap goes on."""
        vm = await bench.open()
        await vm.attach(bench.new_sinks())
        await bench.write("a", 0, 4096, 5)
        await _backup(bench, "a")
        assert (bench.folder / "backup.raw").read_bytes()[:4096] == b"\5" * 4096
        await bench.write("a", 4096, 4096, 6)
        await vm.vouch()
        assert bench.sinks["a"].read(4096, 4096) == b"\6" * 4096
        await vm.close()

    @in_loop
    async def test_after_the_owners_snapshot_tap_bitmaps_and_sync_reads_go_on(self, bench: QemuBench):
        """An overlay slips under the shim: nothing of ours goes blind or reads old data [I2]."""
        vm = await bench.open()
        await vm.attach(bench.new_sinks())
        await bench.write("a", 0, 4096, 1)
        export = await vm.open_sync_export("a", with_bitmap=False)
        await _snapshot(bench, "a")
        await bench.write("a", GRANULE, 4096, 2)
        assert sum((await vm.bitmaps())["a"].values()) == 2 * GRANULE
        for again in (False, True):
            if again:
                export = await vm.open_sync_export("a", with_bitmap=False)
            with NbdClient(export.socket, export.export) as reader:
                assert reader.pread(GRANULE, 4096) == b"\2" * 4096
        assert bench.sinks["a"].read(GRANULE, 4096) == b"\2" * 4096
        await vm.vouch()
        await vm.close()

    @in_loop
    async def test_a_hand_over_keeps_count_through_the_owners_commit(self, bench: QemuBench):
        """Snapshot, detach, the owner commits and pivots, attach: every write is in `unshipped` [I2]."""
        vm = await bench.open()
        await vm.attach(bench.new_sinks())
        await bench.write("a", 0, 4096, 1)
        await _snapshot(bench, "a")
        await bench.write("a", 2 * GRANULE, 4096, 2)
        await vm.detach()
        assert not [name for name in await ours(vm) if name.startswith("fs-")]
        await bench.write("a", 4 * GRANULE, 4096, 3)
        await bench.owner("block-commit", {"job-id": "commit", "device": "overlay-a"})
        await _job_is(bench, "commit", "ready")
        await bench.write("a", 6 * GRANULE, 4096, 4)
        await bench.owner("job-complete", {"id": "commit"})
        await _job_is(bench, "commit", None)
        await bench.owner("blockdev-del", {"node-name": "overlay-a"})
        await bench.write("a", 8 * GRANULE, 4096, 5)
        attached = await vm.attach(bench.new_sinks())
        assert attached["a"].bitmaps_unbroken
        # The commit's own writes copy what was in the overlay, so there may be more, never less.
        await vm.freeze_for_sync()
        export = await vm.open_sync_export("a", with_bitmap=True)
        with NbdClient(export.socket, export.export, (export.bitmap_context,)) as reader:
            runs = reader.block_status(0, SIZES["a"], export.bitmap_context)
        dirty = {run.offset // GRANULE + i for run in runs if run.flags & 1 for i in range(run.length // GRANULE)}
        assert dirty >= {0, 2, 4, 6, 8}
        await vm.vouch()
        await vm.close()

    @in_loop
    async def test_a_new_image_under_the_device_is_not_vouched_for(self, bench: QemuBench):
        """A snapshot during the hand-over: no bitmap counted on the new top layer all the time. So: hashes."""
        vm = await bench.open()
        await vm.attach(bench.new_sinks())
        await vm.detach()
        await _snapshot(bench, "a")
        attached = await vm.attach(bench.new_sinks())
        assert not attached["a"].bitmaps_unbroken
        assert attached["b"].bitmaps_unbroken
        await vm.close()

    @in_loop
    async def test_no_attach_or_detach_beside_the_owners_job_where_that_kills(self, bench: QemuBench):
        """Before QEMU 9 it is refused in words, and done once the job has ended."""
        vm = await bench.open()
        if vm.qualification.may_attach_beside_jobs:
            await vm.close()
            pytest.skip("this QEMU stands attach and detach beside the owner's job; nothing is refused")
        await vm.attach(bench.new_sinks())
        await _backup(bench, "a", speed=1, wait=False)
        with pytest.raises(Unavailable, match="backup"):
            await vm.detach()
        with pytest.raises(AttachRefused, match="backup"):
            await vm.attach(bench.new_sinks())
        await bench.owner("block-job-cancel", {"device": "backup"})
        await _job_is(bench, "backup", None)
        await vm.detach()
        await vm.close()

    @in_loop
    async def test_attach_and_detach_beside_the_owners_job_where_it_is_safe(self, bench: QemuBench):
        """From QEMU 9 on: the backup's filter stays between device and disk all the time, and the backup is right."""
        vm = await bench.open()
        if not vm.qualification.may_attach_beside_jobs:
            await vm.close()
            pytest.skip("this QEMU does not stand attach and detach beside the owner's job; they are refused")
        await bench.write("a", 0, 4096, 5)
        await _backup(bench, "a", speed=1 << 20, wait=False)
        await vm.attach(bench.new_sinks())
        await bench.write("a", 8 << 20, 4096, 6)
        await vm.vouch()
        await vm.detach()
        await bench.write("a", 12 << 20, 4096, 7)
        assert (await vm.attach(bench.new_sinks()))["a"].bitmaps_unbroken
        assert (await vm.bitmaps())["a"]["unshipped"] == 2 * GRANULE
        await bench.owner("block-job-set-speed", {"device": "backup", "speed": 0})
        await _job_is(bench, "backup", None)
        copy = (bench.folder / "backup.raw").read_bytes()
        assert (copy[:4096], copy[8 << 20 :].strip(b"\0")) == (b"\5" * 4096, b"")
        await vm.vouch()
        await vm.detach(keep_bitmaps=False)
        assert await ours(vm) == []
        await vm.close()


class TestHungTap:
    """A tap that hangs holds the guest, and any command that drains freezes QEMU."""

    @in_loop
    async def test_yank_frees_a_write_that_hangs_while_all_else_is_frozen(self, bench: QemuBench):
        """QEMU's main loop waits in a write to a stopped tap; only the second monitor still answers."""
        vm = await bench.start()
        await vm.attach(bench.new_sinks())
        bench.sinks["a"].stop()
        write = asyncio.create_task(bench.write("a", 0, 4096, 1))
        await asyncio.sleep(0.3)
        assert not write.done()
        began = time.monotonic()
        with pytest.raises(TapLost) as lost:
            await vm.vouch()
        assert time.monotonic() - began < 1.5
        assert lost.value.unanswered
        await vm.yank("a")
        await asyncio.wait_for(write, 1)
        await until(lambda: bool(bench.lost))
        await vm.detach()
        await vm.attach(bench.new_sinks())
        await vm.vouch()
        await vm.close()


class TestIothreads:
    """Disks with an iothread."""

    @in_loop
    async def test_a_sync_export_that_would_kill_the_guest_is_refused(self, iothreads: QemuBench):
        """Before QEMU 9 a reader that leaves aborts QEMU, every time."""
        vm = await iothreads.start()
        await vm.attach(iothreads.new_sinks())
        if vm.qualification.may_export(iothread=True):
            pytest.skip("this QEMU stands a reader that leaves the export of an iothread disk; nothing is refused")
        with pytest.raises(Unsupported, match="iothread"):
            await vm.open_sync_export("a", with_bitmap=False)
        await vm.close()

    @in_loop
    async def test_a_running_guest_runs_on_and_a_paused_one_stays_paused(self, iothreads: QemuBench):
        """Where the mirror is set while paused, we let go only what we stopped."""
        vm = await iothreads.start()
        await vm.attach(iothreads.new_sinks())
        assert await vm.power() == "paused"
        await vm.detach()
        await vm.resume()
        await vm.attach(iothreads.new_sinks())
        assert await vm.power() == "running"
        await iothreads.owner("stop")
        await vm.close()
        # A watcher that died between `stop` and `cont` leaves its note: whoever opens the VM lets it run.
        iothreads.driver.processes.folder("vm-1").pause_note.touch()
        vm = await iothreads.open()
        assert await vm.power() == "running"
        assert not iothreads.driver.processes.folder("vm-1").pause_note.exists()
        await vm.close()

    @in_loop
    async def test_a_hand_over_keeps_count_without_a_shim_too(self, iothreads: QemuBench):
        """The overlay that carried the bitmaps goes away in the owner's commit: the base must know all of it [I2]."""
        vm = await iothreads.start()
        await _snapshot(iothreads, "a")
        await vm.attach(iothreads.new_sinks())
        await iothreads.write("a", 0, 4096, 1)
        await vm.begin_generation()
        await iothreads.write("a", 2 * GRANULE, 4096, 2)
        await vm.detach()
        await iothreads.owner("block-commit", {"job-id": "commit", "device": "overlay-a"})
        await _job_is(iothreads, "commit", "ready")
        await iothreads.owner("job-complete", {"id": "commit"})
        await _job_is(iothreads, "commit", None)
        await iothreads.owner("blockdev-del", {"node-name": "overlay-a"})
        await iothreads.write("a", 4 * GRANULE, 4096, 3)
        assert (await vm.attach(iothreads.new_sinks()))["a"].bitmaps_unbroken
        assert (await vm.bitmaps())["a"]["unshipped"] == 3 * GRANULE
        await vm.close()


class TestStart:
    """Starting and what may go wrong."""

    @in_loop
    async def test_a_qemu_that_does_not_come_up_says_why_and_leaves_nothing(self, bench: QemuBench):
        """Its own words are in the error; VMs that were started with it are ended again."""
        wrong = bench.definition.model_copy(update={"id": "vm-2", "machine": "nonsense"})
        with pytest.raises(StartFailed, match="machine type"):
            await bench.driver.start_vms([StartRequest(bench.definition), StartRequest(wrong)])
        assert await bench.driver.list_vms() == []
        absent = bench.disks()[0].model_copy(update={"path": "/nowhere/a.raw"})
        with pytest.raises(StartFailed, match=r"/nowhere/a\.raw"):
            await bench.driver.start_vm(bench.definition.model_copy(update={"disks": (absent,)}))
        small = bench.disks()[0].model_copy(update={"size_bytes": 4096})
        with pytest.raises(StartFailed, match="4096"):
            await bench.driver.start_vm(bench.definition.model_copy(update={"disks": (small,)}))


async def _may_export(bench: QemuBench) -> bool:
    vm = await bench.start()
    await vm.close()
    answer = vm.qualification.may_export(iothread=True)
    await bench.driver.stop_vm("vm-1", force=True)
    return answer


async def _backup(bench: QemuBench, disk_id: str, speed: int = 0, *, wait: bool = True) -> None:
    target = bench.folder / "backup.raw"
    with target.open("wb") as file:
        file.truncate(SIZES[disk_id])
    file_node = {"driver": "file", "filename": str(target)}
    await bench.owner("blockdev-add", {"driver": "raw", "node-name": "backup-target", "file": file_node})
    job = {"job-id": "backup", "device": f"disk-{disk_id}", "target": "backup-target", "sync": "full", "speed": speed}
    await bench.owner("blockdev-backup", job)
    if wait:
        await _job_is(bench, "backup", None)
        await bench.owner("blockdev-del", {"node-name": "backup-target"})


async def _snapshot(bench: QemuBench, disk_id: str) -> None:
    image = bench.folder / f"overlay-{disk_id}.qcow2"
    make = ["qemu-img", "create", "-q", "-f", "qcow2", str(image), str(SIZES[disk_id])]
    await asyncio.to_thread(subprocess.run, make, check=True)
    file_node = {"driver": "file", "filename": str(image)}
    node = {"driver": "qcow2", "node-name": f"overlay-{disk_id}", "file": file_node, "backing": None}
    await bench.owner("blockdev-add", node)
    await bench.owner("blockdev-snapshot", {"node": f"disk-{disk_id}", "overlay": f"overlay-{disk_id}"})


async def _job_is(bench: QemuBench, job: str, status: str | None) -> None:
    deadline = time.monotonic() + 10
    while True:
        found = [told["status"] for told in await bench.owner("query-block-jobs") if told["device"] == job]
        if found == ([status] if status else []):
            return
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.02)
