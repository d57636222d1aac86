"""An operation that is killed (-9) at any of its calls, before or after the effect, ends as if it had not been killed.

Each operation is played once whole, then killed at every call to an appliance or to the other site, and taken up again
by a new process. What can be observed afterwards must be the same: the task with its words, the rows at both sites,
the tests, and what both appliances hold. A refused operation must leave all as before.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kill_points import COMPLETED, FAILED, the_same_end


def test_protect(tmp_path: Path) -> None:
    """Both rows active, journal kept, VMs tapped, once."""
    end = the_same_end(tmp_path, "protect")
    assert end["task"][0] == COMPLETED
    assert len(end["south"]["keep"]) == len(end["north"]["protect"]) == 1
    assert [row[1] for row in end["rows"]] == ["active"]
    assert [row["phase"] for row in end["north_rows"].values()] == ["active"]


def test_a_refused_protect_leaves_nothing(tmp_path: Path) -> None:
    """The task fails with the reason; no row, journal or tap is left at either site."""
    end = the_same_end(tmp_path, "protect_refused")
    assert end["task"][0] == FAILED
    assert "protect_vpg is refused" in end["task"][2]
    assert end["rows"] == []
    assert end["north_rows"] == end["south"]["keep"] == end["north"]["protect"] == {}


def test_insert_checkpoint(tmp_path: Path) -> None:
    """One marker is cut for one task, however often the manager dies."""
    end = the_same_end(tmp_path, "checkpoint")
    assert end["task"][0] == COMPLETED
    assert len(end["north"]["cuts"]) == 1


def test_a_void_marker_hands_its_tag_to_the_next_good_one(tmp_path: Path) -> None:
    """I22: the task says so."""
    end = the_same_end(tmp_path, "checkpoint_void")
    assert end["task"][0] == COMPLETED
    assert "void" in end["task"][3]
    assert [cut["tag"] for cut in end["north"]["cuts"].values()] == ["tag"] * 3


def test_failover_test(tmp_path: Path) -> None:
    """Only the named VM runs, from a pinned checkpoint."""
    end = the_same_end(tmp_path, "test")
    assert end["task"][0] == COMPLETED
    [(state, checkpoint, _, _, vms)] = end["tests"]
    assert (state, checkpoint) == ("running", "7")
    assert [vm["name"] for vm in vms] == ["name-vm1"]
    assert len(end["south"]["pins"]) == len(end["south"]["views"]) == len(end["south"]["recovered"]) == 1


@pytest.mark.parametrize("scenario", ["test_refused", "stop"])
def test_a_test_that_ends_leaves_nothing_but_its_record(tmp_path: Path, scenario: str) -> None:
    """VMs, views and pin are gone, whether it was stopped or could not start; the VPG goes on."""
    end = the_same_end(tmp_path, scenario)
    assert end["south"]["pins"] == end["south"]["views"] == end["south"]["recovered"] == {}
    assert len(end["north"]["protect"]) == 1
    expected = ["failed", "7", None, None] if scenario == "test_refused" else ["ended", "7", True, "ok"]
    assert end["tests"][0][:4] == expected
    assert end["task"][0] == (FAILED if scenario == "test_refused" else COMPLETED)


def test_remove_vpg(tmp_path: Path) -> None:
    """Gone at both sites; what went with it is said."""
    end = the_same_end(tmp_path, "remove")
    assert end["task"][0] == COMPLETED
    assert end["task"][3] == "The VPG is gone at both sites. Its recovery volumes were not kept."
    assert end["rows"] == []
    assert end["north_rows"] == end["south"]["keep"] == end["north"]["protect"] == {}


def test_a_refused_remove_leaves_the_vpg_protected(tmp_path: Path) -> None:
    """The taps are put back, and both rows are active."""
    end = the_same_end(tmp_path, "remove_refused")
    assert end["task"][0] == FAILED
    assert len(end["south"]["keep"]) == len(end["north"]["protect"]) == 1
    assert [row[1] for row in end["rows"]] == ["active"]
    assert [row["phase"] for row in end["north_rows"].values()] == ["active"]
