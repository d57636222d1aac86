"""Settings that are changed while the site runs; site.json has those that are set before it starts."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from farshore.site.persistence import Database
from farshore.site.persistence.tables import setting as table


class Settings:
    """The table of settings: a JSON value by name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, name: str, default: Any = None) -> Any:
        """Its value, or the default."""
        with self._database.transaction() as connection:
            found = connection.execute(sa.select(table.c.value).where(table.c.name == name)).first()
        return found[0] if found else default

    def put(self, name: str, value: Any) -> None:
        """Set it."""
        with self._database.transaction() as connection:
            connection.execute(table.delete().where(table.c.name == name))
            connection.execute(table.insert().values(name=name, value=value))
