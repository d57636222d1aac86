"""Clones and their abort, killed (-9) at any of their calls, end as if they had not been killed.

As in test_operations_survive_kills.py. What a clone must never leave: a file, a VM, a pin or a record at the appliance.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.kill_points import COMPLETED, FAILED, STOPPED, the_same_end
from tests.operations_harness import SCENARIOS, VPG

pytestmark = pytest.mark.timeout(300)
REFUSALS = [name for name in SCENARIOS if name.startswith("clone_refused_")]


def nothing_left(end: dict[str, Any]) -> bool:
    """Whether nothing of a clone is at the appliance."""
    south = end["south"]
    return south["clones"] == south["cloned"] == south["pins"] == south["views"] == {}


def test_clone(tmp_path: Path) -> None:
    """L3, L5: one VM once, as of the latest checkpoint; nothing else stays, and protection was not touched."""
    end = the_same_end(tmp_path, "clone")
    assert end["task"][:2] == [COMPLETED, 100]
    assert end["task"][3] == "Checkpoint 7 in datastore store d1, off: name-vm1 (clone)."
    assert end["south"]["cloned"] == {"c-vm1": "name-vm1 (clone)"}
    assert nothing_left(end | {"south": end["south"] | {"cloned": {}}})
    assert list(end["north"]["protect"]) == list(end["south"]["keep"]) == [VPG]


@pytest.mark.parametrize("scenario", [*REFUSALS, "clone_unwell"])
def test_a_clone_that_cannot_be_done_leaves_nothing(tmp_path: Path, scenario: str) -> None:
    """Failed with the cause; the VPG is as before."""
    end = the_same_end(tmp_path, scenario)
    assert end["task"][0] == FAILED
    cause = "The store is full." if scenario == "clone_unwell" else scenario.removeprefix("clone_refused_")
    assert cause in end["task"][2]
    assert end["task"][2].endswith("Nothing is left of it.")
    assert nothing_left(end)
    assert list(end["north"]["protect"]) == list(end["south"]["keep"]) == [VPG]


def test_clone_abort(tmp_path: Path) -> None:
    """L4: the clone has stopped, saying who aborted it, and nothing of it is left."""
    end = the_same_end(tmp_path, "clone_abort")
    assert end["task"][0] == COMPLETED
    assert end["task"][3] == "1 clone aborted. Nothing is left."
    assert end["beside"][0] == STOPPED
    assert "aborted by tester" in end["beside"][1]
    assert nothing_left(end)
    assert list(end["north"]["protect"]) == list(end["south"]["keep"]) == [VPG]


def test_a_vpg_deleted_by_force_ends_its_clones(tmp_path: Path) -> None:
    """Without a trace of either."""
    end = the_same_end(tmp_path, "remove_beside_a_clone")
    assert end["task"][0] == COMPLETED
    assert end["beside"][0] == STOPPED
    assert nothing_left(end)
    assert end["rows"] == []
    assert end["south"]["keep"] == {}
