"""Tasks: what was ordered, how far it is, how it ended. A row is durable before its identifier is given out [G11].

A task that another site's manager carries out (`runs_at`) has a row here too, under the same identifier [I8].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from farshore.errors import Conflict
from farshore.model.task import TaskState
from farshore.site.clock import now_ns
from farshore.site.persistence import Database
from farshore.site.persistence.tables import LIVE_TASK_STATES
from farshore.site.persistence.tables import task as table

REASON_CHARACTERS_MAX = 4000


@dataclass(frozen=True)
class TaskRow:
    """One task. `request` is the order's arguments (JSON); times in unix nanoseconds; progress 0 to 100."""

    id: str
    type: str
    runs_at: str
    changing: bool = False
    vpg_id: str = ""
    vpg_name: str = ""
    who: str = ""
    request: dict[str, Any] = field(default_factory=dict)
    state: int = int(TaskState.InProgress)
    progress: int = 0
    reason: str = ""
    note: str = ""
    started_ns: int = 0
    completed_ns: int | None = None

    @property
    def live(self) -> bool:
        """Whether it has not ended."""
        return self.state in LIVE_TASK_STATES

    def to_json(self) -> dict[str, Any]:
        """As it is told to another site."""
        return dict(self.__dict__)


def _row(found: sa.RowMapping) -> TaskRow:
    values = dict(found)
    values["changing"] = bool(values["changing"])
    return TaskRow(**values)


