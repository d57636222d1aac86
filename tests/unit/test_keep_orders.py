"""When a VPG is deleted and its recovery volumes are to be kept: what is taken, what is refused, what is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from farshore.errors import Conflict, FarshoreError, Unavailable
from farshore.model.recovery import WayHome
from farshore.model.task import TaskState, TaskType
from farshore.model.vpg import Vpg
from tests.fake_appliance import FakeAppliance
from tests.faked_site import FakedSite, with_site
from tests.operations_harness import KEEP, NORTH, VPG


async def delete(faked: FakedSite, **changes: Any) -> str:
    """Order it."""
    return await faked.place(TaskType.RemoveProtectionGroup, KEEP | changes)


async def refused(faked: FakedSite, kind: type[FarshoreError], words: str, **changes: Any) -> None:
    """With that error, and nothing of it begun."""
    before = (faked.south.state(), faked.north.appliance.state(), faked.site.vpg(VPG))
    with pytest.raises(kind, match=words):
        await delete(faked, **changes)
    assert (faked.south.state(), faked.north.appliance.state(), faked.site.vpg(VPG)) == before


def turn_row(faked: FakedSite, **changes: Any) -> Vpg:
    """The VPG's row as something else has left it."""
    row = faked.site.vpg(VPG)
    vpg = row.vpg.model_copy(update={"version": row.vpg.version + 1, **changes})
    assert faked.site.vpgs.put(replace(row, vpg=vpg))
    return vpg


def test_without_a_checkpoint_it_is_refused_and_by_force_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is nothing to keep: 409; with force the VPG goes, and task and event say that nothing was kept."""
    monkeypatch.setattr(FakeAppliance, "_list_checkpoints", lambda *_, **__: [])

    async def part(faked: FakedSite) -> None:
        await refused(faked, Conflict, "The VPG shop has no checkpoint yet")
        task = await faked.ended(await delete(faked, force=True))
        assert task.state == TaskState.Completed
        told = "Recovery volumes that are not kept: The VPG shop has no checkpoint yet."
        assert told in task.note
        assert told in faked.site.alerts.newest_events(1)[0].text
        assert "kept" not in faked.south.state()

    with_site(tmp_path, part)


def test_a_vm_that_no_checkpoint_holds_yet_is_not_left_out_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Added just now: 409 naming it; by force the others are kept, and it is said that this one is not."""
    checkpoint = {"id": "7", "time_ns": 10**18, "volumes": [0, 1]}
    monkeypatch.setattr(FakeAppliance, "_list_checkpoints", lambda *_, **__: [checkpoint])

    def pin(_: Any, state: dict[str, Any], operation: str, **__: Any) -> dict[str, Any]:
        state["pins"][operation] = "7"
        return checkpoint

    monkeypatch.setattr(FakeAppliance, "_pin_checkpoint", pin)

    async def part(faked: FakedSite) -> None:
        await refused(faked, Conflict, "after its latest checkpoint: name-vm2")
        task = await faked.ended(await delete(faked, force=True))
        assert task.state == TaskState.Completed, task.reason
        ((_, kept),) = faked.south.state()["kept"].items()
        assert {volume["vm_name"] for volume in kept["volumes"]} == {"name-vm1"}
        assert "not kept: VMs that were added" in task.note
        assert "2 as of checkpoint 7" in task.note

    with_site(tmp_path, part)


def test_where_another_site_has_them_force_does_not_lose_them(tmp_path: Path) -> None:
    """Here is the protected site, the other does not answer: 503, and the VPG stays; without keeping it may go."""

    async def part(faked: FakedSite) -> None:
        here = faked.site.id
        turn_row(faked, protected_site_id=here, recovery_site_id=NORTH, owner_site_id=NORTH)
        faked.north.appliance.silent = True
        await refused(faked, Unavailable, "only that site can keep them", force=True)
        task = await faked.ended(await delete(faked, force=True, keep_recovery_volumes=False))
        assert task.state == TaskState.Completed
        assert task.note.endswith("Its recovery volumes were not kept.")

    with_site(tmp_path, part)


def test_a_vpg_that_is_not_protected_back_has_none(tmp_path: Path) -> None:
    """It runs at what was its recovery site: the other has old disks, which stay where they are."""

    async def part(faked: FakedSite) -> None:
        here = faked.site.id
        home = WayHome(asked=False, exact=False)
        turn_row(faked, protected_site_id=here, recovery_site_id=NORTH, way_home=home)
        await refused(faked, Conflict, "not protected back yet")

    with_site(tmp_path, part)
