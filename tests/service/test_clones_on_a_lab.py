"""Clones on two whole sites, by JSON and by XML over HTTPS, of VMs that are being written to all the while.

The disks of each clone are compared, byte by byte, with the checkpoint's volumes as the journal's files have them, and
held against the law of the order of writes; and nothing else of a clone may be found.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from farshore.model.site import SiteConfig
from farshore.nbd.client import NbdClient
from tests.api_lab import COMPLETED, FAILED, RUNNING
from tests.clone_lab import CloneLab
from tests.service.recovery_requests import NOTATIONS
from tests.storage_lab import until

STOPPED = 5


@pytest.fixture(scope="module")
def lab() -> Iterator[CloneLab]:
    """One for all."""
    with CloneLab() as made:
        yield made


@pytest.mark.parametrize("notation", NOTATIONS)
def test_l1_l3_l5_a_clone_of_a_checkpoint(lab: CloneLab, notation: str) -> None:
    """Of a tagged checkpoint all VMs; of the latest, asked at the other site, one; checkpoints go on meanwhile."""
    tagged = lab.checkpoint_now(lab.vpg_id, f"for {notation}")
    before = lab.call("south", "list_checkpoints", lab.vpg_id, limit=1, newest_first=True)[0]["id"]
    at, where, names = lab.completed(lab.begin_clone("south", notation, CheckpointId=tagged))
    assert (at, where) == (tagged, "south store")
    lab.check_clone(at, names, ["vm-1", "vm-2"])
    at, _, names = lab.completed(lab.begin_clone("north", notation, VmIdentifiers=["vm-2"]))
    assert int(at) >= int(before)
    lab.check_clone(at, names, ["vm-2"])
    lab.check_it_starts(names[0])
    after = lab.call("south", "list_checkpoints", lab.vpg_id, limit=1, newest_first=True)[0]["id"]
    assert int(after) > int(before)
    assert lab.chain.failures == []
    assert lab.state("south") == lab.state("north") == (1, 0, "north")
    assert lab.left_behind() == []


@pytest.mark.parametrize("notation", NOTATIONS)
def test_l2_a_named_datastore_and_an_unknown_one(lab: CloneLab, notation: str) -> None:
    """Listed at either site, taken in any case of its letters; an unknown one is refused with those there are."""
    site_id = SiteConfig.load(lab.folder_of("south")).site_id
    listed = lab.api["north"].request("GET", f"/v1/virtualizationsites/{site_id}/datastores").json()
    known = {one["DatastoreName"]: one["DatastoreIdentifier"] for one in listed}
    assert set(known) == {"south store", "second"}
    members = {"DatastoreIdentifier": known["second"].upper(), "VmIdentifiers": "vm-1"}
    at, where, names = lab.completed(lab.begin_clone("north", notation, **members))
    assert where == "second"
    lab.check_clone(at, names, ["vm-1"])
    assert all(Path(d["path"]).is_relative_to(lab.second) for n in names for d in lab.inventory()[n]["disks"])
    reply = lab.post("north", "CloneStart", notation, {"DatastoreIdentifier": site_id})
    assert reply.status_code == 400
    assert "DatastoreIdentifier" in reply.text
    assert known["second"] in reply.text


@pytest.mark.parametrize("notation", NOTATIONS)
def test_l1_an_unknown_checkpoint_is_refused(lab: CloneLab, notation: str) -> None:
    """400, nothing begun."""
    reply = lab.post("south", "CloneStart", notation, {"CheckpointIdentifier": "999999999"})
    assert reply.status_code == 400
    assert "no checkpoint 999999999" in reply.text
    assert lab.left_behind() == []


@pytest.mark.parametrize("notation", NOTATIONS)
def test_l4_an_abort_leaves_nothing(lab: CloneLab, notation: str) -> None:
    """In the middle of a copy: no file, no VM, no pin; a second one to the same place was refused; then 409."""
    before = set(lab.inventory())
    task_id = lab.begin_clone("south", notation)
    lab.stop_copier()
    assert lab.api["south"].request("GET", f"/v1/tasks/{task_id}").json()["Status"]["State"] == RUNNING
    reply = lab.post("north", "CloneStart", notation, {"VmIdentifiers": ["vm-2"]})
    assert reply.status_code == 409
    assert task_id in reply.text
    reply = lab.post("north", "CloneAbort", notation, {})
    assert reply.status_code == 200, reply.text
    until(lambda: lab.task("south", task_id)["Status"]["State"] == STOPPED, 30, "the clone has stopped")
    until(lambda: not lab.left_behind() and not lab.copiers(), 30, "nothing is left")
    assert set(lab.inventory()) == before
    assert lab.post("south", "CloneAbort", notation, {}).status_code == 409
    assert lab.state("south") == (1, 0, "north")


def test_l3_whatever_is_killed_the_clone_is_whole(lab: CloneLab) -> None:
    """The copier, then the watcher beside a copier that is stopped, then the manager: each goes on where it was."""
    task_id = lab.begin_clone("south", "json")
    first = lab.stop_copier()
    (half_written,) = {path.parent for path in lab.unfinished()}
    (half_written / ".x.raw.at.99.new").write_text("what a killed process was writing")
    os.kill(first, signal.SIGKILL)
    second = lab.stop_copier(besides=first)
    lab.kill_watcher("south")
    third = lab.stop_copier(besides=second)
    lab.lab("kill", "south", "manager")
    os.kill(third, signal.SIGCONT)
    at, _, names = lab.completed(task_id)
    lab.check_clone(at, names, ["vm-1", "vm-2"])
    assert lab.left_behind() == []
    with contextlib.suppress(ProcessLookupError):
        os.kill(second, signal.SIGKILL)
        pytest.fail("the stopped copier was left")


def test_a_clone_that_fails_leaves_nothing(lab: CloneLab) -> None:
    """Here for a datastore whose folder is no folder any more."""
    before = set(lab.inventory())
    lab.second.rename(lab.second.with_name("aside"))
    lab.second.write_text("no folder")
    try:
        listed = lab.call("south", "call", "datastores")
        named = next(one["datastore_id"] for one in listed if one["name"] == "second")
        task = lab.task("south", lab.begin_clone("south", "json", DatastoreIdentifier=named))
    finally:
        lab.second.unlink()
        lab.second.with_name("aside").rename(lab.second)
    assert task["Status"]["State"] == FAILED
    assert task["CompleteReason"].endswith("Nothing is left of it.")
    assert set(lab.inventory()) == before
    assert lab.left_behind() == []


def test_l3_a_clone_outlives_a_failover_and_its_commit(lab: CloneLab) -> None:
    """Begun before: the commit waits, since the recovered VMs would write to what it reads; then both end well."""
    task_id = lab.begin_clone("south", "json")
    copier = lab.stop_copier()
    pins = [json.loads(path.read_text()) for path in lab.folder_of("south").glob("journal/*/pins/*.json")]
    at = next(str(pin["ordinal"]) for pin in pins if pin["operation"] == task_id.split(".")[0])
    expected = {key: lab.view_of(at, number) for key, number in lab.volumes(at, lab.vpg_id).items()}
    lab.order("south", "Failover", {"CheckpointIdentifier": at, "CommitPolicy": "None"})
    commit = lab.api["south"].order("POST", f"{lab.path}/FailoverCommit")

    def waits() -> bool:
        task = lab.api["south"].request("GET", f"/v1/tasks/{commit}").json()
        return "Waiting for a clone" in (task.get("CompleteReason") or "")

    until(waits, 30, "the commit waits")
    for vm in lab.vms("south").values():
        if vm["power"] == "running":
            for disk in vm["disks"]:
                with NbdClient(disk["nbd_socket"], disk["nbd_export"]) as client:
                    client.pwrite(20 << 20, os.urandom(4 << 20))
                    client.flush()
    os.kill(copier, signal.SIGCONT)
    _, _, names = lab.completed(task_id)
    assert lab.task("south", commit)["Status"]["State"] == COMPLETED
    for name, source in zip(names, ("vm-1", "vm-2"), strict=True):
        vm_id = next(vm["id"] for vm in lab.made["vms"] if vm["name"] == source)
        for disk in lab.inventory()[name]["disks"]:
            assert Path(disk["path"]).read_bytes() == expected[vm_id, disk["id"]], f"{name} {disk['id']}"
    assert [left for left in lab.left_behind() if "clone" in left] == []
