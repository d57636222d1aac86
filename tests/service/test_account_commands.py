"""Accounts of a real site by the command line: made, bound, changed, removed; and the way back in by its files."""

from __future__ import annotations

import io
import json
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from farshore.__main__ import run
from tests.managers import USER, RunningManager


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningManager]:
    """One for all."""
    manager = RunningManager(tmp_path_factory.mktemp("site") / "site", "north")
    manager.start()
    yield manager
    manager.kill()


@pytest.fixture
def farshore(site: RunningManager, capsys: pytest.CaptureFixture[str]) -> Any:
    """A command on the site; what it printed, from --json."""

    def call(*words: str, code: int = 0, where: tuple[str, ...] = ("--site-dir",)) -> Any:
        at = [*where, str(site.folder)] if where else []
        capsys.readouterr()
        assert run([*words, *at, "--json"]) == code, capsys.readouterr().err
        said = capsys.readouterr()
        return json.loads(said.out if code == 0 else said.err)

    return call


def signs_in(site: RunningManager, user: str, password: str) -> bool:
    """Whether they are let in."""
    with site.client() as client:
        return client.post("/v1/session/add", auth=(user, password)).status_code == 200


def events(site: RunningManager) -> list[tuple[str, ...]]:
    """(who, whence, what, result) of the audited ones."""
    with sqlite3.connect(site.folder / "manager" / "site.sqlite") as database:
        return database.execute(
            "SELECT who, origin, text, result FROM event WHERE kind = 'audit' ORDER BY id"
        ).fetchall()


def test_an_account_from_its_making_to_its_end(site: RunningManager, farshore: Any) -> None:
    """Each command does what it says, and leaves an event."""
    made = farshore("account", "add", "anna", "--role", "operator")
    assert signs_in(site, "anna", made["Secret"])
    listed = {account["Name"]: account for account in farshore("account", "list")}
    assert (listed["anna"]["Kind"], listed["anna"]["Role"], listed["anna"]["VpgIdentifiers"]) == (
        "user",
        "operator",
        [],
    )
    assert farshore("account", "role", "anna", "viewer")["Role"] == "viewer"
    changed = farshore("account", "password", "anna")
    assert signs_in(site, "anna", changed["Secret"])
    assert not signs_in(site, "anna", made["Secret"])
    farshore("account", "remove", "anna")
    assert not signs_in(site, "anna", changed["Secret"])
    told = [event[:3] for event in events(site)]
    for what in ("POST /v1/accounts", "PUT /v1/accounts/anna", "POST /v1/accounts/anna/password"):
        assert (USER, "127.0.0.1", what) in told
    assert (USER, "127.0.0.1", "DELETE /v1/accounts/anna") in told


def test_a_client_gets_a_token_by_its_secret(site: RunningManager, farshore: Any) -> None:
    """The grant of client credentials; the token is of the role."""
    secret = farshore("account", "client", "report", "--role", "viewer")["Secret"]
    form = {"grant_type": "client_credentials", "client_id": "report", "client_secret": secret}
    with site.client() as client:
        token = client.post("/auth/realms/zerto/protocol/openid-connect/token", data=form).json()["access_token"]
    with site.client() as client:
        bearer = {"Authorization": f"Bearer {token}"}
        del client.headers["x-zerto-session"]
        assert client.get("/v1/vpgs", headers=bearer).status_code == 200
        assert client.post("/v1/peersites/generatetoken", headers=bearer).status_code == 403
    assert not signs_in(site, "report", secret)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("account", "add", "x", "--role", "king"), 2, "Role: it must be viewer, operator or administrator"),
        (("account", "add", USER, "--role", "viewer"), 4, "already"),
        (("account", "add", "x", "--role", "viewer", "--vpg", "none"), 3, "There is no VPG none"),
        (("account", "role", USER, "viewer"), 4, "only user who is an administrator"),
        (("account", "remove", USER), 4, "only user who is an administrator"),
        (("account", "remove", "nobody"), 3, "There is no account nobody"),
        (("account", "remove", "../vpgs"), 3, "There is no"),
    ],
)
def test_what_is_refused_says_why(farshore: Any, words: tuple[str, ...], code: int, said: str) -> None:
    """With the exit code of its kind."""
    assert said in farshore(*words, code=code)["fact"]


def test_one_changes_ones_own_password_by_the_old_one(
    site: RunningManager, farshore: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also a viewer; a wrong old one changes nothing."""
    made = farshore("account", "add", "berta", "--role", "viewer")
    there = ["--url", f"https://127.0.0.1:{site.config.api_port}", "--ca", str(site.folder / "identity" / "ca.crt")]
    as_berta = [*there, "--user", "berta", "--password", made["Secret"]]
    monkeypatch.setattr(sys, "stdin", io.StringIO("a new password\n"))
    farshore("account", "password", "--password-stdin", *as_berta, where=())
    assert signs_in(site, "berta", "a new password")
    with site.client() as client:
        client.headers["x-zerto-session"] = client.post("/v1/session/add", auth=("berta", "a new password")).headers[
            "x-zerto-session"
        ]
        body = {"CurrentPassword": made["Secret"], "Password": "another password"}
        assert client.post("/v1/accounts/self/password", json=body).status_code == 401
    assert signs_in(site, "berta", "a new password")


def test_whoever_may_write_the_sites_files_gets_in_again(site: RunningManager, farshore: Any) -> None:
    """While the site runs, and whatever was guessed; the folder's own access goes with it, sessions end."""
    for n in range(12):
        signs_in(site, USER, f"wrong {n}")
    told = farshore("account", "reset", where=("--dir",))
    assert told["Name"] == USER
    assert json.loads((site.folder / "cli.json").read_text())["password"] == told["Secret"]
    who, whence, what, result = events(site)[-1]
    assert (whence, what, result) == ("host", f"account reset {USER}", "done")
    assert who
    new = farshore("account", "reset", "--name", "rescue", where=("--dir",))
    with sqlite3.connect(site.folder / "manager" / "site.sqlite") as database:
        roles = dict(database.execute("SELECT name, role FROM account").fetchall())
    assert (roles[USER], roles["rescue"]) == ("administrator", "administrator")
    assert new["Secret"] != told["Secret"]


def test_a_setting_that_is_changed_on_the_host_leaves_an_event(site: RunningManager, farshore: Any) -> None:
    """With the user of the host."""
    farshore("site", "set", "commit_seconds", "1800", where=("--dir",))
    who, whence, what, result = events(site)[-1]
    assert (whence, what, result) == ("host", "site set commit_seconds 1800", "done")
    assert who


def test_a_reset_needs_a_site_and_its_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Said in words."""
    assert run(["account", "reset", "--dir", str(tmp_path), "--json"]) == 3
    assert "site init" in json.loads(capsys.readouterr().err)["remedy"]
