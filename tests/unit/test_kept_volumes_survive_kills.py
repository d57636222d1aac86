"""A VPG is deleted, its volumes are kept, killed (-9) at any call: the VPG is there, or the volumes are whole.

As in test_operations_survive_kills.py. The fake appliance fails the test by itself when a journal goes before its
volumes are known.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.kill_points import COMPLETED, FAILED, the_same_end
from tests.operations_harness import VPG

pytestmark = pytest.mark.timeout(300)


def as_before(end: dict[str, Any]) -> bool:
    """The VPG is protected, its journal is kept, and both rows say so; nothing holds a checkpoint."""
    south, north = end["south"], end["north"]
    rows = [row[1] for row in end["rows"]] + [row["phase"] for row in end["north_rows"].values()]
    return list(south["keep"]) == list(north["protect"]) == [VPG] and rows == ["active"] * 2 and not south["pins"]


@pytest.mark.parametrize("scenario", ["keep", pytest.param("keep_by_force", marks=pytest.mark.slow)])
def test_the_vpg_goes_and_its_volumes_stay(tmp_path: Path, scenario: str) -> None:
    """One set of all four volumes, as of the latest checkpoint; the task and its event say where."""
    end = the_same_end(tmp_path, scenario)
    assert end["task"][:2] == [COMPLETED, 100]
    ((operation, kept),) = end["south"]["kept"].items()
    assert (kept["vpg"], kept["checkpoint"]) == ("shop", "7")
    told = [(volume["vm_id"], volume["vm_name"], volume["disk_id"]) for volume in kept["volumes"]]
    assert told == [(vm, f"name-{vm}", disk) for vm in ("vm1", "vm2") for disk in "ab"]
    assert f"kept as {operation}: 4 as of checkpoint 7" in end["task"][3]
    assert end["rows"] == []
    assert end["north_rows"] == end["south"]["keep"] == end["south"]["keeps"] == end["south"]["pins"] == {}


REFUSED = [pytest.param(f"keep_refused_{call}", marks=pytest.mark.slow) for call in ("begin_keep", "finish_keep")]


@pytest.mark.parametrize("scenario", [pytest.param("keep_unwell", marks=pytest.mark.slow), *REFUSED])
def test_what_cannot_be_kept_leaves_the_vpg_as_before(tmp_path: Path, scenario: str) -> None:
    """Protected, with no copies, and the reason is told."""
    end = the_same_end(tmp_path, scenario)
    assert end["task"][0] == FAILED
    cause = "The store is full." if scenario == "keep_unwell" else scenario.removeprefix("keep_refused_")
    assert cause in end["task"][2]
    assert as_before(end)
    assert not end["south"].get("keeps")
    assert not end["south"].get("kept")


def test_volumes_that_are_whole_stay_when_the_journal_could_not_be_removed(tmp_path: Path) -> None:
    """How far its removal came is not known: the copies may be all that is left."""
    end = the_same_end(tmp_path, "keep_refused_forget_vpg")
    assert end["task"][0] == FAILED
    assert as_before(end)
    assert next(iter(end["south"]["kept"])) in end["task"][2]
