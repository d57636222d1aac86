"""The site's database: its tables, how it is opened, and its migrations."""

from farshore.site.persistence.database import Database, open_database, sqlite_engine

__all__ = ["Database", "open_database", "sqlite_engine"]
