"""What every hypervisor driver promises, as tests: run by test_hypervisor_<driver>.py for each of them."""

from __future__ import annotations

import asyncio
import os
import random
import time

import pytest

from farshore.errors import BadInput, NotFound
from farshore.hypervisor.block_layer import names
from farshore.hypervisor.block_layer.graph import read_graph
from farshore.hypervisor.block_layer.vm_handle import BlockLayerVm
from farshore.hypervisor.driver import AttachRefused, Overlay, TapDisk, TapLost, VmGone
from farshore.nbd.client import NbdClient
from tests.service.halting_contract import HaltingContract
from tests.service.promotion_contract import PromotionContract, dirty_granules
from tests.service.vm_bench import GRANULE, SIZES, Sink, VmBench, in_loop, until


async def ours(vm: BlockLayerVm) -> list[str]:
    """All nodes, jobs and bitmaps in the VM's process that are Farshore's."""
    graph = await read_graph(vm.monitor)
    nodes = [node for node in graph.children if node.startswith("fs-")]
    jobs = [job["device"] for job in await vm.monitor.run("query-block-jobs")]
    return nodes + jobs + [name for present in graph.bitmaps.values() for name in present]


async def disk_bitmaps(vm: BlockLayerVm) -> set[str]:
    """Names of our bitmaps that count, on whatever node."""
    graph = await read_graph(vm.monitor)
    return {bitmap.name for present in graph.bitmaps.values() for bitmap in present.values() if bitmap.recording}


class AttachContract:
    """Attach and detach."""

    @in_loop
    async def test_an_attached_disk_sends_every_write_to_its_tap(self, bench: VmBench):
        """A write after attach is on the tap's side when it returns; one after detach is not."""
        vm = await bench.start()
        attached = await vm.attach(bench.new_sinks())
        assert {disk.bitmaps_unbroken for disk in attached.values()} == {False}
        await bench.write("a", 4096, 4096, 7)
        await bench.write("b", SIZES["b"] - 512, 512, 8)
        await vm.vouch()
        assert bench.sinks["a"].read(4096, 4096) == b"\7" * 4096
        assert bench.sinks["b"].read(SIZES["b"] - 512, 512) == b"\10" * 512
        await vm.detach()
        await bench.write("a", 4096, 4096, 9)
        assert bench.sinks["a"].read(4096, 4096) == b"\7" * 4096
        await vm.close()

    @in_loop
    async def test_detach_keeps_the_bitmaps_and_the_next_attach_adopts_them(self, bench: VmBench):
        """Writes before, during and after an attach are all in `unshipped` of the next one."""
        vm = await bench.start()
        await vm.attach(bench.new_sinks())
        await bench.write("a", 0, 4096, 1)
        await vm.detach(keep_bitmaps=True)
        await bench.write("a", 4 * GRANULE, 4096, 2)
        await vm.detach(keep_bitmaps=True)  # twice is fine
        attached = await vm.attach(bench.new_sinks())
        assert attached["a"].bitmaps_unbroken
        await bench.write("a", 8 * GRANULE, 4096, 3)
        told = (await vm.bitmaps())["a"]
        assert told["unshipped"] == 2 * GRANULE
        assert sum(told.values()) == 3 * GRANULE
        await vm.close()

    @in_loop
    async def test_detach_without_bitmaps_leaves_nothing_of_ours(self, bench: VmBench):
        """No node, no job, no bitmap; and the next attach says that nothing vouches for the disk."""
        vm = await bench.start()
        before = sorted((await read_graph(vm.monitor)).children)
        await vm.attach(bench.new_sinks())
        await vm.begin_generation()
        await vm.detach(keep_bitmaps=False)
        assert await ours(vm) == []
        assert sorted((await read_graph(vm.monitor)).children) == before
        assert not (await vm.attach(bench.new_sinks()))["a"].bitmaps_unbroken
        await vm.detach(keep_bitmaps=False)
        assert bench.lost == []
        await vm.close()

    @in_loop
    async def test_a_tap_of_another_size_is_refused_and_the_guest_is_as_it_was(self, bench: VmBench):
        """QEMU would call it a success and end the mirror at once: 512 bytes too many on the second disk."""
        vm = await bench.start()
        before = sorted((await read_graph(vm.monitor)).children)
        taps = bench.new_sinks()
        bench.sinks["b"].kill()
        bench.sinks["b"] = Sink(bench.short, "b", SIZES["b"] + 512)
        with pytest.raises(AttachRefused, match="bytes"):
            await vm.attach([taps[0], bench.sinks["b"].tap])
        assert await ours(vm) == []
        assert sorted((await read_graph(vm.monitor)).children) == before
        await bench.write("b", 0, 4096, 1)
        assert bench.lost == []
        await vm.close()

    @in_loop
    async def test_a_tap_that_is_not_there_or_hangs_is_refused_in_time(self, bench: VmBench):
        """Nobody listens: at once. Someone listens and never answers: about a second. Bitmaps of before still count."""
        vm = await bench.start()
        await vm.attach(bench.new_sinks())
        await bench.write("a", 0, 4096, 1)
        await vm.detach()
        taps = bench.new_sinks()
        bench.sinks["b"].stop()
        for wrong in (bench.sinks["b"].socket, bench.short / "nobody"):
            began = time.monotonic()
            with pytest.raises(AttachRefused):
                await vm.attach([taps[0], TapDisk("b", wrong, "")])
            assert time.monotonic() - began < 3
        assert not [name for name in await ours(vm) if not name.startswith(names.BITMAP_PREFIX)]
        attached = await vm.attach(bench.new_sinks())
        assert attached["a"].bitmaps_unbroken
        assert (await vm.bitmaps())["a"]["unshipped"] == GRANULE
        await vm.close()

    @in_loop
    async def test_a_refused_attach_gives_no_disk_bitmaps_that_would_vouch_for_it(self, bench: VmBench):
        """Else the next attach would call bitmaps unbroken that began only with the refused one."""
        vm = await bench.start()
        taps = bench.new_sinks()
        with pytest.raises(AttachRefused):
            await vm.attach([taps[0], TapDisk("b", bench.short / "nobody", "")])
        assert not (await vm.attach(bench.new_sinks()))["a"].bitmaps_unbroken
        await vm.close()

    @in_loop
    async def test_only_the_vms_own_disks_each_once(self, bench: VmBench):
        """Anything else is the caller's mistake, told before anything is touched."""
        vm = await bench.start()
        taps = bench.new_sinks()
        for wrong in ([taps[0], taps[0]], [TapDisk("zzz", taps[0].socket, "")]):
            with pytest.raises(BadInput):
                await vm.attach(wrong)
        await vm.close()


