"""What is discarded is put away whole or not at all, and goes whole, wherever a kill comes; its time is no clock's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from farshore.appliance import discarded as keeping
from farshore.appliance.discarded import Discarded
from farshore.appliance.discarded_record import demand, kept, place_of
from farshore.appliance.recovered_vms import RecoveredVms
from farshore.errors import Conflict, NotFound

ORDER: dict[str, Any] = {
    "vpg_id": "v",
    "vpg_name": "shop",
    "operation": "op-1",
    "checkpoint_id": "7",
    "checkpoint_time_ns": 7,
    "volumes": {"r1": {"a": 3}},
    "keep_seconds": 100.0,
}
KEEP = "discarded-op-1"


class Killed(BaseException):
    """The process ends here."""


class Site:
    """A site's folder with one recovered VM, of which a step may be the last one that this process does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pins: dict[str, str] = {}
        self.running = {"r1"}
        self.steps: list[str] = []
        self.last: int | None = None
        self.state = "receiving"
        around: Any = SimpleNamespace(site_folder=folder, run_folder=folder / "run")
        hypervisors: Any = SimpleNamespace(stop_vm=self.stop_vm)
        self.recovered = RecoveredVms(around, hypervisors)
        scratch = self.recovered.scratch("op-1")
        scratch.mkdir(parents=True)
        (scratch / "vm1.a.qcow2").write_bytes(b"writes")
        definition = {"disks": [{"id": "a", "size_bytes": 1 << 20}]}
        vm = {"vm_id": "r1", "name": "db", "definition": definition, "scratch": {"a": str(scratch / "vm1.a.qcow2")}}
        self.recovered.folder.mkdir(parents=True)
        (self.recovered.folder / "op-1.json").write_text(json.dumps({"vms": [vm], "label": ""}))

    def step(self, name: str) -> None:
        """One has been done."""
        self.steps.append(name)
        if self.last is not None and len(self.steps) >= self.last:
            raise Killed

    async def stop_vm(self, vm_id: str, *, force: bool) -> None:
        """As the hypervisor does."""
        assert force
        if vm_id not in self.running:
            raise NotFound("It is off.")
        self.running.discard(vm_id)
        self.step("stop")

    async def call(self, name: str, *, operation: str, checkpoint_id: str = "") -> None:
        """As a journal does."""
        if name == "pin":
            self.pins[operation] = checkpoint_id
        else:
            self.pins.pop(operation, None)
        self.step(name)

    async def status(self, *, fresh: bool) -> dict[str, Any]:
        """As a journal does."""
        assert not fresh
        return {"state": self.state}

    def journal(self, vpg_id: str) -> Any:
        """There is one VPG, or none."""
        if vpg_id != "v" or not self.state:
            raise NotFound("No journal.")
        return self

    def begin(self) -> Discarded:
        """As a process that begins now has it."""
        promotions: Any = SimpleNamespace(demand_none=lambda _operation: None, before_first=None)
        return Discarded(self.folder, self.journal, self.recovered, promotions, 0)

    def stands(self) -> tuple[Any, ...]:
        """What there is."""
        files = sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())
        return [name for name in files if not name.endswith("/lock")], self.pins, self.running


def spied(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Renames, writes and removals are steps as well."""

    def wrap(owner: Any, name: str) -> None:
        real: Callable[..., Any] = getattr(owner, name)

        def call(*args: Any, **more: Any) -> Any:
            result = real(*args, **more)
            site.step(name)
            return result

        monkeypatch.setattr(owner, name, call)

    wrap(Path, "rename")
    wrap(keeping.shutil, "rmtree")
    wrap(keeping, "sync_directory")


@pytest.mark.parametrize("removed", [False, True])
def test_a_kill_after_any_step(tmp_path: Path, removed: bool) -> None:
    """Once more in a new process, and all is as without the kill: put away, or gone."""

    def play(folder: Path, last: int | None) -> tuple[list[str], tuple[Any, ...]]:
        site = Site(folder)
        with pytest.MonkeyPatch.context() as monkeypatch:
            if removed:
                asyncio.run(site.begin().discard_recovered(**ORDER))
                place_of(folder, "op-1").ask_away()
                site.steps.clear()
            spied(site, monkeypatch)
            site.last = last

            def act() -> None:
                begun = site.begin()
                asyncio.run(begun.sweep(0) if removed else begun.discard_recovered(**ORDER))

            if last is None:
                act()
            else:
                with pytest.raises(Killed):
                    act()
            done, site.last = list(site.steps), None
            act()
        return done, site.stands()

    steps, whole = play(tmp_path / "whole", None)
    assert len(steps) >= 3
    files = [] if removed else ["discarded/op-1/record.json", "discarded/op-1/scratch/vm1.a.qcow2"]
    assert whole == (files, {} if removed else {KEEP: "7"}, set())
    for last in range(1, len(steps) + 1):
        assert play(tmp_path / str(last), last)[1] == whole, steps[:last]


def test_it_goes_by_the_seconds_that_pass_and_not_by_a_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock two days ahead ends nothing; the seconds that are left outlive the process."""
    site = Site(tmp_path)
    discarded = site.begin()
    asyncio.run(discarded.discard_recovered(**ORDER))
    monkeypatch.setattr(keeping.time, "time_ns", lambda: 2**62)
    asyncio.run(discarded.sweep(70))
    discarded = site.begin()
    asyncio.run(discarded.sweep(20))
    assert [record.operation for record in kept(tmp_path)] == ["op-1"]
    asyncio.run(discarded.sweep(20))
    assert (kept(tmp_path), site.pins) == ([], {})


@pytest.mark.parametrize("state", ["no_space", ""])
def test_it_goes_when_the_journal_has_no_room_or_is_gone(tmp_path: Path, state: str) -> None:
    """Protection goes before it."""
    site = Site(tmp_path)
    discarded = site.begin()
    asyncio.run(discarded.discard_recovered(**ORDER))
    asyncio.run(discarded.sweep(1))
    assert len(kept(tmp_path)) == 1
    site.state = state
    asyncio.run(discarded.sweep(1))
    assert site.stands()[0] == []


def test_it_stays_while_it_is_read_and_goes_for_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads it has its lock; a commit that needs it gone is refused meanwhile."""
    site = Site(tmp_path)
    discarded = site.begin()
    asyncio.run(discarded.discard_recovered(**ORDER))
    place, _ = demand(tmp_path, "op-1")
    lock = place.lock()
    with pytest.raises(Conflict, match="read"):
        asyncio.run(discarded.drop("v"))
    asyncio.run(discarded.sweep(1000))
    assert place.scratch.is_dir()
    lock.release()
    asyncio.run(discarded.drop("another"))
    assert place.scratch.is_dir()
    discarded = site.begin()
    monkeypatch.setattr(keeping, "room_bytes", lambda *_: -1)
    asyncio.run(discarded.sweep(0))
    assert site.stands()[0] == []
    for name in ("op-1", "../x", ""):
        with pytest.raises(NotFound):
            demand(tmp_path, name)
