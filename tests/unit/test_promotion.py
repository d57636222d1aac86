"""A promotion's order of steps, cut off before and after each of them, and what is said of the bitmaps afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from farshore.appliance import promotion as module
from farshore.appliance.promotion import Promotion
from farshore.appliance.promotion_record import PromotedDisk, PromotedVm, PromotionRecord
from farshore.errors import Fault, NotFound, Unavailable
from farshore.hypervisor.driver import VmGone
from farshore.model.vm import DiskDefinition, VmDefinition

MIB = 1 << 20


class Killed(BaseException):
    """The watcher is killed here."""


class World:
    """Journal, views and hypervisor, which outlive the watcher. Counts what is asked, and kills at `kill_at`."""

    def __init__(self) -> None:
        self.steps = 0
        self.kill_at = -1
        self.taken: dict[str, str] | None = None
        self.take_out_fails = ""
        self.views = {0, 1, 2}
        self.on_plain: dict[str, str] = {}  # disk of a VM that left scratch -> how
        self.settled: dict[str, VmDefinition] = {}
        self.instances = {"vm1": "1:1", "vm2": "2:1"}
        self.silent = 0
        self.hypervisors = self
        self.spec = None

    def step(self) -> None:
        """A moment at which the watcher may be killed."""
        self.steps += 1
        if self.steps == self.kill_at:
            raise Killed

    # -- the journal
    async def call(self, call: str, /, **args: Any) -> Any:
        """As VpgJournal.call."""
        self.step()
        if self.silent:
            self.silent -= 1
            raise Unavailable("The journal is not up.")
        if call == "take_out":
            self.taken = {str(n): f"{args['folder']}/{n}.raw" for n in args["volumes"]}
            self.step()
            return None
        if self.taken is None:
            raise NotFound("Nothing of the kind.")
        state = "failed" if self.take_out_fails else "done"
        return {"state": state, "done_bytes": 3, "total_bytes": 3, "paths": self.taken, "reason": self.take_out_fails}

    # -- the views
    async def close_volume(self, operation: str, number: int) -> None:
        """As ViewKeeper.close_volume: never under a VM that still reads it."""
        assert operation == "op"
        self.step()
        assert any(name.endswith(f":{number}") for name in self.on_plain)
        self.views.discard(number)
        self.step()

    # -- the hypervisor
    @asynccontextmanager
    async def open(self, vm_id: str) -> AsyncIterator[Handle]:
        """As VmDoors.open."""
        if vm_id not in self.instances:
            raise VmGone("It is off.")
        yield Handle(self, vm_id)

    def is_off(self, vm_id: str) -> bool:
        """As VmDoors.is_off."""
        return vm_id not in self.instances

    async def promote_off(self, definition: VmDefinition, disk_id: str, scratch: Path, base: Path) -> None:
        """As Hypervisors.promote_off."""
        self.leave_scratch(definition.id, disk_id, base, "off")

    def leave_scratch(self, vm_id: str, disk_id: str, base: Path, how: str) -> None:
        """A disk comes onto its plain file; it was taken out before, and its view still stood."""
        self.step()
        number = {("vm1", "a"): 0, ("vm1", "b"): 1, ("vm2", "a"): 2}[vm_id, disk_id]
        assert self.taken is not None
        assert str(base) == self.taken[str(number)]
        name = f"{vm_id}.{disk_id}:{number}"
        assert number in self.views or name in self.on_plain
        self.on_plain.setdefault(name, how)
        self.step()

    async def settle_vm(self, vm_id: str, definition: VmDefinition) -> None:
        """As Hypervisors.settle_vm: when all disks of the VM are done."""
        self.step()
        assert {name.partition(":")[0] for name in self.on_plain} >= {f"{vm_id}.{d.id}" for d in definition.disks}
        self.settled[vm_id] = definition
        self.step()


class Handle:
    """As VmHandle, of a live process."""

    def __init__(self, world: World, vm_id: str) -> None:
        self.world = world
        self.vm_id = vm_id
        self.instance = world.instances[vm_id]

    async def promote(self, disk_id: str, base: Path, progress: Any) -> None:
        """As VmHandle.promote."""
        progress(MIB, MIB)
        self.world.leave_scratch(self.vm_id, disk_id, base, "live")


def vm(vm_id: str, disks: dict[str, int]) -> PromotedVm:
    """A recovered VM."""
    listed = tuple(DiskDefinition(id=d, path="/there", format="raw", size_bytes=MIB) for d in disks)
    definition = VmDefinition(id=vm_id, name=vm_id, hypervisor="storage_daemon", disks=listed).model_dump(mode="json")
    return PromotedVm(definition, f"/log/{vm_id}", {d: PromotedDisk(n, f"/scratch/{d}") for d, n in disks.items()})


@pytest.fixture
def record(tmp_path: Path) -> PromotionRecord:
    """One of two VMs with three disks, as it is ordered."""
    vms = {"vm1": vm("vm1", {"a": 0, "b": 1}), "vm2": vm("vm2", {"a": 2})}
    made = PromotionRecord(tmp_path / "op.json", "op", "vpg", "7", vms)
    made.save()
    return made


def run(world: World, record: PromotionRecord) -> PromotionRecord:
    """A watcher that begins, or goes on, from what is on disk; what is on disk when it ends."""
    promotion = Promotion(PromotionRecord.load(record.path), lambda _vpg: world, world, world, Path("/disks/op"))  # type: ignore[arg-type,return-value]
    try:
        asyncio.run(promotion.run())
    except Killed:
        world.kill_at = -1
    return PromotionRecord.load(record.path)


def test_a_record_is_read_back_as_it_was_written(record: PromotionRecord) -> None:
    """All of it, since a watcher goes on from nothing else."""
    assert PromotionRecord.load(record.path) == record


def test_killed_anywhere_it_comes_to_the_same_end(record: PromotionRecord) -> None:
    """Before and after each effect: the next watcher goes on, the order holds, and the end is the undisturbed one's."""
    begun = record.path.read_bytes()
    undisturbed = World()
    end = run(undisturbed, record)
    assert end.state == "done"
    assert undisturbed.views == set()
    assert [vm.instance for vm in end.vms.values()] == ["1:1", "2:1"]
    assert [d.path for d in undisturbed.settled["vm1"].disks] == ["/disks/op/0.raw", "/disks/op/1.raw"]
    assert undisturbed.settled["vm1"].serial_log == "/log/vm1"
    assert undisturbed.steps > 10
    for kill_at in range(1, undisturbed.steps + 1):
        record.path.write_bytes(begun)
        world = World()
        world.kill_at = kill_at
        assert run(world, record).state == "running", kill_at
        again = run(world, record)
        assert (again, world.on_plain, world.settled, world.views) == (
            end, undisturbed.on_plain, undisturbed.settled, set()
        ), kill_at  # fmt: skip


