"""G11: an order is durable before its 200: whoever is killed (-9) right after the reply, it ends as if nothing were.

Every action of the page, on a lab of two sites with VMs that are written to, in JSON and XML. Its task is completed,
once, at both sites; its effect is there, once, in data and VMs; no VM and no file is there twice. In `make test` some
of the chapters, drawn by a seed, and whose manager dies is drawn for each order; in `make test-all` every order with
each of the three: the manager that answered and carries it out, the one that answered and passed it on, and the
other site's, which carries it out.
"""

from __future__ import annotations

import os
import random
import signal
import time
import uuid
from pathlib import Path

import pytest

from tests.killed_replies import WAYS, KilledReplies, RepliesLab
from tests.storage_lab import until
from tests.system.test_recovery_killed_anywhere import drawn_seed

MEETING_SLA, FAILED_OVER, MOVED, PAUSED = (1, 0), (5, 15), (6, 19), 25
STOPPED = 5
CHAPTERS_AT_ONCE = 2


def checkpoint(lab: KilledReplies) -> None:
    """Checkpoints: cut once, listed once with its tag; every write that was answered before is in it."""
    # What was taken back just now may be attached, before its sync: a tagged checkpoint is refused in a sync.
    until(lambda: lab.lab.call("north", "protection_status", lab.vpg_id)["state"] == "protecting", 30, "it protects")
    lab.content = lab.write("north")
    tag = f"tag {uuid.uuid4().hex}"
    lab.order("Checkpoints", {"CheckpointName": tag}, runs_at="", type_="InsertTaggedCP")
    listed = lab.lab.call("south", "list_checkpoints", lab.vpg_id)
    (found,) = [each["id"] for each in listed if tag in str(each)]
    lab.check_checkpoint(str(found))


def failover_test(lab: KilledReplies) -> None:
    """FailoverTest and its stop: each VM once beside the protected ones, with their data; then none, one test told."""
    lab.content = lab.write("north")
    lab.lab.await_checkpoint("south", lab.vpg_id, time.time_ns())
    lab.order("FailoverTest", runs_at="south", type_="FailOverTest")
    lab.lab.check_disks("south", {(f"{vm} - test", disk): content for (vm, disk), content in lab.content.items()})
    lab.check_disks("north")
    lab.order("FailoverTestStop", {"FailoverTestSummary": "fine"}, runs_at="south", type_="StopFailOverTest")
    assert lab.lab.asked("south", "SELECT state, summary FROM test WHERE vpg_id = ?", lab.vpg_id) == [("ended", "fine")]
    lab.nothing_left()
    lab.check_disks("north")


def clone(lab: KilledReplies) -> None:
    """CloneStart: one copy of each VM, off, with its data. CloneAbort, in the middle of another: nothing is left."""
    lab.content = lab.write("north")
    lab.lab.await_checkpoint("south", lab.vpg_id, time.time_ns())
    before = {vm["name"] for vm in lab.definitions("south")}
    lab.order("CloneStart", runs_at="south", type_="Clone")
    clones = [vm for vm in lab.definitions("south") if vm["name"] not in before]
    assert sorted(vm["name"].partition(" - ")[0] for vm in clones) == ["vm-1", "vm-2"]
    for vm in clones:
        for disk in vm["disks"]:
            content = lab.content[vm["name"].partition(" - ")[0], disk["id"]]
            assert Path(disk["path"]).read_bytes() == content, vm["name"]
    lab.nothing_left()
    running = lab.lab.api["south"].order("POST", f"/v1/vpgs/{lab.vpg_id}/CloneStart")
    copier = lab.lab.stop_copier()
    lab.order("CloneAbort", runs_at="south", type_="AbortClone")
    assert lab.ended("south", running)["Status"]["State"] == STOPPED
    until(lambda: not lab.lab.copiers() and not lab.lab.unfinished(), 30, "nothing is left of it")
    with pytest.raises(ProcessLookupError):
        os.kill(copier, signal.SIGCONT)
    assert {vm["name"] for vm in lab.definitions("south")} == before | {vm["name"] for vm in clones}
    lab.nothing_left()


def steering(lab: KilledReplies) -> None:
    """Pause: no more checkpoints; resume: what was written meanwhile is in the next one; forcesync: compared once."""
    lab.order("pause", runs_at="north", type_="PauseProtectionGroup")
    until(lambda: {vpg["SubStatus"] for s in lab.lab.api.values() for vpg in s.vpgs()} == {PAUSED}, 30, "it is paused")
    assert lab.lab.call("north", "protection_status", lab.vpg_id)["state"] == "paused"
    lab.content = lab.write("north")
    lab.order("resume", runs_at="north", type_="ResumeProtectionGroup")
    assert lab.lab.call("north", "protection_status", lab.vpg_id)["last_sync"]["kind"] == "bitmap"
    lab.check_checkpoint(lab.lab.checkpoint_now(lab.vpg_id, "resumed"))
    ordered = lab.order("forcesync", runs_at="north", type_="ForceSync")
    last = lab.lab.call("north", "protection_status", lab.vpg_id)["last_sync"]
    assert (last["kind"], last["forced"]) == ("delta", ordered.task_id)
    lab.check_checkpoint(lab.lab.checkpoint_now(lab.vpg_id, "compared"))
    lab.await_state(MEETING_SLA, "north")


