"""Who may sign in: users with a password, clients (programs) with a secret. Only argon2 hashes are kept."""

from __future__ import annotations

import functools
import secrets

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from farshore.errors import BadInput
from farshore.model.views import Account
from farshore.site.persistence import Database
from farshore.site.persistence.tables import account as table

_HASHER = PasswordHasher()
PASSWORD_CHARACTERS_MAX = 1024


@functools.cache
def _nobodys_hash() -> str:
    return _HASHER.hash(secrets.token_urlsafe(32))


class Accounts:
    """The table of accounts. `verify` takes 0.3 s of processor time on purpose: call it in a thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def set_secret(self, name: str, kind: str, role: str, secret: str) -> None:
        """Make the account, or give it another secret. Raises BadInput."""
        if not name or not secret:
            raise BadInput("An account needs a name and a secret that are not empty.", "Give both.")
        values = {"name": name, "kind": kind, "role": role, "secret_hash": _HASHER.hash(secret)}
        with self._database.transaction() as connection:
            connection.execute(table.delete().where(table.c.name == name))
            connection.execute(table.insert().values(**values))

    def verify(self, name: str, kind: str, secret: str) -> Account | None:
        """The account, if the secret is its own. An unknown name takes as long as a wrong secret."""
        with self._database.transaction() as connection:
            found = connection.execute(sa.select(table).where(table.c.name == name, table.c.kind == kind)).first()
        try:
            _HASHER.verify(found.secret_hash if found else _nobodys_hash(), secret[:PASSWORD_CHARACTERS_MAX])
        except VerifyMismatchError:
            return None
        return Account(name=found.name, kind=found.kind, role=found.role) if found else None