def test_a_vm_whose_process_changed_in_the_middle_is_not_said_to_have_counted_all(record: PromotionRecord) -> None:
    """No process saw both promotions, so no bitmap is the whole difference: the instance is empty, for good."""
    world = World()
    world.kill_at = 7
    cut = run(world, record)
    assert cut.vms["vm1"].instance == "1:1"
    assert cut.state == "running"
    world.instances["vm1"] = "9:9"
    assert [vm.instance for vm in run(world, record).vms.values()] == ["", "2:1"]


def test_a_vm_that_is_off_is_promoted_off(record: PromotionRecord) -> None:
    """Its disks come onto plain files all the same, and nothing has counted."""
    world = World()
    del world.instances["vm1"]
    end = run(world, record)
    assert end.state == "done"
    assert world.on_plain == {"vm1.a:0": "off", "vm1.b:1": "off", "vm2.a:2": "live"}
    assert [vm.instance for vm in end.vms.values()] == ["", "2:1"]


def test_a_failure_is_told_and_asked_again_it_goes_on(record: PromotionRecord) -> None:
    """The journal says that its store is full: failed, with that word; the VMs are as they were."""
    world = World()
    world.take_out_fails = "no space is left"
    failed = run(world, record)
    assert failed.state == "failed"
    assert "no space is left" in failed.reason
    assert (world.on_plain, world.views) == ({}, {0, 1, 2})
    world.take_out_fails = ""
    assert run(world, record).state == "done"


def test_what_does_not_answer_for_a_while_is_asked_again(
    record: PromotionRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A carrier that is being started again is no failure; one that never comes back is."""
    monkeypatch.setattr(module, "POLL_SECONDS", 0.001)
    world = World()
    world.silent = 5
    assert run(world, record).state == "done"
    record.save()
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.01)
    world = World()
    world.silent = 10**9
    ended = run(world, record)
    assert ended.state == "failed"
    assert "not up" in ended.reason


def test_an_error_of_the_hypervisor_leaves_the_vm_on_its_scratch(record: PromotionRecord) -> None:
    """It is told in its own words; the views stay, since the VM still reads them."""

    class Refusing(World):
        def leave_scratch(self, vm_id: str, disk_id: str, base: Path, how: str) -> None:
            raise Fault("No space left on device")

    world = Refusing()
    failed = run(world, record)
    assert failed.state == "failed"
    assert "No space left" in failed.reason
    assert world.views == {0, 1, 2}
