"""Runs one operation again and again, each time killed (-9) at another call, and tells how each ended.

    python tests/operations_harness.py FOLDER SCENARIO [SEED]

With a seed a kill comes once at each call, before or after its effect as drawn; else at both. For each kill point the
prepared site is copied, a forked process is killed there, a second one takes the operation up again. Prints JSON:
{"calls": n, "ends": {"": end without a kill, "1:before": end, ...}}; an end is all that can be observed afterwards:
task, rows at both sites, tests, and what both appliances hold.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from farshore.cli.site_folder import NewSite, init_site
from farshore.model.task import TaskType
from farshore.model.views import VpgOrder
from farshore.operations import engine, orders
from farshore.operations.orders import Orders
from farshore.site.appliances import Appliances
from farshore.site.peers import Peer
from farshore.site.script_folder import scripts_folder
from farshore.site.site import Site, open_site
from tests.fake_appliance import FakeAppliance
from tests.fake_peer import FakePeer
from tests.killer import Killer

NORTH = "00000000-0000-4000-8000-000000000001"
VPG = "00000000-0000-4000-8000-00000000000a"
BESIDE = "00000000-0000-4000-8000-00000000000b"
"""The operation that runs beside the one that is killed."""
END_SECONDS = 30
AT_ONCE = 10

FAILOVER: dict[str, Any] = {
    "checkpoint_id": None,
    "commit_policy": 0,
    "wait_seconds": 100,
    "shutdown_policy": 0,
    "reverse_protection": False,
    "vm_ids": None,
}
MOVE: dict[str, Any] = {
    "commit_policy": None,
    "wait_seconds": None,
    "force_shutdown": False,
    "reverse_protection": True,
    "keep_source_vms": False,
}
BACK: dict[str, Any] = {"reverse_protection": True}
CLONE: dict[str, Any] = {"checkpoint_id": None, "datastore_id": None, "vm_ids": None}
SCRIPTED: dict[str, Any] = {
    "pre_recovery": {"command": "before", "parameters": "a 'b c'"},
    "post_recovery": {"command": "after"},
}
KEEP: dict[str, Any] = {"force": False, "keep_recovery_volumes": True}
AWAY: dict[str, Any] = {"reverse_protection": False, "keep_source_vms": False}


def updated(*vm_ids: str, name: str = "shop") -> dict[str, Any]:
    """The order that gives the VPG these VMs and that name; `play` fills in the recovery site."""
    return {"name": name, "protected_site_id": NORTH, "recovery_site_id": "", "vm_ids": list(vm_ids)}


SCENARIOS: dict[str, tuple[list[str], TaskType, dict[str, Any], dict[str, Any]]] = (
    {
        # name: what comes before it, kind, request, how the fakes behave
        "protect": ([], TaskType.CreateProtectionGroup, {}, {}),
        "protect_refused": ([], TaskType.CreateProtectionGroup, {}, {"north": frozenset({"protect_vpg"})}),
        "checkpoint": (["protect"], TaskType.InsertTaggedCP, {"name": "tag"}, {}),
        "checkpoint_void": (["protect"], TaskType.InsertTaggedCP, {"name": "tag"}, {"void": 2}),
        "test": (["protect"], TaskType.FailOverTest, {"checkpoint_id": None, "vm_ids": ["name-vm1"]}, {}),
        "test_refused": (
            ["protect"],
            TaskType.FailOverTest,
            {"checkpoint_id": "7", "vm_ids": None},
            {"south": frozenset({"start_recovered_vms"})},
        ),
        "stop": (
            ["protect", "test"],
            TaskType.StopFailOverTest,
            {"success": True, "summary": "ok", "test_task": None},
            {},
        ),
        "remove": (["protect"], TaskType.RemoveProtectionGroup, {"force": False, "keep_recovery_volumes": False}, {}),
        "remove_refused": (
            ["protect"],
            TaskType.RemoveProtectionGroup,
            {"force": False, "keep_recovery_volumes": False},
            {"south": frozenset({"forget_vpg"})},
        ),
        "clone": (["protect"], TaskType.Clone, CLONE | {"datastore_id": "d1", "vm_ids": ["name-vm1"]}, {}),
        "clone_unwell": (["protect"], TaskType.Clone, CLONE, {"unwell": True}),
        "clone_abort": (["protect"], TaskType.AbortClone, {}, {"stuck": True, "beside": CLONE}),
        "remove_beside_a_clone": (
            ["protect"],
            TaskType.RemoveProtectionGroup,
            {"force": True, "keep_recovery_volumes": False},
            {"stuck": True, "beside": CLONE},
        ),
        "keep": (["protect"], TaskType.RemoveProtectionGroup, KEEP, {}),
        "keep_by_force": (["protect"], TaskType.RemoveProtectionGroup, KEEP | {"force": True}, {}),
        "keep_unwell": (["protect"], TaskType.RemoveProtectionGroup, KEEP, {"unwell": True}),
        "failover": (["protect", "test"], TaskType.FailOver, FAILOVER, {}),
        "failover_halting": (["protect"], TaskType.FailOver, FAILOVER | {"shutdown_policy": 2}, {}),
        "failover_of_one": (["protect"], TaskType.FailOver, FAILOVER | {"vm_ids": ["vm1"]}, {}),
        "commit": (["protect", "failover"], TaskType.FailoverCommit, {"reverse_protection": False}, {}),
        "commit_reverse": (["protect", "failover_halting"], TaskType.FailoverCommit, BACK, {}),
        "commit_of_one": (["protect", "failover_of_one"], TaskType.FailoverCommit, BACK, {}),
        "rollback": (["protect", "failover_halting"], TaskType.FailoverRollback, {}, {}),
        "rollback_kept": (["protect", "failover"], TaskType.FailoverRollback, {"keep": True}, {}),
        "update": (["protect"], TaskType.UpdateProtectionGroup, {"update": updated("vm1", name="store")}, {}),
        "update_adding": (["protect", "update"], TaskType.UpdateProtectionGroup, {"update": updated("vm1", "vm2")}, {}),
        "update_refused": (
            ["protect", "update"],
            TaskType.UpdateProtectionGroup,
            {"update": updated("vm1", "vm2")},
            {"north": frozenset({"protect_vpg"})},
        ),
        "reverse": (["protect", "failover_halting", "commit_reverse"], TaskType.UpdateProtectionGroup, {}, {}),
        "protect_scripted": ([], TaskType.CreateProtectionGroup, {"settings": SCRIPTED}, {}),
        "test_scripted": (
            ["protect_scripted"],
            TaskType.FailOverTest,
            {"checkpoint_id": None, "vm_ids": ["name-vm1"]},
            {},
        ),
        "failover_scripted": (["protect_scripted"], TaskType.FailOver, FAILOVER | {"shutdown_policy": 2}, {}),
        "move_scripted": (["protect_scripted"], TaskType.Move, MOVE, {}),
        "move": (["protect"], TaskType.Move, MOVE, {}),
        "move_commit": (["protect", "move"], TaskType.MoveCommit, AWAY, {}),
        "move_rollback": (["protect", "move"], TaskType.MoveRollback, {}, {}),
    }
    | {
        f"clone_refused_{call}": (["protect"], TaskType.Clone, CLONE, {"south": frozenset({call})})
        for call in ("begin_clone", "adopt_clone")
    }
    | {
        f"keep_refused_{call}": (["protect"], TaskType.RemoveProtectionGroup, KEEP, {"south": frozenset({call})})
        for call in ("begin_keep", "finish_keep", "forget_vpg")
    }
    | {
        f"failover_refused_{call}": (
            ["protect"],
            TaskType.FailOver,
            FAILOVER | {"shutdown_policy": 2},
            {where: frozenset({call})},
        )
        for where, call in (
            ("south", "pin_checkpoint"),
            ("north", "halt_vms"),
            ("south", "definitions_at"),
            ("south", "open_views"),
            ("south", "start_recovered_vms"),
        )
    }
)


def prepare(folder: Path) -> None:
    """A new site, paired with the fake one."""
    init_site(folder, NewSite("south", password="secret"))
    for name, text in (("before", "echo $FARSHORE_OPERATION $#"), ("after", "exit 3")):
        put_script(folder, name, text)
    site = open_site(folder, FakeAppliance(folder / "south.json"))
    site.peers.save(Peer(NORTH, "north", "127.0.0.1:1", "127.0.0.1:2"))
    site.database.close()


def put_script(folder: Path, name: str, text: str) -> None:
    """A script of the site."""
    path = scripts_folder(folder) / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def fakes(folder: Path, behave: dict[str, Any], at: str) -> tuple[FakeAppliance, FakePeer]:
    """This site's appliance, and the other site."""
    killer = Killer(at)
    own = FakeAppliance(folder / "south.json", killer, behave.get("south", frozenset()))
    north = FakeAppliance(folder / "north.json", killer, behave.get("north", frozenset()))
    flags = {name: value for name, value in behave.items() if name in ("void", "unwell", "stuck")}
    if flags:
        own.save(own.state() | flags)
    return own, FakePeer(north, folder / "north-rows.json")


