"""Who may sign in: users with a password, clients (programs) with a secret. Only argon2 hashes are kept."""

from __future__ import annotations

import functools
import re
import secrets
from collections.abc import Iterable

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from farshore.errors import BadInput, Conflict, NotFound
from farshore.model.access import Account, AccountKind, AccountOrder, Role
from farshore.site.clock import now_ns
from farshore.site.persistence import Database
from farshore.site.persistence.tables import account as table

_HASHER = PasswordHasher()
PASSWORD_CHARACTERS_MIN = 10
PASSWORD_CHARACTERS_MAX = 1024
SECRET_BYTES = 32
_NAME = re.compile(r"(?!\.+$)[^\x00-\x20\x7f:/\\][^\x00-\x1f\x7f:/\\]{0,127}")
"""A name goes into HTTP Basic (no colon), after a Windows domain (no backslash) and into a path (no slash)."""


@functools.cache
def _nobodys_hash() -> str:
    return _HASHER.hash(secrets.token_urlsafe(SECRET_BYTES))


def check_name(name: str) -> None:
    """Raises BadInput when it cannot be the name of an account."""
    if not _NAME.fullmatch(name) or name.lower() == "self" or name != name.strip():
        fact = "Name: it must be 1 to 128 characters without : / \\ or control characters, and not self."
        raise BadInput(fact, "Choose another name.")


def check_password(name: str, password: str) -> None:
    """Raises BadInput when it is too short, too long, or the account's name."""
    if not PASSWORD_CHARACTERS_MIN <= len(password) <= PASSWORD_CHARACTERS_MAX:
        fact = f"Password: it must be {PASSWORD_CHARACTERS_MIN} to {PASSWORD_CHARACTERS_MAX} characters long."
        raise BadInput(fact, "Choose another one, or leave it out to have one made up.")
    if password == name:
        raise BadInput("Password: it must not be the account's name.", "Choose another one.")


def _account(row: sa.Row[tuple[object, ...]]) -> Account:
    return Account(name=row.name, kind=row.kind, role=Role(row.role), vpg_ids=tuple(row.vpgs), stamp=row.stamp)


class Accounts:
    """The table of accounts. What hashes takes a tenth of a second of processor time on purpose: call it in a thread.

    Names are unique among users and clients. At least one user is an administrator at all times.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def set_secret(self, name: str, kind: AccountKind, role: Role, secret: str, vpg_ids: Iterable[str] = ()) -> None:
        """Make the account, or put this one in its place. Raises BadInput for an empty name or secret."""
        if not name or not secret:
            raise BadInput("An account needs a name and a secret that are not empty.", "Give both.")
        row = {
            "name": name,
            "kind": kind,
            "role": role.value,
            "secret_hash": _HASHER.hash(secret),
            "vpgs": sorted(set(vpg_ids)),
            "stamp": now_ns(),
        }
        with self._database.transaction() as connection:
            connection.execute(table.delete().where(table.c.name == name))
            connection.execute(table.insert().values(**row))

    def all(self) -> list[Account]:
        """All accounts by name."""
        with self._database.transaction() as connection:
            return [_account(row) for row in connection.execute(sa.select(table).order_by(table.c.name))]

    def find(self, name: str) -> Account | None:
        """The account of that name, or None."""
        with self._database.transaction() as connection:
            row = connection.execute(sa.select(table).where(table.c.name == name)).first()
        return _account(row) if row else None

    def get(self, name: str) -> Account:
        """The account of that name. Raises NotFound."""
        found = self.find(name)
        if found is None:
            raise NotFound(f"There is no account {name}.", "List them with: farshore account list")
        return found

    def add(self, order: AccountOrder) -> str:
        """Make an account; its password or secret. Raises BadInput, Conflict when the name is taken."""
        check_name(order.name)
        _check_binding(order.role, order.vpg_ids)
        if self.find(order.name) is not None:
            raise Conflict(f"There is an account {order.name} already.", "Choose another name, or remove that one.")
        if order.secret is not None:
            check_password(order.name, order.secret)
        secret = order.secret or secrets.token_urlsafe(SECRET_BYTES)
        self.set_secret(order.name, order.kind, order.role, secret, order.vpg_ids)
        return secret

    def change_secret(self, name: str, secret: str | None) -> str:
        """Give it another password or secret (None: made up), and tell it. Raises NotFound, BadInput."""
        known = self.get(name)
        if secret is not None:
            check_password(name, secret)
        secret = secret or secrets.token_urlsafe(SECRET_BYTES)
        values = {"secret_hash": _HASHER.hash(secret), "stamp": max(now_ns(), known.stamp + 1)}
        with self._database.transaction() as connection:
            connection.execute(table.update().where(table.c.name == name).values(**values))
        return secret

    def change_role(self, name: str, role: Role, vpg_ids: Iterable[str]) -> Account:
        """Give it another role, bound to those VPGs (none: to none). Raises NotFound, BadInput, Conflict."""
        bound = tuple(sorted(set(vpg_ids)))
        _check_binding(role, bound)
        with self._database.transaction() as connection:
            if role is not Role.administrator:
                _keep_an_administrator(connection, name)
            changed = connection.execute(
                table.update().where(table.c.name == name).values(role=role.value, vpgs=list(bound))
            )
            if changed.rowcount == 0:
                raise NotFound(f"There is no account {name}.", "List them with: farshore account list")
        return self.get(name)

    def remove(self, name: str) -> None:
        """Remove it. Raises NotFound, Conflict for the last administrator."""
        with self._database.transaction() as connection:
            _keep_an_administrator(connection, name)
            if connection.execute(table.delete().where(table.c.name == name)).rowcount == 0:
                raise NotFound(f"There is no account {name}.", "List them with: farshore account list")

    def verify(self, name: str, kind: AccountKind, secret: str) -> Account | None:
        """The account, if the secret is its own. An unknown name takes as long as a wrong secret."""
        with self._database.transaction() as connection:
            found = connection.execute(sa.select(table).where(table.c.name == name, table.c.kind == kind)).first()
        try:
            _HASHER.verify(found.secret_hash if found else _nobodys_hash(), secret[:PASSWORD_CHARACTERS_MAX])
        except VerifyMismatchError:
            return None
        return _account(found) if found else None


def _check_binding(role: Role, vpg_ids: Iterable[str]) -> None:
    if role is Role.administrator and tuple(vpg_ids):
        raise BadInput(
            "VpgIdentifiers: an administrator is of the whole site.", "Bind a viewer or an operator, or bind to none."
        )


def _keep_an_administrator(connection: sa.Connection, name: str) -> None:
    """Raises Conflict when no user would be an administrator without that one."""
    administrators = sa.select(table.c.name).where(table.c.kind == "user", table.c.role == Role.administrator.value)
    if set(connection.execute(administrators).scalars()) == {name}:
        raise Conflict(
            f"{name} is the only user who is an administrator.", "Make another one first: farshore account add"
        )
