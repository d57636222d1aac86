"""What every hypervisor driver promises about halting, reviving and holding VMs."""

from __future__ import annotations

import asyncio

import pytest

from farshore.errors import Conflict
from farshore.nbd.client import NbdClient
from tests.service.vm_bench import GRANULE, StorageDaemonBench, VmBench, in_loop


class HaltingContract:
    """Halted VMs keep everything of ours; revived ones go on. Mixed into hypervisor_contract.HypervisorContract."""

    @in_loop
    async def test_a_halted_vm_is_vouched_for_and_writes_no_more(self, bench: VmBench):
        """By force, with a tap: what was written before is on the tap's side; the vouch is after the last write."""
        vm = await bench.start()
        await vm.attach(bench.new_sinks())
        await bench.write("a", 4096, 4096, 7)
        assert await vm.halt(force=True)
        assert await vm.halt(force=True)  # twice is fine
        assert await vm.halted()
        await vm.vouch()
        assert bench.lost == []
        assert bench.sinks["a"].read(4096, 4096) == b"\7" * 4096
        assert await vm.power() == "halted"
        assert [summary.power for summary in await bench.driver.list_vms()] == ["halted"]
        if isinstance(bench, StorageDaemonBench):  # a real guest's writes are in tests/system/test_halting.py
            with pytest.raises(Exception):  # noqa: B017, PT011 - whatever the client makes of it
                await bench.write("a", 0, 4096, 9)
        await vm.begin_generation()
        await vm.vouch()
        assert bench.sinks["a"].read(0, 4096) == bytes(4096)
        await vm.close()

    @in_loop
    async def test_a_revived_vm_writes_through_its_tap_again_and_its_bitmaps_are_unbroken(self, bench: VmBench):
        """With the taps on, and after a detach, by another watcher than the one that halted it."""
        vm = await bench.start()
        await vm.attach(bench.new_sinks())
        await bench.write("a", 0, 4096, 1)
        assert await vm.halt(force=True)
        await vm.revive()
        await vm.revive()  # twice is fine
        assert not await vm.halted()
        await bench.write("a", GRANULE, 4096, 2)
        await vm.vouch()
        assert bench.sinks["a"].read(GRANULE, 4096) == b"\2" * 4096
        assert await vm.halt(force=True)
        await vm.detach()
        await vm.close()
        vm = await bench.open()
        assert await vm.halted()
        await vm.revive()
        assert await vm.power() == "running"
        await bench.write("a", 2 * GRANULE, 4096, 3)
        assert (await vm.attach(bench.new_sinks()))["a"].bitmaps_unbroken
        assert (await vm.bitmaps())["a"]["unshipped"] == 3 * GRANULE
        await bench.write("a", 3 * GRANULE, 4096, 4)
        await vm.vouch()
        assert bench.sinks["a"].read(3 * GRANULE, 4096) == b"\4" * 4096
        assert bench.lost == []
        await vm.close()

    @in_loop
    async def test_a_vm_that_is_only_asked_and_does_not_listen_goes_on(self, bench: VmBench):
        """A guest without agent and button; a storage daemon's disk that somebody has open. Nothing is lost."""
        vm = await bench.start()
        await vm.attach(bench.new_sinks())
        before = await vm.power()
        disks = bench.driver.processes.folder(vm.vm_id).disks
        user = NbdClient(disks, "b") if isinstance(bench, StorageDaemonBench) else None
        for _ in range(3):
            assert not await vm.halt(force=False)
        assert not await vm.halted()
        assert await vm.power() == before
        if user is not None:
            await asyncio.to_thread(user.pwrite, 0, b"\5" * 4096)
            user.close()
        await bench.write("a", 0, 4096, 6)
        await vm.vouch()
        assert bench.sinks["a"].read(0, 4096) == b"\6" * 4096
        assert bench.lost == []
        assert await vm.halt(force=True)
        await vm.close()

    @in_loop
    async def test_a_held_vm_cannot_be_started_until_it_is_released(self, bench: VmBench):
        """The reason is told, by the start and in the list; holding outlives us."""
        inventory = bench.driver.inventory
        inventory.adopt(bench.definition)
        inventory.adopt(bench.definition)
        inventory.hold("vm-1", "Its disks are of another VM now.")
        with pytest.raises(Conflict, match="of another VM now"):
            await bench.driver.start_vm(bench.definition)
        (listed,) = await bench.driver.list_vms()
        assert "of another VM now" in (listed.problem or "")
        assert listed.power == "off"
        inventory.release("vm-1")
        inventory.release("vm-1")
        (listed,) = await bench.driver.list_vms()
        assert listed.problem is None
        vm = await bench.start()
        await vm.close()
