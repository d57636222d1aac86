"""A commit or rollback that fails, by itself above all, is told until the failover or move has ended."""

from __future__ import annotations

from pathlib import Path

from farshore.manager.countdown import WHO, Countdown
from farshore.model.event_kinds import alert_help
from farshore.model.task import TaskType
from tests.faked_site import FakedSite, with_site
from tests.kill_points import COMPLETED, FAILED

UNASKED = {"reverse_protection": None, "keep_source_vms": None}


def test_a_commit_by_the_policy_that_fails_is_told(tmp_path: Path) -> None:
    """With cause and remedy, through the countdown's turns; a commit that goes through ends it."""

    async def test(faked: FakedSite) -> None:
        await faked.ended(await faked.failover())
        counter = Countdown(faked.site, faked.orders)
        faked.south.refuse = frozenset({"promote_recovered"})
        task = await faked.ended(await faked.place(TaskType.FailoverCommit, UNASKED, who=WHO))
        assert task.state == FAILED
        for _ in range(2):
            await counter.turn()
            (alert,) = faked.site.alerts.all()
            assert "VPG shop stays in Before Commit" in alert.fact
            assert "promote_recovered is refused" in alert.fact
            assert "commit it" in alert.remedy
            assert (alert.level, alert_help(alert.key)) == ("error", "FSH0007")
        faked.south.refuse = frozenset()
        assert (await faked.ended(await faked.place(TaskType.FailoverCommit, UNASKED))).state == COMPLETED
        await counter.turn()
        assert faked.site.alerts.all() == []

    with_site(tmp_path, test)


def test_a_rollback_that_fails_is_told(tmp_path: Path) -> None:
    """Of a move here; the alert goes when it is rolled back after all."""

    async def test(faked: FakedSite) -> None:
        await faked.ended(await faked.move())
        counter = Countdown(faked.site, faked.orders)
        faked.south.refuse = frozenset({"remove_recovered_vms"})
        assert (await faked.ended(await faked.place(TaskType.MoveRollback, {}))).state == FAILED
        await counter.turn()
        assert ["could not be rolled back" in alert.fact for alert in faked.site.alerts.all()] == [True]
        faked.south.refuse = frozenset()
        assert (await faked.ended(await faked.place(TaskType.MoveRollback, {}))).state == COMPLETED
        await counter.turn()
        assert faked.site.alerts.all() == []

    with_site(tmp_path, test)
