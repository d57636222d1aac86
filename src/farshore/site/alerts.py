"""Alerts (what is wrong now, one for each matter) and events (what happened, for the record)."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import sqlalchemy as sa

from farshore.site.clock import now_ns
from farshore.site.persistence import Database
from farshore.site.persistence.tables import alert, event

EVENTS_MAX = 200_000
FORGET_EVERY = 1000


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


class Alerts:
    """The tables of alerts and events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[Alert]:
        """All that stand, oldest first."""
        with self._database.transaction() as connection:
            rows = connection.execute(sa.select(alert).order_by(alert.c.raised_ns))
            return [Alert(**dict(row._mapping)) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name for it

    def fact(self, key: str) -> str:
        """What the alert about that matter says; empty when there is none."""
        return next((found.fact for found in self.all() if found.key == key), "")

    def raise_alert(self, key: str, fact: str, remedy: str, *, level: str = "warning", vpg_id: str = "") -> None:
        """Raise it, or change its words when it stands already."""
        words = {"fact": fact, "remedy": remedy, "level": level}
        with self._database.transaction() as connection:
            if connection.execute(alert.update().where(alert.c.key == key).values(**words)).rowcount == 0:
                row = {"id": str(uuid.uuid4()), "key": key, "vpg_id": vpg_id, "raised_ns": now_ns(), **words}
                connection.execute(alert.insert().values(**row))

    def clear(self, key: str) -> None:
        """The matter is gone."""
        with self._database.transaction() as connection:
            connection.execute(alert.delete().where(alert.c.key == key))

    def record(
        self, kind: str, text: str, *, who: str = "", vpg_id: str = "", origin: str = "", result: str = ""
    ) -> None:
        """Write an event; `origin` and `result` are those of an audited change."""
        with self._database.transaction() as connection:
            self.record_in(connection, kind, text, who=who, vpg_id=vpg_id, origin=origin, result=result)

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
