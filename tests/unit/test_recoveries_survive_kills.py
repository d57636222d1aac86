"""Failover, move, their commits and rollbacks, and protecting back, killed (-9) at any of their calls, end alike.

As in test_operations_survive_kills.py: the task with its words, the rows at both sites, what is counted down and owed,
and what both appliances hold are those of a run without a kill.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.kill_points import COMPLETED, FAILED, the_same_end
from tests.operations_harness import NORTH, SCENARIOS, VPG

pytestmark = pytest.mark.timeout(300)
REFUSALS = [name for name in SCENARIOS if name.startswith("failover_refused_")]


def the_vpg(end: dict[str, Any], number: int = 0) -> dict[str, Any]:
    """One of the VPGs at the end."""
    return dict(end["vpgs"][number])


def nothing_recovered(end: dict[str, Any]) -> bool:
    """Whether no VM, view or pin of a recovery is left."""
    south = end["south"]
    return south["pins"] == south["views"] == south["recovered"] == {}


def test_failover(tmp_path: Path) -> None:
    """Tests stopped, both VMs once, the old stream fenced off, the protected site untouched, the time counted."""
    end = the_same_end(tmp_path, "failover")
    assert end["task"][0] == COMPLETED
    assert "1 failover test was stopped" in end["task"][3]
    assert end["tests"][0][0] == "ended"
    vpg = the_vpg(end)
    assert (vpg["recovery"]["stage"], vpg["epoch"]) == ("before_commit", 2)
    assert [vm["source_vm_id"] for vm in vpg["recovery"]["vms"]] == ["vm1", "vm2"]
    assert list(end["south"]["pins"].values()) == ["7"]
    assert len(end["south"]["recovered"]) == len(end["south"]["views"]) == 1
    assert end["south"]["keep"][VPG]["epoch"] == 2
    assert end["deadlines"] == [VPG]
    assert end["north"]["power"] == end["north"]["halts"] == {}


def test_failover_with_shutdown_recovers_the_last_write(tmp_path: Path) -> None:
    """F5: halted first, then a last checkpoint, and that one is recovered."""
    end = the_same_end(tmp_path, "failover_halting")
    assert end["task"][0] == COMPLETED
    assert end["north"]["power"] == {"vm1": "halted", "vm2": "halted"}
    assert [cut["tag"] for cut in end["north"]["cuts"].values()] == ["last before the failover"]
    assert list(end["south"]["pins"].values()) == ["100"]
    assert the_vpg(end)["recovery"]["exact"]


def test_failover_of_one_vm(tmp_path: Path) -> None:
    """F7: the epoch stays, since the other VM's stream goes on."""
    end = the_same_end(tmp_path, "failover_of_one")
    assert end["task"][0] == COMPLETED
    assert the_vpg(end)["epoch"] == end["south"]["keep"][VPG]["epoch"] == 1
    assert [vm["name"] for vm in next(iter(end["south"]["recovered"].values()))] == ["name-vm1"]


@pytest.mark.parametrize("scenario", REFUSALS)
def test_a_failover_that_cannot_be_done_leaves_all_as_before(tmp_path: Path, scenario: str) -> None:
    """Failed with the cause; nothing recovered is left, halted VMs run, and the VPG protects at an epoch both know."""
    end = the_same_end(tmp_path, scenario)
    assert end["task"][0] == FAILED
    assert scenario.removeprefix("failover_refused_") in end["task"][2]
    assert nothing_recovered(end)
    assert end["north"]["power"] == end["north"]["halts"] == {}
    vpg = the_vpg(end)
    assert vpg["recovery"] is None
    epochs = {vpg["epoch"], end["south"]["keep"][VPG]["epoch"], end["north"]["protect"][VPG]["epoch"]}
    assert len(epochs) == 1
    assert end["deadlines"] == end["debts"] == []


def test_commit(tmp_path: Path) -> None:
    """F6, F8: VMs of this site once, the journal ended, the row turned round, in need of configuration."""
    end = the_same_end(tmp_path, "commit")
    assert end["task"][0] == COMPLETED
    assert nothing_recovered(end)
    vpg = the_vpg(end)
    assert (vpg["protected_site_id"] != NORTH, vpg["recovery_site_id"], vpg["epoch"]) == (True, NORTH, 3)
    assert {vm["vm_id"] for vm in vpg["vms"]} == set(end["south"]["adopted"])
    assert {volume["vm_id"] for volume in vpg["volumes"]} == set(end["south"]["adopted"])
    assert [volume["number"] for volume in vpg["volumes"]] == [0, 1, 2, 3]
    assert end["south"]["retired"] == {VPG: None}
    assert (vpg["way_home"]["asked"], vpg["way_home"]["began"]) == (False, False)
    assert end["deadlines"] == []
    assert end["north"]["held"] == end["north"]["deleted"] == {}  # they were not touched, so they are not now


def test_commit_with_reverse_protection(tmp_path: Path) -> None:
    """What protecting back needs stands in the row, and the halted VMs are left for it."""
    end = the_same_end(tmp_path, "commit_reverse")
    assert end["task"][0] == COMPLETED
    way_home = the_vpg(end)["way_home"]
    assert way_home["asked"]
    assert way_home["exact"]
    assert set(way_home["instances"]) == set(way_home["source_vm_ids"]) == set(end["south"]["adopted"])
    assert end["north"]["power"] == {"vm1": "halted", "vm2": "halted"}


