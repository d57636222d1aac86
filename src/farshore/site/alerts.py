"""Alerts (what is wrong now, one for each matter) and events (what happened, for the record).

A dismissed alert stands, and says that it was dismissed, until its matter is gone or gets worse.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from farshore.errors import NotFound
from farshore.site.clock import now_ns
from farshore.site.persistence import Database
from farshore.site.persistence.tables import alert, event

EVENTS_MAX = 200_000
FORGET_EVERY = 1000
HINDERED = "hindered "
"""How the key of the alert begins that a failover or move could not be committed, or not be taken back."""


@dataclass(frozen=True)
class Alert:
    """Something that a person should see to; it goes when the matter does."""

    id: str
    key: str
    level: str
    vpg_id: str
    fact: str
    remedy: str
    raised_ns: int
    dismissed: int = 0


@dataclass(frozen=True)
class Event:
    """Something that happened. `origin` and `result`: of what was audited, whence it came and what was answered."""

    id: int
    kind: str
    vpg_id: str
    who: str
    text: str
    occurred_ns: int
    origin: str = ""
    result: str = ""


class Alerts:
    """The tables of alerts and events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[Alert]:
        """All that stand, oldest first."""
        with self._database.transaction() as connection:
            rows = connection.execute(sa.select(alert).order_by(alert.c.raised_ns)).mappings()
            return [Alert(**row) for row in rows]

    def raise_alert(self, key: str, fact: str, remedy: str, *, level: str = "warning", vpg_id: str = "") -> None:
        """Raise it, or change its words when it stands already."""
        words = {"fact": fact, "remedy": remedy, "level": level}
        with self._database.transaction() as connection:
            worse = alert.update().where(alert.c.key == key, alert.c.level != level).values(dismissed=0)
            connection.execute(worse)
            if connection.execute(alert.update().where(alert.c.key == key).values(**words)).rowcount == 0:
                row = {"id": str(uuid.uuid4()), "key": key, "vpg_id": vpg_id, "raised_ns": now_ns(), **words}
                connection.execute(alert.insert().values(**row))

    def clear(self, key: str) -> None:
        """The matter is gone."""
        with self._database.transaction() as connection:
            connection.execute(alert.delete().where(alert.c.key == key))

    def dismiss(self, alert_id: str, dismissed: bool) -> Alert:
        """Say that a person has seen to it, or take that back; the alert as it stood. Raises NotFound."""
        with self._database.transaction() as connection:
            found = connection.execute(sa.select(alert).where(alert.c.id == alert_id)).mappings().first()
            if found is None:
                raise NotFound(f"There is no alert {alert_id}.", "List those that stand with GET /v1/alerts.")
            connection.execute(alert.update().where(alert.c.id == alert_id).values(dismissed=int(dismissed)))
            return Alert(**found)

    @property
    def columns(self) -> Any:
        """The columns of the events, for conditions."""
        return event.c

    def newest_events(self, limit: int, *conditions: sa.ColumnElement[bool]) -> list[Event]:
        """The newest events first, of those that meet the conditions (on `Alerts.columns`)."""
        query = sa.select(event).where(*conditions).order_by(event.c.id.desc()).limit(limit)
        with self._database.transaction() as connection:
            return [Event(**row) for row in connection.execute(query).mappings()]

    def record(
        self, kind: str, text: str, *, who: str = "", vpg_id: str = "", origin: str = "", result: str = ""
    ) -> None:
        """Write an event; `origin` and `result` are those of an audited change."""
        with self._database.transaction() as connection:
            self.record_in(connection, kind, text, who=who, vpg_id=vpg_id, origin=origin, result=result)

    def forget_events(self, before_ns: int) -> int:
        """Remove events that occurred before that time; how many."""
        with self._database.transaction() as connection:
            return connection.execute(event.delete().where(event.c.occurred_ns < before_ns)).rowcount

    @staticmethod
    def record_in(
        connection: sa.Connection,
        kind: str,
        text: str,
        *,
        who: str = "",
        vpg_id: str = "",
        origin: str = "",
        result: str = "",
    ) -> None:
        """Write an event within a transaction. Of the newest EVENTS_MAX none is forgotten."""
        row = {"kind": kind, "text": text, "who": who, "vpg_id": vpg_id, "occurred_ns": now_ns()}
        made = connection.execute(event.insert().values(**row, origin=origin, result=result)).inserted_primary_key
        number = int(made[0]) if made else 0
        if number % FORGET_EVERY == 0:
            connection.execute(event.delete().where(event.c.id <= number - EVENTS_MAX))
