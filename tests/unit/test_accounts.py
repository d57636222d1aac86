"""The rules of accounts: names, passwords, roles, and that an administrator is always left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from farshore.errors import BadInput, Conflict, NotFound
from farshore.model.access import AccountOrder, Role
from farshore.site.accounts import Accounts
from farshore.site.persistence import open_database


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[Accounts]:
    """With one administrator, and a client that is one too."""
    database = open_database(tmp_path / "site.sqlite")
    found = Accounts(database)
    found.set_secret("admin", "user", Role.administrator, "correct horse")
    found.set_secret("robot", "client", Role.administrator, "battery staple")
    yield found
    database.close()


@pytest.mark.parametrize(
    "name",
    ["", "a:b", "a/b", "..", "../x", "a\\b", "a\0b", "a\nb", " a", "a ", "x" * 129, "self", "SELF", "\x7f", "."],
)
def test_a_name_that_would_not_stand_everywhere_is_refused(accounts: Accounts, name: str) -> None:
    """It goes into HTTP Basic, behind a domain, and into a path."""
    with pytest.raises((BadInput, ValueError), match=r"[Nn]ame"):
        accounts.add(AccountOrder(name=name, role=Role.viewer))


@pytest.mark.parametrize("name", ["a", "anna", "Anna Müller", "anna@example.org", "x" * 128, "日本", "..a"])
def test_other_names_sign_in(accounts: Accounts, name: str) -> None:
    """With the password that was made up for them."""
    password = accounts.add(AccountOrder(name=name, role=Role.viewer))
    assert len(password) >= 32
    found = accounts.verify(name, "user", password)
    assert found is not None
    assert (found.name, found.role) == (name, Role.viewer)


@pytest.mark.parametrize("password", ["", "short", "123456789", "x" * 1025, "anna long name"])
def test_a_password_that_is_too_short_or_the_name_is_refused(accounts: Accounts, password: str) -> None:
    """Ten characters at least."""
    with pytest.raises(BadInput, match="Password"):
        accounts.add(AccountOrder(name="anna long name", role=Role.viewer, secret=password))
    with pytest.raises(BadInput, match="Password"):
        accounts.change_secret("admin", "short")
    assert accounts.verify("admin", "user", "correct horse") is not None


def test_a_name_is_taken_once_among_users_and_clients(accounts: Accounts) -> None:
    """And what stands is as it was."""
    with pytest.raises(Conflict):
        accounts.add(AccountOrder(name="robot", role=Role.viewer))
    assert accounts.verify("robot", "client", "battery staple") is not None


def test_the_last_user_who_is_an_administrator_stays_one(accounts: Accounts) -> None:
    """Neither removed nor given another role; a client does not stand in for a person."""
    with pytest.raises(Conflict, match="only user"):
        accounts.remove("admin")
    with pytest.raises(Conflict, match="only user"):
        accounts.change_role("admin", Role.operator, ())
    accounts.add(AccountOrder(name="anna", role=Role.administrator))
    accounts.change_role("admin", Role.operator, ["vpg"])
    accounts.remove("robot")
    assert [account.name for account in accounts.all()] == ["admin", "anna"]
    assert accounts.get("admin").vpg_ids == ("vpg",)


def test_an_administrator_is_not_bound_to_vpgs(accounts: Accounts) -> None:
    """It would be one in name only."""
    with pytest.raises(BadInput, match="VpgIdentifiers"):
        accounts.add(AccountOrder(name="anna", role=Role.administrator, vpg_ids=("x",)))
    with pytest.raises(BadInput, match="VpgIdentifiers"):
        accounts.change_role("admin", Role.administrator, ["x"])


def test_another_password_has_another_stamp(accounts: Accounts) -> None:
    """What was opened with the old one ends by it; a role leaves it alone."""
    before = accounts.get("robot").stamp
    accounts.change_role("robot", Role.viewer, ())
    assert accounts.get("robot").stamp == before
    secret = accounts.change_secret("robot", None)
    assert accounts.get("robot").stamp > before
    assert accounts.verify("robot", "client", secret) is not None
    assert accounts.verify("robot", "client", "battery staple") is None


def test_what_is_not_there_is_not_changed(accounts: Accounts) -> None:
    """404, and no account comes of it."""
    for call in (accounts.remove, accounts.get, lambda name: accounts.change_secret(name, None)):
        with pytest.raises(NotFound):
            call("nobody")
    with pytest.raises(NotFound):
        accounts.change_role("nobody", Role.viewer, ())
    assert len(accounts.all()) == 2


def test_only_argon2_hashes_are_in_the_file(accounts: Accounts, tmp_path: Path) -> None:
    """No password, no secret."""
    secret = accounts.add(AccountOrder(name="report", kind="client", role=Role.viewer))
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"correct horse" not in content
    assert secret.encode() not in content
    assert content.count(b"$argon2id$") >= 3
