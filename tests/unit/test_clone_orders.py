"""Clones as they are ordered: where to, beside what, and what waits for them; on a site whose appliances are fakes."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from farshore.errors import BadInput, Conflict, FarshoreError, Unavailable
from farshore.manager.row_keeping import RowKeeping
from farshore.model.site_kinds import SiteKind
from farshore.model.task import TaskState, TaskType
from farshore.operations import admission_clone
from tests.faked_site import FakedSite, until, with_site
from tests.operations_harness import CLONE, VPG


async def clone(faked: FakedSite, **changes: Any) -> str:
    """Order a clone."""
    return await faked.place(TaskType.Clone, CLONE | changes)


async def refusal(ordered: Any) -> FarshoreError:
    """Why it was refused."""
    with pytest.raises(FarshoreError) as caught:
        await ordered
    return caught.value


def change(faked: FakedSite, **members: Any) -> None:
    """Let the fake appliance be so from now on."""
    faked.south.save(faked.south.state() | members)


async def stuck_clone(faked: FakedSite, **changes: Any) -> str:
    """A clone that copies and gets no further."""
    change(faked, stuck=True)
    faked.south.waits = False
    task_id = await clone(faked, **changes)
    await until(lambda: faked.south.waits, "the clone did not begin to copy")
    return task_id


def test_l2_the_datastore_with_the_most_room_is_the_default(tmp_path: Path) -> None:
    """Whichever that is at the moment; a named one is taken in any case of its letters."""

    async def story(faked: FakedSite) -> None:
        for rooms, wanted, meant in (({"d1": 9, "d2": 8}, None, "d1"), ({"d1": 9, "d2": 10}, None, "d2"),
                                     ({"d1": 9, "d2": 10}, "D1", "d1")):  # fmt: skip
            change(faked, rooms=rooms)
            task = await faked.ended(await clone(faked, datastore_id=wanted))
            assert task.state == TaskState.Completed
            assert f"in datastore store {meant}," in task.note

    with_site(tmp_path, story)


def test_l1_l2_l5_what_is_not_there_is_refused(tmp_path: Path) -> None:
    """A datastore, a checkpoint, a VM: BadInput that names it and says what there is; no task is left."""

    async def story(faked: FakedSite) -> None:
        before = len(faked.site.tasks.newest(100))
        for named, words in (
            ({"datastore_id": "d3"}, "store d1 (d1), store d2 (d2)"),
            ({"checkpoint_id": "8"}, "no checkpoint 8"),
            ({"vm_ids": ["vm3"]}, "no VM vm3"),
        ):
            error = await refusal(clone(faked, **named))
            assert isinstance(error, BadInput)
            assert words in str(error)
        assert len(faked.site.tasks.newest(100)) == before

    with_site(tmp_path, story)


def test_without_a_checkpoint_there_is_nothing_to_clone(tmp_path: Path) -> None:
    """Nor where the journal is not kept, as of a VPG that needs configuration: 409, not a task that fails."""

    async def story(faked: FakedSite) -> None:
        change(faked, keep={})
        error = await refusal(clone(faked))
        assert isinstance(error, Conflict)
        assert "has no checkpoint yet" in str(error)

    with_site(tmp_path, story)


def test_l3_the_task_shows_percent(tmp_path: Path) -> None:
    """As much as is copied, in the task and in its words."""

    async def story(faked: FakedSite) -> None:
        task_id = await clone(faked)
        await until(lambda: faked.site.tasks.get(task_id).progress == 50, "half of it")  # type: ignore[union-attr]
        assert "1 of 2 bytes" in faked.site.tasks.get(task_id).note  # type: ignore[union-attr]
        assert (await faked.ended(task_id)).progress == 100

    with_site(tmp_path, story)


def test_l3_a_second_clone_to_the_same_place_is_refused(tmp_path: Path) -> None:
    """Of the same VM, while the first runs: 409 naming its task. Another VM, and another place, go on beside it."""

    async def story(faked: FakedSite) -> None:
        first = await stuck_clone(faked, datastore_id="d1", vm_ids=["vm1"])
        for same in ({"datastore_id": "d1"}, {"datastore_id": "d1", "vm_ids": ["vm2", "vm1"]}):
            error = await refusal(clone(faked, **same))
            assert isinstance(error, Conflict)
            assert f"VM name-vm1 is being cloned to store d1 already (task {first})" in str(error)
        change(faked, stuck=False)
        for other in ({"datastore_id": "d1", "vm_ids": ["vm2"]}, {"datastore_id": "d2"}):
            assert (await faked.ended(await clone(faked, **other))).state == TaskState.Completed
        assert (await faked.ended(await faked.place(TaskType.AbortClone, {}))).state == TaskState.Completed
        assert (await faked.ended(first)).state == TaskState.Stopped
        assert (await faked.ended(await clone(faked, datastore_id="d1"))).state == TaskState.Completed

    with_site(tmp_path, story)


def test_l4_without_a_clone_there_is_nothing_to_abort(tmp_path: Path) -> None:
    """409, also when one has ended; VMs that were cloned stay."""

    async def story(faked: FakedSite) -> None:
        await faked.ended(await clone(faked))
        error = await refusal(faked.place(TaskType.AbortClone, {}))
        assert isinstance(error, Conflict)
        assert "has no clone running" in str(error)
        assert len(faked.south.state()["cloned"]) == 2

    with_site(tmp_path, story)


def test_l3_a_commit_lets_a_clone_end_first(tmp_path: Path) -> None:
    """It began before the failover, which went on beside it; the commit writes to no disk before it has ended."""

    async def story(faked: FakedSite) -> None:
        running = await stuck_clone(faked)
        assert (await faked.ended(await faked.failover())).state == TaskState.Completed
        commit = await faked.place(TaskType.FailoverCommit, {"reverse_protection": False})
        await until(lambda: "Waiting for a clone" in faked.site.tasks.get(commit).note, "it does not wait")  # type: ignore[union-attr]
        assert running in faked.site.tasks.get(commit).note  # type: ignore[union-attr]
        assert faked.south.state()["promotions"] == {}
        assert (await faked.ended(await faked.place(TaskType.AbortClone, {}))).state == TaskState.Completed
        assert (await faked.ended(commit)).state == TaskState.Completed
        assert faked.south.state()["cloned"] == faked.south.state()["clones"] == {}

    with_site(tmp_path, story)


def test_a_deletion_lets_a_clone_end_first(tmp_path: Path) -> None:
    """Without force; the journal stays that long."""

    async def story(faked: FakedSite) -> None:
        await stuck_clone(faked)
        request = {"force": False, "keep_recovery_volumes": False}
        deletion = await faked.place(TaskType.RemoveProtectionGroup, request)
        await until(lambda: "Waiting for a clone" in faked.site.tasks.get(deletion).note, "it does not wait")  # type: ignore[union-attr]
        assert list(faked.south.state()["keep"]) == [VPG]
        assert (await faked.ended(await faked.place(TaskType.AbortClone, {}))).state == TaskState.Completed
        assert (await faked.ended(deletion)).state == TaskState.Completed
        assert faked.south.state()["keep"] == {}

    with_site(tmp_path, story)


@pytest.mark.parametrize(
    ("kind", "may"), [(SiteKind.Csp, True), (SiteKind.Vcd, False), (SiteKind.Azure, False), (SiteKind.Aws, False)]
)
def test_l2_a_site_without_datastores_to_name(tmp_path: Path, kind: SiteKind, may: bool) -> None:
    """vCD and public clouds: naming one is refused, whichever it is; without one the clone is made."""

    async def story(faked: FakedSite) -> None:
        settings = faked.site.config.settings.model_copy(update={"kind": kind})
        faked.site.config = faked.site.config.model_copy(update={"settings": settings})
        if may:
            assert (await faked.ended(await clone(faked, datastore_id="d1"))).state == TaskState.Completed
            return
        for named in ("d1", "d3"):
            error = await refusal(clone(faked, datastore_id=named))
            assert isinstance(error, BadInput)
            assert f"DatastoreIdentifier: the recovery site is of the kind {kind.word}" in str(error)
        assert (await faked.ended(await clone(faked))).state == TaskState.Completed

    with_site(tmp_path, story)


def test_what_cannot_be_removed_now_is_removed_later(tmp_path: Path) -> None:
    """The appliance does not do it: the task says so, and it is done when it can be, also when the VPG is gone."""

    async def story(faked: FakedSite) -> None:
        faked.south.refuse = frozenset({"remove_clone"})
        change(faked, unwell=True)
        task = await faked.ended(await clone(faked))
        assert task.state == TaskState.Failed
        assert "What is left is seen to as soon as it can be: remove_clone is refused." in task.reason
        assert faked.south.state()["clones"]
        faked.site.debts.drop(VPG)
        faked.south.refuse = frozenset()
        await RowKeeping(faked.site, faked.orders).pay(set())
        assert faked.south.state()["clones"] == faked.south.state()["pins"] == {}
        assert faked.site.debts.all() == []

    with_site(tmp_path, story)


def test_a_clone_is_answered_at_once_though_the_appliance_hangs(tmp_path: Path) -> None:
    """503 within 3 s; nothing begun."""

    async def story(faked: FakedSite) -> None:
        async def hang(*_: Any, **__: Any) -> None:
            await asyncio.Event().wait()

        faked.south.call = hang  # type: ignore[method-assign,assignment]
        began = time.monotonic()
        error = await refusal(clone(faked))
        assert time.monotonic() - began < 3
        assert isinstance(error, Unavailable)

    with_site(tmp_path, story)


def test_a_clone_is_not_begun_behind_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is ordered while a clone is looked at goes first, and the clone is refused: nobody would wait for it."""

    async def story(faked: FakedSite) -> None:
        real, commits = admission_clone.stand, []

        async def stand_and_commit(site: Any, row: Any) -> Any:
            standing = await real(site, row)
            if not commits:
                await faked.ended(await faked.failover())
                commits.append(await faked.place(TaskType.FailoverCommit, {"reverse_protection": False}))
            return standing

        monkeypatch.setattr(admission_clone, "stand", stand_and_commit)
        error = await refusal(clone(faked))
        assert isinstance(error, Conflict)
        assert (await faked.ended(commits[0])).state == TaskState.Completed
        assert faked.south.state()["clones"] == {}

    with_site(tmp_path, story)
