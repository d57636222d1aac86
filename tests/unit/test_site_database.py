"""The site's database: its migrations make exactly the tables that the code knows, and its commits are durable."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

from farshore.model.access import Role
from farshore.site.accounts import Accounts
from farshore.site.persistence import open_database, sqlite_engine
from farshore.site.persistence.database import MIGRATIONS
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


def test_an_administrator_of_the_second_migration_is_one_after_the_third(tmp_path: Path) -> None:
    """Its role has another word since; it is bound to no VPG."""
    engine = sqlite_engine(tmp_path / "site.sqlite")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        row = "INSERT INTO account (name, kind, role, secret_hash) VALUES ('admin', 'user', 'admin', 'x')"
        connection.execute(sa.text(row))
    engine.dispose()
    database = open_database(tmp_path / "site.sqlite")
    found = Accounts(database).get("admin")
    assert (found.role, found.vpg_ids) == (Role.administrator, ())
    database.close()