class Tasks:
    """The table of tasks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(
        self, task: TaskRow, also: Callable[[sa.Connection], None] | None = None, *, supersedes: str | None = None
    ) -> bool:
        """Make the order durable, with what `also` writes, in one transaction; False when that identifier is known.

        `supersedes` is a task that ends as Stopped in its favour, if it has not ended by itself.

        Raises Conflict naming the running operation when the VPG has a changing one already and this is another.
        """
        values = dict(task.__dict__) | {"changing": int(task.changing), "started_ns": task.started_ns or now_ns()}
        try:
            with self._database.transaction() as connection:
                if connection.execute(sa.select(table.c.id).where(table.c.id == task.id)).first():
                    return False
                if supersedes is not None:
                    reason = f"Superseded by {task.type} (task {task.id}), which {task.who or 'somebody'} asked for."
                    self._end(connection, supersedes, TaskState.Stopped, reason)
                connection.execute(table.insert().values(**values))
                if also is not None:
                    also(connection)
        except IntegrityError as error:
            running = self.changing(task.vpg_id)
            if running is None or not task.changing:
                raise
            raise Conflict(
                f"The VPG is busy with {running.type} (task {running.id}).", "Wait until that task has ended."
            ) from error
        return True

    def get(self, task_id: str) -> TaskRow | None:
        """The task, or None."""
        with self._database.transaction() as connection:
            found = connection.execute(sa.select(table).where(table.c.id == task_id)).mappings().first()
        return _row(found) if found else None

    def newest(self, limit: int, *conditions: sa.ColumnElement[bool]) -> list[TaskRow]:
        """The newest tasks first, of those that meet the conditions (on `Tasks.columns`)."""
        query = sa.select(table).where(*conditions).order_by(table.c.started_ns.desc()).limit(limit)
        with self._database.transaction() as connection:
            return [_row(found) for found in connection.execute(query).mappings()]

    def oldest(self, limit: int, *conditions: sa.ColumnElement[bool]) -> list[TaskRow]:
        """The oldest tasks first, of those that meet the conditions (on `Tasks.columns`)."""
        query = sa.select(table).where(*conditions).order_by(table.c.started_ns).limit(limit)
        with self._database.transaction() as connection:
            return [_row(found) for found in connection.execute(query).mappings()]

    def forget(self, task_ids: list[str]) -> None:
        """Remove ended tasks; one that runs stays."""
        if not task_ids:
            return
        with self._database.transaction() as connection:
            ended = table.c.state.not_in(LIVE_TASK_STATES)
            connection.execute(table.delete().where(table.c.id.in_(task_ids), ended))

    @property
    def columns(self) -> Any:
        """The columns, for conditions."""
        return table.c

    def unfinished(self) -> list[TaskRow]:
        """All that have not ended, oldest first."""
        return self.newest(100_000, table.c.state.in_(LIVE_TASK_STATES))[::-1]

    def changing(self, vpg_id: str) -> TaskRow | None:
        """The changing operation that the VPG is busy with."""
        found = self.newest(1, table.c.vpg_id == vpg_id, table.c.changing == 1, table.c.state.in_(LIVE_TASK_STATES))
        return found[0] if found else None

    def reading(self, vpg_id: str) -> list[TaskRow]:
        """The reading operations that run on the VPG."""
        return self.newest(1000, table.c.vpg_id == vpg_id, table.c.changing == 0, table.c.state.in_(LIVE_TASK_STATES))

    def _update(self, task_id: str, also: Callable[[sa.Connection], None] | None = None, **values: Any) -> None:
        condition = (table.c.id == task_id, table.c.state.in_(LIVE_TASK_STATES))  # an end is final
        with self._database.transaction() as connection:
            changed = connection.execute(table.update().where(*condition).values(**values)).rowcount
            if changed and also is not None:
                also(connection)

    def progress(self, task_id: str, percent: int, note: str) -> None:
        """Say how far it is and what it is doing."""
        self._update(task_id, progress=max(0, min(99, percent)), note=note)

    def complete(self, task_id: str, note: str = "", also: Callable[[sa.Connection], None] | None = None) -> None:
        """It ended well. What `also` writes is in the same transaction, and is written once."""
        values = {"note": note} if note else {}
        self._update(task_id, also, state=int(TaskState.Completed), progress=100, completed_ns=now_ns(), **values)

    def fail(self, task_id: str, reason: str, also: Callable[[sa.Connection], None] | None = None) -> None:
        """It ended badly, for that reason; `also` as in `complete`."""
        reason = reason[:REASON_CHARACTERS_MAX]
        self._update(task_id, also, state=int(TaskState.Failed), reason=reason, completed_ns=now_ns())

    @staticmethod
    def running(connection: sa.Connection, vpg_id: str, kind: str) -> list[TaskRow]:
        """Within a transaction: the VPG's tasks of that type that have not ended."""
        condition = (table.c.vpg_id == vpg_id, table.c.type == kind, table.c.state.in_(LIVE_TASK_STATES))
        return [_row(found) for found in connection.execute(sa.select(table).where(*condition)).mappings()]

    def stop(self, connection: sa.Connection, task_id: str, reason: str) -> None:
        """Within a transaction: it ends as Stopped, for that reason, if it has not ended."""
        self._end(connection, task_id, TaskState.Stopped, reason)

    def stop_now(self, task_id: str, reason: str) -> None:
        """As `stop`, in a transaction of its own."""
        with self._database.transaction() as connection:
            self.stop(connection, task_id, reason)

    @staticmethod
    def is_live(connection: sa.Connection, task_id: str) -> bool:
        """Within a transaction: whether it has not ended."""
        condition = (table.c.id == task_id, table.c.state.in_(LIVE_TASK_STATES))
        return connection.execute(sa.select(table.c.id).where(*condition)).first() is not None

    @staticmethod
    def is_busy(connection: sa.Connection, vpg_id: str) -> bool:
        """Within a transaction: whether a changing operation of that VPG runs."""
        condition = (table.c.vpg_id == vpg_id, table.c.changing == 1, table.c.state.in_(LIVE_TASK_STATES))
        return connection.execute(sa.select(table.c.id).where(*condition)).first() is not None

    @staticmethod
    def _end(connection: sa.Connection, task_id: str, state: TaskState, reason: str) -> None:
        values = {"state": int(state), "reason": reason[:REASON_CHARACTERS_MAX], "completed_ns": now_ns()}
        connection.execute(
            table.update().where(table.c.id == task_id, table.c.state.in_(LIVE_TASK_STATES)).values(values)
        )

    def copy_end(self, told: TaskRow) -> None:
        """Take over what the site that carries it out said of a task that this site passed on."""
        self._update(
            told.id,
            state=told.state,
            progress=told.progress,
            reason=told.reason,
            note=told.note,
            completed_ns=told.completed_ns,
        )

    def withdraw(self, task_id: str) -> None:
        """Take back an order that was refused: its identifier was never given out."""
        with self._database.transaction() as connection:
            connection.execute(table.delete().where(table.c.id == task_id))

    def bar(self, task_id: str, site_id: str) -> None:
        """See to it that an order that never arrived is not begun when it arrives late [I8]."""
        reason = "It was not begun: the order came too late. Nothing was changed."
        state = int(TaskState.Failed)
        self.begin(TaskRow(task_id, "Unknown", site_id, state=state, reason=reason, completed_ns=now_ns()))
