"""I21: pins of operations that nobody knows any more are dropped, all others stay, and where it is not sure all do."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from farshore.appliance.pin_keeping import PinKeeping
from farshore.datapath.journal.pins import Pin, Pins, own_name
from farshore.errors import Conflict
from farshore.manager.old_pins import OldPins
from farshore.model.task import TaskType, new_task_id
from farshore.operations.steps.give_back import guard
from farshore.site.debts import Debt
from farshore.site.tasks import TaskRow
from tests.faked_site import FakedSite, until, with_site
from tests.operations_harness import CLONE, VPG

LOST = "00000000-0000-4000-8000-0000000000ff"
"""An operation that nobody knows."""


def test_i21_only_the_pin_that_was_seen_is_dropped(tmp_path: Path) -> None:
    """Not one that took its name since; not one of a process that lives; that of a dead one is."""
    pins = Pins(tmp_path)
    pins.write("op", 7)
    (seen,) = pins.listed()
    assert (seen.operation, seen.ordinal) == ("op", 7)
    pins.write("op", 8)
    assert not pins.drop("op", seen.pinned_ns)
    assert pins.all() == {"op": 8}
    assert pins.drop("op", pins.listed()[0].pinned_ns)
    assert not pins.drop("op", seen.pinned_ns)
    living = own_name("export", "3")
    pins.write(living, 9)
    (seen,) = pins.listed()
    assert seen.is_held
    assert not pins.drop(living, seen.pinned_ns)
    ended = subprocess.Popen(["true"])
    ended.wait()
    dead = living.replace(f"-{os.getpid()}.", f"-{ended.pid}.")
    assert not Pin(dead, 9, 1).is_held
    assert not Pin(living.replace(".", ".9"), 9, 1).is_held, "another process has that number now"
    pins.write(dead, 9)
    assert pins.drop(dead, next(pin.pinned_ns for pin in pins.listed() if pin.operation == dead))
    assert pins.all() == {living: 9}


def test_i21_a_pin_that_cannot_be_read_stays(tmp_path: Path) -> None:
    """It keeps everything, and is not among those that may be dropped."""
    pins = Pins(tmp_path)
    pins.write("op", 7)
    (tmp_path / "pins" / "op.json").write_text("half")
    assert (pins.listed(), pins.all()) == ([], {"op": 0})
    assert not pins.drop("op", 0)


class Journal:
    """As the appliance has one; notes what was dropped."""

    def __init__(self, *operations: str) -> None:
        self.operations = list(operations)

    async def call(self, name: str, **arguments: Any) -> Any:
        """As VpgJournal.call."""
        if name == "pins":
            return [{"operation": o, "pinned_ns": 5, "held": o.startswith("export")} for o in self.operations]
        self.operations.remove(arguments["operation"])
        return True


NEEDED = {
    "appliance/views/OP.json": ("OP", "views"),
    "appliance/recovered/OP.json": ("OP", "recovered VMs"),
    "appliance/clones/OP.json": ("OP", "a clone"),
    "appliance/keeps/OP.json": ("OP", "volumes that are kept"),
    "appliance/promotions/OP.json": ("OP", "a promotion"),
    "discarded/OP/record.json": ("discarded-OP", "what a rollback discarded"),
}


@pytest.mark.parametrize("file", NEEDED)
def test_i21_what_the_appliance_needs_is_not_dropped(tmp_path: Path, file: str) -> None:
    """A view, a recovered VM, a copy, a promotion, what was discarded; until it is gone."""
    operation, words = (text.replace("OP", LOST) for text in NEEDED[file])
    journal = Journal(operation)
    keeping = PinKeeping(tmp_path, lambda _vpg_id: journal)  # type: ignore[arg-type,return-value]
    path = tmp_path / file.replace("OP", LOST)
    path.parent.mkdir(parents=True)
    record = {"operation": LOST, "vpg_id": "v", "checkpoint_id": "7", "vms": {}, "state": "failed"}
    path.write_text(json.dumps(record))
    (listed,) = asyncio.run(keeping.list_pins("v"))
    assert listed["needed_by"] == words
    with pytest.raises(Conflict, match=words):
        asyncio.run(keeping.drop_pin("v", operation, 5))
    assert journal.operations == [operation]
    path.unlink()
    if "discarded" in file:
        path.parent.rmdir()
    assert asyncio.run(keeping.drop_pin("v", operation, 5))
    assert journal.operations == []


def test_i21_a_guard_is_needed_as_its_operation_is_and_an_export_while_it_runs(tmp_path: Path) -> None:
    """And a promotion whose VMs were adopted needs none any more."""
    journal = Journal(guard(LOST), "export-1.2-3")
    keeping = PinKeeping(tmp_path, lambda _vpg_id: journal)  # type: ignore[arg-type,return-value]
    promotions = tmp_path / "appliance" / "promotions"
    promotions.mkdir(parents=True)
    record = {"operation": LOST, "vpg_id": "v", "checkpoint_id": "7", "vms": {}}
    (promotions / f"{LOST}.json").write_text(json.dumps(record | {"state": "running"}))
    listed = asyncio.run(keeping.list_pins("v"))
    assert [pin["needed_by"] for pin in listed] == ["a promotion", "a process that lives"]
    (promotions / f"{LOST}.json").write_text(json.dumps(record | {"state": "adopted"}))
    assert asyncio.run(keeping.list_pins("v"))[0]["needed_by"] == ""


def pin(faked: FakedSite, *operations: str) -> None:
    """They have pinned a checkpoint, an hour ago."""
    state = faked.south.state()
    state["pins"] |= dict.fromkeys(operations, "7")
    faked.south.save(state)


def pins(faked: FakedSite) -> set[str]:
    """Who has pinned one."""
    return set(faked.south.state()["pins"])


def test_i21_a_pin_of_an_operation_that_is_known_stays(tmp_path: Path) -> None:
    """Of a test that runs, a clone that runs, a failover before its commit, a call that is owed; all others go."""

    async def test(faked: FakedSite) -> None:
        turn = OldPins(faked.site).turn
        await faked.ended(await faked.place(TaskType.FailOverTest, {"checkpoint_id": None, "vm_ids": None}))
        (tested,) = pins(faked)
        pin(faked, LOST, guard(LOST), "discarded-by-nobody")
        await turn()
        assert pins(faked) == {tested}
        stop = {"success": True, "summary": "", "test_task": None}
        await faked.ended(await faked.place(TaskType.StopFailOverTest, stop))
        pin(faked, tested)
        await turn()
        assert pins(faked) == set(), "the test has ended, so its pin was left behind"
        faked.site.debts.owe(Debt("remove", "", faked.site.id, "remove_clone", {"vpg_id": VPG, "operation": LOST}))
        pin(faked, LOST)
        await turn()
        assert pins(faked) == {LOST}
        faked.site.debts.forgive("remove")
        faked.south.save(faked.south.state() | {"stuck": True})
        clone = (await faked.place(TaskType.Clone, CLONE)).split(".")[0]
        await until(lambda: faked.south.waits, "the clone copies")
        await turn()
        assert pins(faked) == {clone}
        faked.south.save(faked.south.state() | {"stuck": False})
        await faked.ended(await faked.place(TaskType.AbortClone, {}))
        failover = await faked.failover()
        await faked.ended(failover)
        operation = failover.split(".")[0]
        pin(faked, LOST, guard(operation))
        await turn()
        assert pins(faked) == {operation, guard(operation)}

    with_site(tmp_path, test)


def test_i21_nothing_is_dropped_that_is_not_sure(tmp_path: Path) -> None:
    """The other site away, the appliance silent, a pin that the appliance needs, one that is young."""

    async def test(faked: FakedSite) -> None:
        turn = OldPins(faked.site).turn
        pin(faked, LOST)
        settings = faked.site.config.settings
        for seconds in (3601.0, 3600.0):
            young = settings.model_copy(update={"forget_pins_seconds": seconds})
            faked.site.config = faked.site.config.model_copy(update={"settings": young})
            faked.site.peers._heard.clear()
            await turn()
            assert pins(faked) == {LOST}
            faked.hear()
            faked.south.save(faked.south.state() | {"needed": {LOST: "views"}})
            await turn()
            faked.south.save(faked.south.state() | {"needed": {}})
            faked.south.silent = True
            await turn()
            faked.south.silent = False
            assert pins(faked) == {LOST}
            await turn()
            assert pins(faked) == ({LOST} if seconds > 3600 else set())

    with_site(tmp_path, test)


def test_i21_a_commit_that_waits_for_a_pin_nobody_knows_does_not_keep_it(tmp_path: Path) -> None:
    """An operation that runs keeps its own pins alone: a commit waits for older ones, so it would wait for ever."""

    async def test(faked: FakedSite) -> None:
        commit = new_task_id(faked.site.id)
        row = TaskRow(commit, TaskType.FailoverCommit.value, faked.site.id, changing=True, vpg_id=VPG)
        faked.site.tasks.begin(row)
        pin(faked, LOST, commit.split(".")[0])
        await OldPins(faked.site).turn()
        assert pins(faked) == {commit.split(".")[0]}

    with_site(tmp_path, test)