def bind_fakes(site: Site, own: FakeAppliance, peer: FakePeer) -> None:
    """Let the site talk to the fakes."""
    site.client = peer  # type: ignore[assignment]  # a fake peer
    site.appliances = Appliances(site.id, own, site.client)


async def play(folder: Path, name: str, at: str) -> dict[str, Any]:
    """Order the operation unless it was ordered, and wait for its end."""
    _, kind, request, behave = SCENARIOS[name]
    own, peer = fakes(folder, behave, at)
    site = open_site(folder, own)
    bind_fakes(site, own, peer)
    task_id = f"00000000-0000-4000-8000-{list(SCENARIOS).index(name):012d}.{site.id}"
    engine.launch(site, folder / "operations.sqlite")
    taken = Orders(site)
    await taken.resume()
    if "beside" in behave and site.tasks.get(task_id) is None:
        await begin_clone_beside(site, own, taken, behave["beside"])
    orders.new_task_id = lambda _site_id: task_id
    if site.tasks.get(task_id) is None:
        if kind is TaskType.CreateProtectionGroup:
            sites = {"protected_site_id": NORTH, "recovery_site_id": site.id}
            order = {"name": "shop", "vm_ids": ("vm1", "vm2"), **sites, **request}
            request = {"order": VpgOrder.model_validate(order).model_dump(mode="json")}
        if "update" in request:
            request = {"update": request["update"] | {"vpg_id": VPG, "recovery_site_id": site.id}}
        site.peers.heard(NORTH)
        await taken.place(kind, VPG, site.id, request, "tester")
    deadline = time.monotonic() + END_SECONDS
    while (task := site.tasks.get(task_id)) is None or task.live:
        assert time.monotonic() < deadline, "the operation did not end"
        await asyncio.sleep(0.02)
    # What a clone has at the appliance goes after its task has ended.
    while own.state()["clones"]:
        assert time.monotonic() < deadline, "the clone's record stayed"
        await asyncio.sleep(0.02)
    # A refused test is marked as failed after its task has ended.
    while any(test.state == "starting" for test in site.tests.of(VPG)):
        assert time.monotonic() < deadline, "the test's row did not end"
        await asyncio.sleep(0.02)
    return {"calls": own.killer.calls, "end": observe(site, own, peer, task_id)}


