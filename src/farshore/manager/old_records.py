"""Ended tasks with the records of their steps, and events, are forgotten when they are old enough.

What something still names is kept: the task of a recovery in Before Commit, of a test that runs, of an order that runs
on its behalf; and the task of an order that another site passed on, while that site is away and may still ask.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import structlog

from farshore.operations import engine
from farshore.site.clock import now_ns
from farshore.site.failover_tests import OPEN_STATES
from farshore.site.site import Site
from farshore.site.tasks import TaskRow

AT_ONCE = 500
"""How many tasks go in one turn: each turn holds the databases for a moment only."""

log = structlog.get_logger("records")


class OldRecords:
    """Looks after the records of one site."""

    def __init__(self, site: Site, clock: Callable[[], int] = now_ns) -> None:
        """Nothing is looked at before the first turn."""
        self._site = site
        self._now_ns = clock

    async def turn(self) -> None:
        """Forget what is too old."""
        before_ns = self._now_ns() - int(self._site.config.settings.keep_records_seconds * 1e9)
        task_ids = await asyncio.to_thread(self._old_tasks, before_ns)
        # The steps first: of a task that is gone nothing would find them any more.
        await engine.forget(task_ids)
        await asyncio.to_thread(self._site.tasks.forget, task_ids)
        events = await asyncio.to_thread(self._site.alerts.forget_events, before_ns)
        if task_ids or events:
            log.info("old records were forgotten", tasks=len(task_ids), events=events)

    def _old_tasks(self, before_ns: int) -> list[str]:
        columns = self._site.tasks.columns
        ended = self._site.tasks.oldest(AT_ONCE, columns.completed_ns < before_ns)
        named = self._named() if ended else ""
        return [task.id for task in ended if not task.live and task.id not in named and not self._may_be_asked(task)]

    def _named(self) -> str:
        """All words in which a task can be named that is still needed."""
        site = self._site
        words: list[Any] = [row.to_json() for row in site.vpgs.all()]
        words += [task.to_json() for task in site.tasks.unfinished()]
        tests = [test for of_vpg in site.tests.by_vpg().values() for test in of_vpg if test.state in OPEN_STATES]
        words += [test.__dict__ for test in tests]
        return json.dumps(words)

    def _may_be_asked(self, task: TaskRow) -> bool:
        """Its workflow runs on, or another site passed it on that may not have heard yet how it ended."""
        asked_by = task.id.rpartition(".")[2]
        if engine.is_running(task.id):
            return True
        return asked_by != self._site.id and not self._site.peers.connected(asked_by) and self._is_peer(asked_by)

    def _is_peer(self, site_id: str) -> bool:
        return self._site.peers.find(site_id) is not None
