"""The site's database: its migrations make exactly the tables that the code knows, and its commits are durable."""

from pathlib import Path

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from farshore.site.persistence import open_database
from farshore.site.persistence.tables import metadata


def test_migrations_make_the_tables_that_the_code_knows(tmp_path: Path) -> None:
    """No difference between migrated and declared tables; opening it again changes nothing."""
    for _ in range(2):
        database = open_database(tmp_path / "manager" / "site.sqlite")
        with database.engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, metadata) == []
        database.close()


def test_commits_are_fsynced(tmp_path: Path) -> None:
    """WAL with synchronous FULL (2): what was confirmed survives a power cut."""
    database = open_database(tmp_path / "site.sqlite")
    with database.engine.connect() as connection:
        assert connection.execute(sa.text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(sa.text("PRAGMA synchronous")).scalar() == 2
        assert connection.execute(sa.text("PRAGMA busy_timeout")).scalar() == 30000
    database.close()
