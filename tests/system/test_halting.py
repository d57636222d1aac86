"""A real guest is halted in place: nothing is written afterwards, and it comes back, booted or where it stood."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from farshore.hypervisor.block_layer.vm_handle import BlockLayerVm
from farshore.lab.guest_kernel import find_guest_kernel
from farshore.lab.guest_vms import guest_definitions
from farshore.lab.serial import Acknowledged, Event, Verified
from farshore.model.vm import VmDefinition
from tests.service.vm_bench import Sink
from tests.system.guest_lab import BOOT_SECONDS, GuestLab

SIZE_BYTES = 24 << 20


def _writes(event: Event) -> bool:
    return isinstance(event, Acknowledged)


def _is_verified(event: Event) -> bool:
    return isinstance(event, Verified)


async def _halt_and_check(lab: GuestLab, vm: VmDefinition, force: bool) -> None:
    """Halt with taps on: the taps got the very last write, and the disks change no more."""
    handle = await lab.hypervisors.open_vm(vm.id)
    sinks = [Sink(lab.run_dir, disk.id, SIZE_BYTES) for disk in vm.disks]
    try:
        await handle.attach([sink.tap for sink in sinks])
        for sink in sinks:
            await _wait_for_a_write(sink)
        await _wait_halted(handle, force)
        await handle.vouch()
        before = [Path(disk.path).read_bytes() for disk in vm.disks]
        for sink, disk, content in zip(sinks, vm.disks, before, strict=True):
            _check_tail(sink, disk.id, content)
        assert (await lab.hypervisors.find_vm(vm.id)).power == "halted"
        await asyncio.sleep(1.0)  # the guest writes many times a second: what is still let through shows in this time
        await handle.vouch()
        assert [Path(disk.path).read_bytes() for disk in vm.disks] == before
        await handle.detach()
        await handle.close()
        handle = await lab.hypervisors.open_vm(vm.id)
        assert await handle.halted()
        await handle.revive()
        assert await handle.power() == "running"
        await handle.attach([sink.tap for sink in sinks])
        await handle.detach(keep_bitmaps=False)
        await handle.close()
    finally:
        for sink in sinks:
            sink.kill()


async def _wait_for_a_write(sink: Sink) -> None:
    """The guest writes all the time, but on a busy machine not at once."""
    deadline = time.monotonic() + BOOT_SECONDS
    while not any(await asyncio.to_thread(sink.read, 0, SIZE_BYTES)):
        assert time.monotonic() < deadline, f"the guest wrote nothing to {sink.disk_id}"
        await asyncio.sleep(0.1)


async def _wait_halted(handle: BlockLayerVm, force: bool) -> None:
    deadline = time.monotonic() + BOOT_SECONDS
    while not await handle.halt(force):
        assert not force, "a forced halt takes effect at once"
        assert time.monotonic() < deadline, "the guest did not shut down"
        await asyncio.sleep(0.1)


def _check_tail(sink: Sink, disk_id: str, content: bytes) -> None:
    """What the tap got equals the disk wherever the tap got anything: so also the last write."""
    got = sink.read(0, SIZE_BYTES)
    sectors = [at for at in range(0, SIZE_BYTES, 512) if any(got[at : at + 512])]
    assert sectors, f"the tap of {disk_id} got nothing"
    wrong = [at for at in sectors if got[at : at + 512] != content[at : at + 512]]
    assert not wrong, f"the disk {disk_id} has other data than its tap at {wrong[:5]}"


def _made(lab: GuestLab) -> VmDefinition:
    (vm,) = guest_definitions(lab.folder / "disks", 1, 3, SIZE_BYTES, find_guest_kernel())
    return vm.model_copy(update={"nics": ()})


def test_a_guest_that_is_asked_shuts_down_in_place_and_boots_when_it_is_revived(tmp_path: Path) -> None:
    """Its process is the same all the time; after the revival it verifies its disks, as after any boot."""
    with GuestLab(tmp_path / "lab") as lab:
        vm = _made(lab)
        lab.start([vm])
        lab.wait_for(vm, _writes)
        asyncio.run(_halt_and_check(lab, vm, force=False))
        lab.skip_to_end(vm)
        lab.wait_for(vm, _is_verified)
        lab.wait_for(vm, _writes)
        assert asyncio.run(lab.hypervisors.find_vm(vm.id)).pid == lab.started[vm.id].pid
        lab.press_power_button(vm)  # a shutdown is a shutdown again


def test_a_guest_that_is_halted_by_force_goes_on_where_it_stood(tmp_path: Path) -> None:
    """It does not boot: nothing that it had in memory is lost by a failover that is rolled back."""
    with GuestLab(tmp_path / "lab") as lab:
        vm = _made(lab)
        lab.start([vm])
        lab.wait_for(vm, _writes)
        said = lab.log(vm).stat().st_size
        asyncio.run(_halt_and_check(lab, vm, force=True))
        lab.skip_to_end(vm)
        lab.wait_for(vm, _writes)
        assert "BROKEN" not in lab.log(vm).read_text()
        assert b"FARSHORE GUEST" not in lab.log(vm).read_bytes()[said:]