class VouchContract:
    """The word that no write passed a tap by."""

    @in_loop
    async def test_no_vouch_after_somebody_cancelled_a_job_behind_our_back(self, bench: VmBench):
        """The tap still sees a connection, and the other disk is fine: the vouch must know nevertheless [I1]."""
        vm = await bench.start()
        await vm.attach(bench.new_sinks())
        await vm.vouch()
        job = vm._state.disks["a"].job
        await vm.monitor.run("block-job-cancel", {"device": job, "force": False})
        await until(lambda: bool(bench.lost))
        await bench.write("a", 0, 4096, 1)
        with pytest.raises(TapLost) as lost:
            await vm.vouch()
        assert lost.value.disk_ids == ("a",)
        assert [disk for disk, _ in bench.lost] == ["a"]
        await vm.attach(bench.new_sinks())
        await vm.vouch()
        await vm.close()

    @in_loop
    async def test_no_vouch_once_a_write_has_passed_a_dead_tap_by(self, bench: VmBench):
        """10 times: kill the tap, write; when the write has returned, vouch at once. It must never be given [I1]."""
        vm = await bench.start()
        for _ in range(10):
            await vm.attach(bench.new_sinks())
            await vm.vouch()
            bench.sinks["a"].kill()
            await bench.write("a", 0, 4096, 1)
            with pytest.raises(TapLost):
                await vm.vouch()
            await vm.detach()
        assert {disk for disk, _ in bench.lost} == {"a"}
        await vm.close()

    @in_loop
    async def test_no_vouch_and_a_bounded_answer_after_the_vms_end(self, bench: VmBench):
        """The process is killed: lost is told at once, and the handle says so ever after."""
        vm = await bench.start()
        await vm.attach(bench.new_sinks())
        live = bench.driver.processes.folder(vm.vm_id).live()
        assert live is not None
        os.kill(live.pid, 9)
        await until(lambda: len(bench.lost) == 2)
        with pytest.raises(TapLost):
            await vm.vouch()
        with pytest.raises(VmGone):
            await vm.begin_generation()
        assert await vm.power() == "off"
        await vm.close()
        with pytest.raises(VmGone):
            await bench.open()


