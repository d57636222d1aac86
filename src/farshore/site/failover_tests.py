"""The rows of failover tests: which run, and how each ended (the VPG's test history).

States: starting, running, stopping, ended, failed (undone).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from farshore.errors import Conflict
from farshore.site.clock import now_ns
from farshore.site.persistence import Database
from farshore.site.persistence.tables import test as table

OPEN_STATES = ("starting", "running", "stopping")


@dataclass(frozen=True)
class FailoverTest:
    """One test, named by the task that began it; `operation` names its pin, views and VMs at the appliance."""

    task_id: str
    vpg_id: str
    operation: str
    state: str = "starting"
    checkpoint_id: str = ""
    vms: list[dict[str, Any]] = field(default_factory=list)
    started_ns: int = 0
    ended_ns: int | None = None
    stop_task_id: str | None = None
    success: bool | None = None
    summary: str | None = None


def _row(found: sa.RowMapping) -> FailoverTest:
    values = dict(found)
    values["success"] = None if values["success"] is None else bool(values["success"])
    return FailoverTest(**values)


class FailoverTests:
    """The table of failover tests."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def insert(self, connection: sa.Connection, test: FailoverTest) -> None:
        """Add it within a transaction."""
        connection.execute(table.insert().values(**(dict(test.__dict__) | {"started_ns": now_ns()})))

    def get(self, task_id: str) -> FailoverTest | None:
        """The test that this task began."""
        with self._database.transaction() as connection:
            found = connection.execute(sa.select(table).where(table.c.task_id == task_id)).mappings().first()
        return _row(found) if found else None

    def of(self, vpg_id: str, *states: str) -> list[FailoverTest]:
        """The VPG's tests in any of these states (none: all), oldest first."""
        query = sa.select(table).where(table.c.vpg_id == vpg_id).order_by(table.c.started_ns)
        if states:
            query = query.where(table.c.state.in_(states))
        with self._database.transaction() as connection:
            return [_row(found) for found in connection.execute(query).mappings()]

    def by_vpg(self) -> dict[str, list[FailoverTest]]:
        """All tests of all VPGs, oldest first."""
        found: dict[str, list[FailoverTest]] = {}
        with self._database.transaction() as connection:
            for row in connection.execute(sa.select(table).order_by(table.c.started_ns)).mappings():
                found.setdefault(row["vpg_id"], []).append(_row(row))
        return found

    def claim(self, connection: sa.Connection, vpg_id: str, stop_task_id: str, only: str | None) -> None:
        """Within a transaction, set the running tests (or the one whose task is `only`) to be stopped by that task.

        Raises Conflict when there is none.
        """
        change = table.update().where(table.c.vpg_id == vpg_id, table.c.state == "running")
        if only is not None:
            change = change.where(table.c.task_id == only)
        done = connection.execute(change.values(state="stopping", stop_task_id=stop_task_id))
        if done.rowcount == 0:
            raise Conflict("No failover test of this VPG is running.", "See the VPG's tasks for tests still starting.")

    def claimed(self, stop_task_id: str) -> list[FailoverTest]:
        """The tests that this task is to stop, stopped ones too."""
        query = sa.select(table).where(table.c.stop_task_id == stop_task_id).order_by(table.c.started_ns)
        with self._database.transaction() as connection:
            return [_row(found) for found in connection.execute(query).mappings()]

    def update(self, task_id: str, **values: Any) -> None:
        """Change members of a test."""
        with self._database.transaction() as connection:
            connection.execute(table.update().where(table.c.task_id == task_id).values(**values))

    def end(self, task_id: str, *, success: bool, summary: str | None) -> None:
        """Record how it ended."""
        values = {"state": "ended", "ended_ns": now_ns(), "success": int(success), "summary": summary or None}
        self.update(task_id, **values)

    def forget(self, vpg_id: str) -> None:
        """Remove the VPG's history with the VPG."""
        with self._database.transaction() as connection:
            connection.execute(table.delete().where(table.c.vpg_id == vpg_id))