async def begin_clone_beside(site: Site, own: FakeAppliance, taken: Orders, request: dict[str, Any]) -> None:
    """Order a clone that gets no further, unless it was ordered; wait until it copies."""
    beside = f"{BESIDE}.{site.id}"
    orders.new_task_id = lambda _site_id: beside
    if site.tasks.get(beside) is None:
        await taken.place(TaskType.Clone, VPG, site.id, request, "tester")
    deadline = time.monotonic() + END_SECONDS
    while BESIDE not in own.state()["clones"] or not own.waits:
        assert time.monotonic() < deadline, "the clone did not begin"
        await asyncio.sleep(0.02)


def observe(site: Site, own: FakeAppliance, peer: FakePeer, task_id: str) -> dict[str, Any]:
    """All that can be seen of the end."""
    task, beside = site.tasks.get(task_id), site.tasks.get(f"{BESIDE}.{site.id}")
    assert task is not None
    return {
        "beside": beside and [beside.state, beside.reason],
        "task": [task.state, task.progress, task.reason, task.note],
        "rows": [[row.vpg.id, row.phase, row.vpg.version, len(row.vpg.volumes)] for row in site.vpgs.all()],
        "vpgs": [timeless(row.vpg.model_dump(mode="json")) for row in site.vpgs.all()],
        "deadlines": [deadline.vpg_id for deadline in site.deadlines.all()],
        "debts": [debt.key for debt in site.debts.all()],
        "tests": [
            [test.state, test.checkpoint_id, test.success, test.summary, test.vms] for test in site.tests.of(VPG)
        ],
        "south": own.state(),
        "north": peer.appliance.state(),
        "north_rows": peer.vpgs(),
    }


