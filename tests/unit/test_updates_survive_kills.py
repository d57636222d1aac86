"""A change of a protected VPG, killed (-9) at each of its calls, ends as it does undisturbed."""

from __future__ import annotations

from pathlib import Path

from tests.kill_points import COMPLETED, FAILED, the_same_end


def test_a_vpg_is_renamed_and_a_vm_taken_out(tmp_path: Path) -> None:
    """Rows and appliances at both sites say the same, and the VM that left is forgotten."""
    end = the_same_end(tmp_path, "update")
    assert end["task"][0] == COMPLETED
    (vpg,) = end["vpgs"]
    assert (vpg["name"], [vm["vm_id"] for vm in vpg["vms"]], vpg["numbered"]) == ("store", ["vm1"], 4)
    (kept,), (protected,) = end["south"]["keep"].values(), end["north"]["protect"].values()
    assert kept["volumes"] == protected["volumes"] == vpg["volumes"]
    assert (protected["vpg_name"], protected["vm_ids"]) == ("store", ["vm1"])
    assert end["north"]["dismissed"] == ["vm2"]
    assert [row["version"] for row in end["north_rows"].values()] == [vpg["version"]]
    assert end["debts"] == []


def test_a_vm_that_comes_again_gets_new_numbers(tmp_path: Path) -> None:
    """No number is ever given twice: old checkpoints know the volume by the old one."""
    end = the_same_end(tmp_path, "update_adding")
    assert end["task"][0] == COMPLETED
    (vpg,) = end["vpgs"]
    assert [(volume["vm_id"], volume["number"]) for volume in vpg["volumes"]] == [
        ("vm1", 0),
        ("vm1", 1),
        ("vm2", 4),
        ("vm2", 5),
    ]


def test_a_change_that_an_appliance_refuses_is_taken_back(tmp_path: Path) -> None:
    """The row says what it said, but for its version and the numbers that were used up."""
    end = the_same_end(tmp_path, "update_refused")
    assert end["task"][0] == FAILED
    (vpg,) = end["vpgs"]
    assert (vpg["name"], [vm["vm_id"] for vm in vpg["vms"]], vpg["numbered"]) == ("store", ["vm1"], 6)
    (kept,), (protected,) = end["south"]["keep"].values(), end["north"]["protect"].values()
    assert kept["volumes"] == protected["volumes"] == vpg["volumes"]
    assert end["debts"] == []