class BitmapContract:
    """Generations never miss a write."""

    @in_loop
    async def test_generations_are_merged_and_dropped_as_asked(self, bench: VmBench):
        """Each write is in exactly the generation in which it was made; the counting one cannot be dropped."""
        vm = await bench.start()
        await vm.attach(bench.new_sinks())
        first = max(int(name[1:]) for name in (await vm.bitmaps())["a"] if name[0] == "g")
        for place in range(3):
            await bench.write("a", place * GRANULE, 4096, 1)
            assert await vm.begin_generation() == first + place + 1
        told = (await vm.bitmaps())["a"]
        assert [told[f"g{first + place}"] for place in range(4)] == [GRANULE, GRANULE, GRANULE, 0]
        await vm.merge_generations(first + 1)
        await vm.merge_generations(first + 1)  # twice is fine
        assert (await vm.bitmaps())["a"] == {"unshipped": 2 * GRANULE, f"g{first + 2}": GRANULE, f"g{first + 3}": 0}
        await vm.drop_generations(first + 2)
        await vm.drop_unshipped()
        await vm.drop_unshipped()
        assert (await vm.bitmaps())["a"] == {f"g{first + 3}": 0}
        for wrong in (vm.merge_generations, vm.drop_generations):
            with pytest.raises(BadInput):
                await wrong(first + 3)
        await vm.close()

    @in_loop
    async def test_no_write_is_in_no_generation_while_they_rotate(self, bench: VmBench):
        """Random writes during 20 rotations, merges and a freeze: together the bitmaps hold every granule written."""
        vm = await bench.start()
        await vm.attach(bench.new_sinks())
        seed = random.randrange(1 << 30)
        chance = random.Random(seed)
        written: set[int] = set()
        done = asyncio.Event()

        async def guest() -> None:
            while not done.is_set():
                granule = chance.randrange(SIZES["a"] // GRANULE)
                await bench.write("a", granule * GRANULE, 4096, 5)
                written.add(granule)

        load = asyncio.create_task(guest())
        for turn in range(20):
            number = await vm.begin_generation()
            if turn % 3 == 2:
                await vm.merge_generations(number - 2)
            if turn == 10:
                await vm.freeze_for_sync()
        done.set()
        await load
        await vm.freeze_for_sync()
        assert await dirty_granules(vm, "a") == written, f"seed {seed}"
        assert len(written) > 5
        await vm.close()

    @in_loop
    async def test_a_frozen_set_shows_exactly_the_dirty_extents_and_outlives_an_aborted_sync(self, bench: VmBench):
        """Bit by bit over NBD, below the tap; writes after the freeze are not in it, until the next freeze."""
        vm = await bench.start()
        await vm.attach(bench.new_sinks())
        await bench.write("a", 3 * GRANULE, 4096, 1)
        await bench.write("a", 9 * GRANULE + 4096, GRANULE, 2)
        await bench.write("b", 0, 4096, 3)
        await vm.freeze_for_sync()
        await bench.write("a", 20 * GRANULE, 4096, 4)
        assert await dirty_granules(vm, "a") == {3, 9, 10}
        assert await dirty_granules(vm, "b") == {0}
        export = await vm.open_sync_export("a", with_bitmap=False)
        with NbdClient(export.socket, export.export) as reader:
            assert reader.size_bytes == export.size_bytes == SIZES["a"]
            assert reader.pread(20 * GRANULE, 4096) == b"\4" * 4096
        await vm.freeze_for_sync()
        assert await dirty_granules(vm, "a") == {3, 9, 10, 20}
        await vm.drop_sync_set()
        assert "sync" not in (await vm.bitmaps())["a"]
        await vm.vouch()
        with pytest.raises(NotFound):
            await vm.open_sync_export("a", with_bitmap=True)
        await vm.detach(keep_bitmaps=False)
        assert await ours(vm) == []
        await vm.close()


class LifeContract:
    """VMs outlive us and are found again."""

    @in_loop
    async def test_a_new_watcher_finds_the_vm_and_everything_that_the_old_one_left(self, bench: VmBench):
        """The old handle vanishes without a word, its taps live or die; attach cleans up and adopts the bitmaps."""
        old = await bench.start()
        for taps_die in (True, False):
            await old.attach(bench.new_sinks())
            await bench.write("a", 0, 4096, 1)
            await old.monitor.close()
            if old._out_of_band is not None:
                await old._out_of_band.close()
            if taps_die:
                bench.kill_sinks()
            vm = await bench.open()
            assert vm.instance == old.instance
            older = list(bench.sinks.values())
            bench.sinks = {}
            attached = await vm.attach(bench.new_sinks())
            for sink in older:
                sink.kill()
            assert attached["a"].bitmaps_unbroken
            assert (await vm.bitmaps())["a"]["unshipped"] == GRANULE
            await bench.write("a", 4096, 4096, 6)
            await vm.vouch()
            assert bench.sinks["a"].read(4096, 4096) == b"\6" * 4096
            old = vm
        await vm.detach(keep_bitmaps=False)
        assert await ours(vm) == []
        await vm.close()

    @in_loop
    async def test_vms_are_listed_with_their_power_and_bad_files_by_name(self, bench: VmBench):
        """A definition that cannot be read is told of and hinders no other."""
        vm = await bench.start()
        await vm.close()
        (bench.driver.inventory.folder / "broken.json").write_text("{")
        (bench.driver.inventory.folder / "other.json").write_text(bench.definition.model_dump_json())
        entries = {entry.vm_id: entry for entry in bench.driver.inventory.entries()}
        assert "broken.json" in (entries["broken"].problem or "")
        assert "not its name" in (entries["other"].problem or "")
        (listed,) = await bench.driver.list_vms()
        assert (listed.id, listed.hypervisor) == ("vm-1", bench.driver.name)
        assert listed.power in ("running", "paused")
        await bench.driver.start_vm(bench.definition)  # it runs already: left alone
        assert (await bench.driver.list_vms())[0].pid == listed.pid
        await bench.driver.stop_vm("vm-1", force=True)
        await bench.driver.stop_vm("vm-1", force=True)
        assert (await bench.driver.list_vms())[0].power == "off"
        for wrong in ("nobody", "../x", ""):
            with pytest.raises(NotFound):
                await bench.driver.open_vm(wrong)

    @in_loop
    async def test_a_recovered_vm_runs_on_an_overlay_over_a_view(self, bench: VmBench):
        """It reads the view, writes to its scratch, is listed as recovered, and goes without a trace."""
        views = bench.new_sinks()
        overlays = {}
        for view in views:
            with NbdClient(view.socket) as maker:
                maker.pwrite(0, b"\x21" * 4096)
            scratch = bench.folder / "scratch" / f"{view.disk_id}.qcow2"
            overlays[view.disk_id] = Overlay(view.socket, "", scratch)
        bench.driver.inventory.remove("vm-1")
        await bench.driver.start_vm(bench.definition, overlays=overlays, label="test 7")
        vm = await bench.open()
        await bench.write("a", 4096, 4096, 0x22)
        (listed,) = await bench.driver.list_vms()
        assert listed.recovered
        assert listed.label == "test 7"
        bench.sinks["tap"] = Sink(bench.short, "a", SIZES["a"])
        await vm.attach([bench.sinks["tap"].tap])
        export = await vm.open_sync_export("a", with_bitmap=False)
        with NbdClient(export.socket, export.export) as reader:
            assert reader.pread(0, 8192) == b"\x21" * 4096 + b"\x22" * 4096
        assert bench.sinks["a"].read(4096, 4096) == bytes(4096)
        await vm.close()
        await bench.driver.stop_vm("vm-1", force=True)
        assert await bench.driver.list_vms() == []
        bench.driver.inventory.put(bench.definition)


class HypervisorContract(
    AttachContract, VouchContract, BitmapContract, LifeContract, HaltingContract, PromotionContract
):
    """All of it. The fixture `bench` gives the VM."""