def timeless(vpg: dict[str, Any]) -> dict[str, Any]:
    """A VPG without the moments that differ from run to run."""
    if vpg["recovery"]:
        vpg["recovery"] |= {"began_ns": 0, "before_commit_ns": 0}
    return vpg


def begin(folder: Path, name: str, at: str) -> tuple[int, int]:
    """Play in a forked process: its identifier, and where its end can be read."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            asyncio.run(_played(folder, name, at, writing))
        finally:
            os._exit(1)
    os.close(writing)
    return child, reading


def end(begun: tuple[int, int]) -> dict[str, Any] | None:
    """Wait for it; None when it was killed."""
    child, reading = begun
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else None


async def _played(folder: Path, name: str, at: str, writing: int) -> None:
    result = await play(folder, name, at)
    os.write(writing, json.dumps(result).encode())
    os._exit(0)


def played(folder: Path, base: Path, name: str, points: list[str]) -> dict[str, dict[str, Any]]:
    """The results after kills at these points, all at the same time (they mostly wait)."""
    copies = [folder / f"copy{number}" for number in range(len(points))]
    for copy in copies:
        shutil.copytree(base, copy)
    killed = [begin(copy, name, at) for copy, at in zip(copies, points, strict=True)]
    for at, result in [(at, end(begun)) for at, begun in zip(points, killed, strict=True)]:
        assert result is None, f"it was not killed at {at}"
    again = [begin(copy, name, "") for copy in copies]
    results = {}
    for at, result in [(at, end(begun)) for at, begun in zip(points, again, strict=True)]:
        assert result is not None, f"no end after {at}"
        results[at] = result["end"]
    for copy in copies:
        shutil.rmtree(copy)
    return results


def main(folder: Path, name: str, seed: str | None = None) -> None:
    """Play the scenario without a kill, then killed at each point."""
    base = folder / "base"
    prepare(base)
    for before in SCENARIOS[name][0]:
        assert end(begin(base, before, ""))
    shutil.copytree(base, folder / "whole")
    whole = end(begin(folder / "whole", name, ""))
    assert whole is not None
    ends = {"": whole["end"]}
    points = [f"{call}:{when}" for call in range(1, whole["calls"] + 1) for when in ("before", "after")]
    if seed is not None:
        draw = random.Random(seed)
        points = [f"{call}:{draw.choice(('before', 'after'))}" for call in range(1, whole["calls"] + 1)]
    for first in range(0, len(points), AT_ONCE):
        ends |= played(folder, base, name, points[first : first + AT_ONCE])
    print(json.dumps({"calls": whole["calls"], "ends": ends}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
