"""Ended tasks, the records of their steps and events go when they are old; what is still named or asked for stays."""

from __future__ import annotations

from pathlib import Path

from dbos import DBOS

from farshore.manager.old_records import OldRecords
from farshore.manager.reports import Reports
from farshore.model.task import TaskState, TaskType, new_task_id
from farshore.site.clock import now_ns
from farshore.site.tasks import TaskRow
from tests.faked_site import FakedSite, with_site
from tests.operations_harness import NORTH

TEST = {"checkpoint_id": None, "vm_ids": None}
STOP = {"success": True, "summary": "", "test_task": None}


def later(days: float) -> int:
    """The time in so many days."""
    return now_ns() + int(days * 86400e9)


def known(faked: FakedSite) -> set[str]:
    """The tasks that there are."""
    return {task.id for task in faked.site.tasks.newest(100)}


def test_old_tasks_go_with_their_steps_and_events(tmp_path: Path) -> None:
    """After 90 days and not before; the report is there as long as the task; a task that runs stays."""

    async def test(faked: FakedSite) -> None:
        done = await faked.place(TaskType.FailOverTest, TEST)
        await faked.ended(done)
        await faked.ended(await faked.place(TaskType.StopFailOverTest, STOP))
        running = new_task_id(faked.site.id)
        faked.site.tasks.begin(TaskRow(running, TaskType.PairSite.value, faked.site.id))
        faked.site.alerts.record("anything", "It happened.")
        await OldRecords(faked.site, lambda: later(89.9)).turn()
        report = await Reports(faked.site).of(done)
        assert report is not None
        assert report.steps
        assert len(known(faked)) == 4
        assert faked.site.alerts.newest_events(100)
        await OldRecords(faked.site, lambda: later(90.1)).turn()
        assert known(faked) == {running}
        assert await DBOS.list_workflow_steps_async(done) == []
        assert await DBOS.get_workflow_status_async(done) is None
        assert await Reports(faked.site).of(done) is None
        assert faked.site.alerts.newest_events(100) == []

    with_site(tmp_path, test)


def test_a_task_that_something_names_stays(tmp_path: Path) -> None:
    """That of a test that runs and of a failover in Before Commit; each goes when that has ended."""

    async def test(faked: FakedSite) -> None:
        old = OldRecords(faked.site, lambda: later(1000))
        test_task = await faked.place(TaskType.FailOverTest, TEST)
        await faked.ended(test_task)
        await old.turn()
        assert known(faked) == {test_task}
        failover = await faked.failover()  # it stops the test
        await faked.ended(failover)
        await old.turn()
        assert known(faked) == {failover}
        await faked.ended(await faked.place(TaskType.FailoverRollback, {}))
        await old.turn()
        assert known(faked) == set()

    with_site(tmp_path, test)


def test_a_task_that_another_site_passed_on_stays_while_that_site_is_away(tmp_path: Path) -> None:
    """It may not have heard how it ended; once it answers it has, and a site that is no peer any more never asks."""

    async def test(faked: FakedSite) -> None:
        passed_on = new_task_id(NORTH)
        row = TaskRow(
            passed_on,
            TaskType.InsertTaggedCP.value,
            faked.site.id,
            state=int(TaskState.Completed),
            completed_ns=now_ns(),
        )
        faked.site.tasks.begin(row)
        faked.site.peers._heard.clear()
        old = OldRecords(faked.site, lambda: later(1000))
        await old.turn()
        assert known(faked) == {passed_on}
        faked.hear()
        await old.turn()
        assert known(faked) == set()
        faked.site.tasks.begin(row)
        faked.site.peers.remove(NORTH)
        await old.turn()
        assert known(faked) == set()

    with_site(tmp_path, test)
