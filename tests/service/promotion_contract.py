"""What every hypervisor driver promises about bringing a recovered VM onto plain files."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path

import pytest

from farshore.errors import BadInput, Conflict, Unavailable
from farshore.hypervisor.block_layer.graph import read_graph
from farshore.hypervisor.block_layer.pivot_mark import Pivot, read_mark, write_mark
from farshore.hypervisor.block_layer.vm_handle import BlockLayerVm
from farshore.nbd.client import NbdClient
from tests.service.recovered_bench import Cut, Recovered, cut_after
from tests.service.vm_bench import GRANULE, SIZES, VmBench, in_loop

WRITE_SECONDS_MAX = 2.0
STEPS_MAX = 12


def no_progress(_done: int, _total: int) -> None:
    """Where it is not looked at."""


class PromotionContract:
    """Live, cut short anywhere, and off. Mixed into hypervisor_contract.HypervisorContract."""

    @in_loop
    async def test_a_promoted_vm_writes_on_and_its_plain_files_and_bitmaps_hold_everything(self, bench: VmBench):
        """Under load, each view closed once its disk is done; then tapped: nothing is missing in the bitmaps."""
        async with Recovered(bench) as recovered:
            vm = await bench.open()
            for disk_id in SIZES:
                for _ in range(10):
                    await recovered.write(disk_id)
            await recovered.begin_load()
            told: list[tuple[int, int]] = []
            for disk_id in SIZES:
                await vm.promote(disk_id, recovered.bases[disk_id], lambda done, total: told.append((done, total)))
                assert told[-1] == (SIZES[disk_id], SIZES[disk_id])
                bench.sinks.pop(f"view-{disk_id}").kill()
            await asyncio.sleep(0.2)
            await recovered.end_load()
            recovered.check()
            assert recovered.longest < WRITE_SECONDS_MAX
            assert not [node for node in (await read_graph(vm.monitor)).children if node.startswith(("view-", "disk-"))]
            attached = await vm.attach(bench.new_sinks())
            assert {disk.bitmaps_unbroken for disk in attached.values()} == {True}
            await vm.begin_generation()
            for disk_id in SIZES:
                counted = sum((await vm.bitmaps())[disk_id].values())
                assert counted >= GRANULE * len(recovered.written[disk_id]) - GRANULE + 1
            await recovered.write("a")
            await vm.vouch()
            await vm.detach()
            await vm.close()
            recovered.check()

    @in_loop
    async def test_the_bitmap_of_a_promoted_disk_is_read_by_a_sync(self, bench: VmBench):
        """Granule by granule: what was on the scratch, what was written meanwhile, what after; a frozen_set of all."""
        async with Recovered(bench) as recovered:
            vm = await bench.open()
            for _ in range(10):
                await recovered.write("a")
            await recovered.begin_load()
            for disk_id in SIZES:
                await vm.promote(disk_id, recovered.bases[disk_id], no_progress)
            await recovered.end_load()
            await vm.attach(bench.new_sinks())
            await vm.freeze_for_sync()
            for disk_id in SIZES:
                assert await dirty_granules(vm, disk_id) >= recovered.written[disk_id]
            await vm.detach()
            await vm.close()

    @in_loop
    async def test_a_promotion_that_is_cut_before_any_step_goes_on(self, bench: VmBench):
        """Each time a process of ours sends one command more, and dies; the guest writes all the time."""
        async with Recovered(bench) as recovered:
            await recovered.begin_load()
            steps: list[str] = []
            for _ in range(STEPS_MAX):
                vm = await bench.open()
                sent = cut_after(vm, 1)
                try:
                    await vm.promote("a", recovered.bases["a"], no_progress)
                except Cut:
                    continue
                else:
                    break
                finally:
                    steps += sent
                    await vm.close()
            else:
                raise AssertionError(f"it did not come to its end: {steps}")
            wanted = ["blockdev-add", "transaction", "blockdev-reopen", "blockdev-del", "block-commit", "job-complete"]
            assert [*wanted, "blockdev-del"] == steps
            vm = await bench.open()
            await vm.promote("a", recovered.bases["a"], no_progress)  # done already is fine
            await vm.promote("b", recovered.bases["b"], no_progress)
            await vm.close()
            vm = await bench.open()
            await recovered.end_load()
            recovered.check()
            assert recovered.longest < WRITE_SECONDS_MAX
            attached = await vm.attach(bench.new_sinks())
            assert attached["a"].bitmaps_unbroken
            await vm.close()

    @in_loop
    async def test_a_settled_vm_is_known_by_its_plain_files_and_starts_from_them(self, bench: VmBench):
        """It is no recovered one on scratch any more; stopped and started again it has all that was written."""
        async with Recovered(bench) as recovered:
            vm = await bench.open()
            for disk_id in SIZES:
                await recovered.write(disk_id)
                await vm.promote(disk_id, recovered.bases[disk_id], no_progress)
            await bench.driver.settle_vm(vm.vm_id, recovered.settled)
            await bench.driver.settle_vm(vm.vm_id, recovered.settled)
            await vm.close()
            (listed,) = await bench.driver.list_vms()
            assert listed.label == ""
            assert listed.definition == recovered.settled
            assert [disk.path for disk in listed.disks] == [str(path) for path in recovered.bases.values()]
            bench.driver.inventory.adopt(recovered.settled)
            (listed,) = await bench.driver.list_vms()
            assert not listed.recovered
            vm = await bench.open()
            await vm.promote("a", recovered.bases["a"], no_progress)
            await vm.close()
            for path in recovered.scratch.values():
                path.unlink()
            await bench.driver.stop_vm("vm-1", force=True)
            recovered.hang_up()
            await bench.driver.start_vm(recovered.settled)
            vm = await bench.open()
            await vm.promote("a", recovered.bases["a"], no_progress)
            await recovered.write("a")
            await vm.close()
            recovered.check()

    @in_loop
    async def test_a_file_that_is_not_the_disks_is_refused_and_the_guest_goes_on(self, bench: VmBench, tmp_path: Path):
        """Of another size; or another one than that onto which the disk was promoted."""
        async with Recovered(bench) as recovered:
            vm = await bench.open()
            with pytest.raises(BadInput, match="bytes"):
                await vm.promote("a", recovered.bases["b"], no_progress)
            await recovered.write("a")
            await vm.promote("a", recovered.bases["a"], no_progress)
            await vm.close()
            with pytest.raises(Conflict):
                await bench.driver.promote_off(recovered.settled, "b", recovered.scratch["b"], recovered.bases["b"])
            vm = await bench.open()
            await vm.promote("b", recovered.bases["b"], no_progress)
            await vm.close()
            recovered.check()

    @pytest.mark.parametrize("steps", range(8))
    @in_loop
    async def test_a_vm_that_dies_during_its_promotion_is_promoted_off(self, bench: VmBench, steps: int):
        """After any number of the promotion's commands the VM is killed; the image tool brings it to the same end."""
        async with Recovered(bench) as recovered:
            for disk_id in SIZES:
                for _ in range(5):
                    await recovered.write(disk_id)
            vm = await bench.open()
            cut_after(vm, steps)
            with suppress(Cut):
                await vm.promote("a", recovered.bases["a"], no_progress)
            for _ in range(5):
                await recovered.write("a")
            live = bench.driver.processes.folder("vm-1").live()
            assert live is not None
            await vm.close()
            os.kill(live.pid, 9)
            assert await bench.driver.processes.wait_end("vm-1", 5)
            recovered.hang_up()
            for _ in range(2):  # twice is fine
                for disk_id in SIZES:
                    await bench.driver.promote_off(
                        recovered.settled, disk_id, recovered.scratch[disk_id], recovered.bases[disk_id]
                    )
            recovered.check()
            await bench.driver.settle_vm("vm-1", recovered.settled)
            await bench.driver.start_vm(recovered.settled)
            await recovered.write("a")
            recovered.check()

    @in_loop
    async def test_where_the_move_was_ordered_and_not_seen_the_file_that_was_written_last_counts(self, bench: VmBench):
        """Both ways; and what was found is kept when the image tool itself is cut short."""
        async with Recovered(bench) as recovered:
            for disk_id in SIZES:
                await recovered.write(disk_id)
            await bench.driver.stop_vm("vm-1", force=True)
            for disk_id, newer in (("a", "scratch"), ("b", "base")):
                scratch, base = recovered.scratch[disk_id], recovered.bases[disk_id]
                os.utime(scratch, ns=(0, 2000 if newer == "scratch" else 1000))
                os.utime(base, ns=(0, 1500))
                write_mark(scratch, Pivot.ORDERED)
                before = base.read_bytes()
                await bench.driver.promote_off(recovered.settled, disk_id, scratch, base)
                assert read_mark(scratch) is (Pivot.NOT_ORDERED if newer == "scratch" else Pivot.DONE)
                assert (base.read_bytes() == before) == (newer == "base")

    @in_loop
    async def test_the_mark_of_a_move_that_failed_is_taken_back_before_the_next_job_writes(self, bench: VmBench):
        """While a job copies, the plain file is the one written last, and the scratch is what counts."""
        async with Recovered(bench) as recovered:
            vm = await bench.open()
            write_mark(recovered.scratch["a"], Pivot.ORDERED)
            sent = cut_after(vm, 4)
            with suppress(Cut):
                await vm.promote("a", recovered.bases["a"], no_progress)
            assert sent == ["blockdev-add", "transaction", "blockdev-reopen", "blockdev-del"]
            assert read_mark(recovered.scratch["a"]) is Pivot.NOT_ORDERED
            await vm.close()

    @in_loop
    async def test_a_tapped_disk_is_not_promoted(self, bench: VmBench):
        """Its tap would be lost without a word."""
        async with Recovered(bench) as recovered:
            vm = await bench.open()
            await vm.attach(bench.new_sinks())
            with pytest.raises(Unavailable, match="tapped"):
                await vm.promote("a", recovered.bases["a"], no_progress)
            await vm.vouch()
            await vm.detach(keep_bitmaps=False)
            await vm.promote("a", recovered.bases["a"], no_progress)
            await vm.close()


async def dirty_granules(vm: BlockLayerVm, disk_id: str) -> set[int]:
    """The granules of the frozen set, as a sync reads them."""
    export = await vm.open_sync_export(disk_id, with_bitmap=True)
    assert export.bitmap_context is not None

    def read() -> set[int]:
        with NbdClient(export.socket, export.export, (export.bitmap_context or "",)) as reader:
            runs = reader.block_status(0, export.size_bytes, export.bitmap_context or "")
        dirty: set[int] = set()
        for run in runs:
            if run.flags & 1:
                dirty.update(range(run.offset // GRANULE, (run.offset + run.length + GRANULE - 1) // GRANULE))
        return dirty

    found = await asyncio.to_thread(read)
    await vm.close_sync_exports()
    return found
