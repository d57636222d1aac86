"""Recovered disks are promoted under load, over and over: the guest lives, no write fails, takes over 2 s or is lost.

All disks of a VM are promoted while it writes. Run it on every QEMU that counts whenever block_layer/promotion.py
changes: 5 rounds in the ordinary run, 150 in the slow one.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from farshore.hypervisor.block_layer.vm_handle import BlockLayerVm
from farshore.hypervisor.driver import Overlay, StartRequest
from farshore.hypervisor.registry import Hypervisors
from farshore.lab.guest_kernel import find_guest_kernel
from farshore.lab.guest_vms import guest_definitions
from farshore.lab.law import check_images
from farshore.model.vm import VmDefinition
from tests.service.recovered_bench import Recovered, View
from tests.service.vm_bench import SIZES, StorageDaemonBench, in_loop, until

LOG = logging.getLogger(__name__)
SIZE = 24 << 20
WRITE_SECONDS_MAX = 2.0
ROUNDS = [pytest.param(5, id="5"), pytest.param(150, id="150", marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]


@pytest.fixture
def short():
    """A folder with a short path, for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="fs", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


def _text(serial: Path) -> str:
    return serial.read_text(errors="replace") if serial.exists() else ""


async def _promote(vm: BlockLayerVm, definition: VmDefinition, chance: random.Random) -> None:
    for disk in definition.disks:
        await asyncio.sleep(chance.uniform(0, 0.05))
        await vm.promote(disk.id, Path(disk.path), lambda _done, _total: None)


async def _put_under_scratch(vm: BlockLayerVm, definition: VmDefinition, folder: Path, turn: int) -> None:
    """Back onto scratch for the next round, as a recovery starts: the plain file read-only below a new overlay."""
    for disk in definition.disks:
        node, scratch = f"disk-{disk.id}", folder / f"{disk.id}-{turn}.qcow2"
        make = ["qemu-img", "create", "-q", "-f", "qcow2", str(scratch), str(disk.size_bytes)]
        await asyncio.to_thread(subprocess.run, make, check=True)
        file = {"driver": "file", "filename": str(scratch), "discard": "unmap"}
        overlay = {"driver": "qcow2", "node-name": node, "discard": "unmap", "file": file, "backing": None}
        await vm.monitor.run("blockdev-add", overlay)
        await vm.monitor.run("blockdev-snapshot", {"node": f"base-{disk.id}", "overlay": node})


@pytest.mark.parametrize("count", ROUNDS)
@pytest.mark.parametrize("iothread", [False, True], ids=["plain", "iothread"])
@in_loop(seconds=1700)
async def test_a_real_guest_lives_through_promotions(tmp_path, short, iothread, count):
    """Three disks; first from views, then from overlays over the plain files again. At the end the law holds."""
    seed = random.randrange(1 << 30)
    LOG.info("seed %d", seed)
    chance = random.Random(seed)
    (made,) = guest_definitions(tmp_path / "disks", 1, 3, SIZE, find_guest_kernel())
    disks = tuple(disk.model_copy(update={"iothread": iothread}) for disk in made.disks)
    definition = made.model_copy(update={"disks": disks, "nics": ()})
    serial = Path(definition.serial_log or "")
    hypervisors = Hypervisors(tmp_path / "site", short / "run")
    views = {disk.id: View(short, disk.id, Path(disk.path)) for disk in disks}
    (tmp_path / "scratch").mkdir()
    try:
        overlays = {d: Overlay(view.socket, "", tmp_path / "scratch" / f"{d}.qcow2") for d, view in views.items()}
        await hypervisors.start_vms([StartRequest(definition, overlays, serial)], label="soak")
        await until(lambda: "worst " in _text(serial), 60)
        vm = await hypervisors.open_vm(definition.id)
        LOG.info("QEMU %s", vm.qualification.version)
        for turn in range(count):
            await _promote(vm, definition, chance)
            if turn < count - 1:
                await asyncio.sleep(chance.uniform(0, 0.2))
                await _put_under_scratch(vm, definition, tmp_path / "scratch", turn)
                await asyncio.sleep(chance.uniform(0, 0.2))
        before = len(_text(serial))
        await until(lambda: "ack" in _text(serial)[before:], 10)
        assert await vm.power() == "running"
        assert await vm.halt(force=True)
        await vm.close()
    finally:
        await hypervisors.stop_vm(definition.id, force=True)
        for view in views.values():
            view.kill()
    text = _text(serial)
    assert "BROKEN" not in text
    assert "failed" not in text
    worst = max(float(found) for found in re.findall(r"^worst ([\d.]+)", text, re.MULTILINE))
    LOG.info("the guest's longest write: %.3f s", worst)
    assert worst < WRITE_SECONDS_MAX
    assert check_images([Path(disk.path) for disk in disks]).good


@pytest.mark.parametrize("count", ROUNDS)
@in_loop(seconds=1700)
async def test_a_storage_daemon_loses_no_write_by_promotions(tmp_path, count):
    """A new daemon each round, written as fast as it goes; to the byte what was written."""
    longest = 0.0
    for turn in range(count):
        folder = tmp_path / str(turn)
        folder.mkdir()
        bench = StorageDaemonBench(folder)
        try:
            async with Recovered(bench) as recovered:
                vm = await bench.open()
                await recovered.begin_load()
                for disk_id in SIZES:
                    await vm.promote(disk_id, recovered.bases[disk_id], lambda _done, _total: None)
                await recovered.end_load()
                await vm.close()
                recovered.check()
                longest = max(longest, recovered.longest)
        finally:
            await bench.close()
        shutil.rmtree(folder)
    LOG.info("the longest write: %.3f s", longest)
    assert longest < WRITE_SECONDS_MAX
