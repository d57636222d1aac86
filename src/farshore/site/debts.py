"""Calls that are owed to the other site's appliance, which did not answer when they were due; made when it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from farshore.site.persistence import Database
from farshore.site.persistence.tables import debt as table


@dataclass(frozen=True)
class Debt:
    """One call; `key` says what it is for."""

    key: str
    vpg_id: str
    site_id: str
    call: str
    arguments: dict[str, Any]


class Debts:
    """The table of debts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def owe(self, debt: Debt) -> None:
        """Remember it; twice is once."""
        with self._database.transaction() as connection:
            if connection.execute(sa.select(table.c.id).where(table.c.key == debt.key)).first() is None:
                connection.execute(table.insert().values(**debt.__dict__))

    def all(self) -> list[Debt]:
        """All, in the order in which they are to be paid."""
        with self._database.transaction() as connection:
            rows = connection.execute(sa.select(table).order_by(table.c.id))
            return [Debt(row.key, row.vpg_id, row.site_id, row.call, row.arguments) for row in rows]

    def forgive(self, key: str) -> None:
        """It was paid, or is not owed any more."""
        with self._database.transaction() as connection:
            connection.execute(table.delete().where(table.c.key == key))

    def of(self, vpg_id: str) -> list[Debt]:
        """What is owed for that VPG."""
        return [debt for debt in self.all() if debt.vpg_id == vpg_id]

    def drop(self, vpg_id: str) -> None:
        """The VPG is gone, and with it what is owed for it."""
        with self._database.transaction() as connection:
            connection.execute(table.delete().where(table.c.vpg_id == vpg_id))

    def forget(self, connection: sa.Connection, vpg_id: str, call: str) -> None:
        """Within a transaction: that call is not owed for that VPG any more."""
        connection.execute(table.delete().where(table.c.vpg_id == vpg_id, table.c.call == call))
