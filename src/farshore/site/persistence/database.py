"""Opening a site's database: SQLite that loses nothing it has confirmed, brought to the newest migration at start."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy import event

Result = TypeVar("Result")
MIGRATIONS = Path(__file__).parent / "migrations"


def sqlite_engine(path: Path) -> sa.Engine:
    """An engine on a SQLite file: WAL, every commit fsynced, writers queue for the lock at BEGIN."""
    engine = sa.create_engine(f"sqlite:///{path}", connect_args={"check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = "IMMEDIATE"
        for pragma in ("busy_timeout=30000", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute("PRAGMA " + pragma)

    return engine


_AT_END = "farshore at end"


class Database:
    """The site's tables. Its methods block for milliseconds (an fsync): from the event loop use `run`."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """All or nothing; durable when left without an exception."""
        calls: list[Callable[[], None]] = []
        try:
            with self.engine.begin() as connection:
                connection.info[_AT_END] = calls
                yield connection
        finally:
            for call in calls:
                call()

    @staticmethod
    def at_end(connection: sa.Connection, call: Callable[[], None]) -> None:
        """Within a transaction: call this once it has ended, either way, and everybody can see what it wrote."""
        connection.info[_AT_END].append(call)

    async def run(self, function: Callable[..., Result], *arguments: Any, **named: Any) -> Result:
        """Call a blocking function of the site in a thread."""
        return await asyncio.to_thread(function, *arguments, **named)

    def close(self) -> None:
        """Let go of the file."""
        self.engine.dispose()


def migrate(engine: sa.Engine) -> None:
    """Bring the database to the newest migration."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def open_database(path: Path) -> Database:
    """Open (or make) the site's database and migrate it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = sqlite_engine(path)
    migrate(engine)
    return Database(engine)