def test_commit_of_one_vm(tmp_path: Path) -> None:
    """F7: it gets a VPG of its own; the other one stays protected, and only the first's history ends."""
    end = the_same_end(tmp_path, "commit_of_one")
    assert end["task"][0] == COMPLETED
    old, new = sorted(end["vpgs"], key=lambda vpg: vpg["id"] != VPG)
    assert [vm["vm_id"] for vm in old["vms"]] == ["vm2"]
    assert (old["recovery"], old["way_home"], old["protected_site_id"]) == (None, None, NORTH)
    assert end["north"]["protect"][VPG]["vm_ids"] == ["vm2"]
    assert end["south"]["retired"] == {VPG: [0, 1]}
    assert new["name"].startswith("shop (recovered 20")
    assert [vm["vm_id"] for vm in new["vms"]] == list(end["south"]["adopted"])
    assert (new["recovery_site_id"], new["way_home"]["source_vpg_id"]) == (NORTH, VPG)


def test_rollback_that_keeps_what_it_discards(tmp_path: Path) -> None:
    """I19: put away once and whole, with its checkpoint; nothing runs on, and the VPG is as before."""
    end = the_same_end(tmp_path, "rollback_kept")
    assert end["task"][0] == COMPLETED
    assert "farshore discarded list" in end["task"][3]
    assert list(end["south"]["discarded"].values()) == [[VPG, "7", 86400.0]]
    assert nothing_recovered(end)
    assert the_vpg(end)["recovery"] is None


def test_rollback(tmp_path: Path) -> None:
    """F9: nothing recovered is left, the halted VMs run, the protected site knows the new epoch."""
    end = the_same_end(tmp_path, "rollback")
    assert end["task"][0] == COMPLETED
    assert nothing_recovered(end)
    assert end["north"]["power"] == end["north"]["halts"] == {}
    vpg = the_vpg(end)
    assert (vpg["recovery"], vpg["epoch"], vpg["protected_site_id"]) == (None, 3, NORTH)
    assert end["north"]["protect"][VPG]["epoch"] == end["south"]["keep"][VPG]["epoch"] == 3
    assert end["north_rows"][VPG]["epoch"] == 3


def test_reverse_protection(tmp_path: Path) -> None:
    """The old disks are held and become the base; the recovered VMs' bitmaps are the whole difference."""
    end = the_same_end(tmp_path, "reverse")
    assert end["task"][0] == COMPLETED
    north, south = end["north"], end["south"]
    assert north["protect"] == {}
    assert set(north["held"]) == {"vm1", "vm2"}
    assert north["keep"][VPG]["seed"]["bases"] == {"0": "/a.raw", "1": "/b.raw", "2": "/a.raw", "3": "/b.raw"}
    assert north["keep"][VPG]["seed"]["tag"] == "before the failover"
    assert set(north["keep"][VPG]["seed"]["definitions"]) == set(south["adopted"])
    spec = south["protect"][VPG]
    assert (spec["delta"], spec["journal_id"], set(spec["synced"])) == (False, "j", set(south["adopted"]))
    assert the_vpg(end)["way_home"]["began"]
    assert end["north_rows"][VPG]["protected"] != NORTH


def test_move(tmp_path: Path) -> None:
    """M1: halted, the last write durable and recovered."""
    end = the_same_end(tmp_path, "move")
    assert end["task"][0] == COMPLETED
    assert end["north"]["power"] == {"vm1": "halted", "vm2": "halted"}
    recovery = the_vpg(end)["recovery"]
    assert (recovery["kind"], recovery["stage"], recovery["checkpoint_id"], recovery["exact"]) == (
        "move",
        "before_commit",
        "100",
        True,
    )
    assert end["deadlines"] == []  # the site's policy for moves is None: it waits


def test_move_commit(tmp_path: Path) -> None:
    """M4: the old VMs are deleted, once the new ones are this site's."""
    end = the_same_end(tmp_path, "move_commit")
    assert end["task"][0] == COMPLETED
    assert set(end["north"]["deleted"]) == {"vm1", "vm2"}
    assert end["north"]["protect"] == {}
    assert len(end["south"]["adopted"]) == 2


def test_move_rollback(tmp_path: Path) -> None:
    """M8: deletes nothing; the VMs run and are protected at the new epoch."""
    end = the_same_end(tmp_path, "move_rollback")
    assert end["task"][0] == COMPLETED
    assert nothing_recovered(end)
    assert end["north"]["power"] == end["north"]["deleted"] == end["north"]["held"] == {}
    assert end["north"]["protect"][VPG]["epoch"] == the_vpg(end)["epoch"] == 3


@pytest.mark.slow
@pytest.mark.timeout(1000)
@pytest.mark.parametrize("scenario", list(SCENARIOS))
def test_every_kill_point(tmp_path: Path, scenario: str) -> None:
    """The whole matrix, of every operation there is: before and after each call."""
    the_same_end(tmp_path, scenario, every=True)