def taken_back(lab: KilledReplies, there: tuple[str, str], back: tuple[str, str], state: tuple[int, int]) -> None:
    """Recovered with what was written last, as the VMs are shut down for it; taken back, the old ones run with it."""
    lab.content = lab.write("north")
    body = {"CommitPolicy": "None"} | ({"ShutdownPolicy": "ForceShutdown"} if there[0] == "Failover" else {})
    lab.order(there[0], body, runs_at="south", type_=there[1])
    lab.await_state(state, "north")
    lab.check_disks("south")
    lab.lab.check_disks("north", {})
    kept, lab.content = lab.content, lab.write("south")
    lab.content = kept
    lab.order(back[0], runs_at="south", type_=back[1])
    lab.await_state(MEETING_SLA, "north")
    lab.check_disks("north")
    lab.lab.check_disks("south", {})
    lab.nothing_left()


def failover_and_back(lab: KilledReplies) -> None:
    """Failover, FailoverRollback."""
    taken_back(lab, ("Failover", "FailOver"), ("FailoverRollback", "FailoverRollback"), FAILED_OVER)


def move_and_back(lab: KilledReplies) -> None:
    """Move, moveRollback."""
    taken_back(lab, ("move", "Move"), ("moveRollback", "MoveRollback"), MOVED)


def there_and_home(lab: KilledReplies) -> None:
    """Failover and FailoverCommit, move home and moveCommit: kept, protected back; the VMs run in one place, whole."""
    lab.content = lab.write("north")
    failover = {"CommitPolicy": "None", "ShutdownPolicy": "ForceShutdown"}
    lab.order("Failover", failover, runs_at="south", type_="FailOver")
    lab.await_state(FAILED_OVER, "north")
    lab.content = lab.write("south")
    lab.order("FailoverCommit", {"IsReverseProtection": "true"}, runs_at="south", type_="FailoverCommit")
    kept(lab, "south", "north")
    lab.content = lab.write("south")
    lab.order("move", {"CommitPolicy": "None"}, runs_at="north", type_="Move")
    lab.await_state(MOVED, "south")
    lab.content = lab.write("north")
    lab.order("moveCommit", {"ReverseProtection": "true"}, runs_at="north", type_="MoveCommit")
    kept(lab, "north", "south")


def kept(lab: KilledReplies, here: str, there: str) -> None:
    """Committed: the VMs run here alone, and are protected to there."""
    lab.await_state(MEETING_SLA, here)
    lab.check_disks(here)
    lab.lab.check_disks(there, {})
    lab.nothing_left()
    lab.once()


def removed_and_made(lab: KilledReplies) -> None:
    """DELETE: gone at both sites, the VMs run on. A vpgSettings commit: there once, and protects."""
    before = lab.vpg_id
    lab.order("DELETE", runs_at="south", type_="RemoveProtectionGroup")
    for site in ("north", "south"):
        until(lambda site=site: lab.lab.api[site].vpgs() == [], 30, f"no VPG at {site}")
        assert not list(lab.lab.folder_of(site).glob("journal/*/segments/*"))
        assert not list(lab.lab.folder_of(site).glob(f"appliance/*/{before}.json"))
    lab.check_disks("north")
    lab.order("create", runs_at="south", type_="CreateProtectionGroup")
    lab.await_state(MEETING_SLA, "north")
    assert lab.vpg_id != before
    lab.content = lab.write("north")
    lab.check_checkpoint(lab.lab.checkpoint_now(lab.vpg_id, "made"))


def changed(lab: KilledReplies) -> None:
    """A vpgSettings commit of the VPG that is there: both sites know it so, and it protects as before."""
    before = lab.lab.row("south")["settings"]["rpo_seconds"]
    lab.order("change", runs_at="south", type_="UpdateProtectionGroup")
    for site in ("north", "south"):
        until(lambda site=site: lab.lab.row(site)["settings"]["rpo_seconds"] == before + 1, 30, f"changed at {site}")
    lab.await_state(MEETING_SLA, "north")
    lab.content = lab.write("north")
    lab.check_checkpoint(lab.lab.checkpoint_now(lab.vpg_id, "changed"))


SHORT = [checkpoint, failover_test, clone, steering, failover_and_back, move_and_back, removed_and_made, changed]
CHAPTERS = [*SHORT, there_and_home]


@pytest.mark.timeout(240)
def test_g11_killed_right_after_the_reply() -> None:
    """Some chapters, drawn, without the long one; whose manager dies is drawn for each order."""
    seed = drawn_seed()
    with RepliesLab() as lab:
        replies = KilledReplies(lab, seed)
        for chapter in random.Random(seed).sample(SHORT, CHAPTERS_AT_ONCE):
            chapter(replies)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("way", WAYS)
def test_g11_every_action_killed_right_after_the_reply(way: str) -> None:
    """All actions, with one way of dying, in an order that is drawn."""
    seed = drawn_seed()
    with RepliesLab() as lab:
        replies = KilledReplies(lab, seed, way)
        for chapter in random.Random(seed).sample(CHAPTERS, len(CHAPTERS)):
            print(f"-- {chapter.__name__}, {time.monotonic():.0f}")
            chapter(replies)
