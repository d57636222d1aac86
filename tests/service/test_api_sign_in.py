"""Signing in over HTTPS, in the ways of real clients."""

from __future__ import annotations

import base64
import time
import uuid
from datetime import datetime
from pathlib import Path

import pytest

from farshore.api.settings import ApiSettings
from farshore.model.site import SiteConfig, SiteSettings
from tests.service.made_up_site import NORTH, VPG, Running, running_api

TOKEN_PATH = "/auth/realms/zerto/protocol/openid-connect/token"
ACTION = f"/v1/vpgs/{VPG}/FailoverTest"


def basic(user: str, password: str = "pass:wörd") -> dict[str, str]:
    """The header of HTTP Basic."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_without_credentials_the_answer_asks_for_them(api: Running) -> None:
    """.NET sends Basic credentials only after such a 401; a 404 would mean another version to some."""
    reply = api.http.post("/v1/session/add")
    assert reply.status_code == 401
    assert reply.headers["www-authenticate"].startswith("Basic")


@pytest.mark.parametrize("user", ["admin", "admin@example.org", "DOMAIN\\admin", "\\admin"])
def test_user_names_may_bear_a_domain(api: Running, user: str) -> None:
    """The session comes in the header, as a GUID, and no body."""
    reply = api.http.post("/v1/session/add", headers=basic(user))
    assert reply.status_code == 200
    assert reply.content == b""
    session = reply.headers["x-zerto-session"]
    assert str(uuid.UUID(session)) == session
    assert api.http.get("/v1/localsite", headers={"X-Zerto-Session": session.upper()}).status_code == 200


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"", "application/JSON"), (b'{"AuthenticationMethod": 1}', "application/json"), (b"<odd", "application/xml")],
)
def test_the_body_of_signing_in_is_of_no_matter(api: Running, body: bytes, kind: str) -> None:
    """Clients send all sorts."""
    reply = api.http.post("/v1/session/add", headers={**basic("admin"), "Content-Type": kind}, content=body)
    assert reply.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        basic("admin", "wrong"),
        basic("nobody"),
        basic(""),
        {"Authorization": "Basic %%%"},
        {"Authorization": "Bearer x"},
        {"Authorization": ""},
    ],
)
def test_wrong_credentials_are_refused_in_one_way(api: Running, headers: dict[str, str]) -> None:
    """401 with a message; nothing tells a wrong password from an unknown user."""
    reply = api.http.post("/v1/session/add", headers=headers)
    assert reply.status_code == 401
    assert reply.json()["Message"]
    assert "x-zerto-session" not in reply.headers


@pytest.mark.parametrize("path", ["/v1/localsite", "/v1/vpgs", "/v1/vpgs/x", "/v1/tasks/x", "/v1/vpgSettings/x/vms"])
@pytest.mark.parametrize("headers", [{}, {"x-zerto-session": str(uuid.uuid4())}, {"Authorization": "Bearer a.b.c"}])
def test_nothing_is_told_to_strangers(api: Running, path: str, headers: dict[str, str]) -> None:
    """401, and not whether it exists."""
    reply = api.http.get(path, headers=headers)
    assert reply.status_code == 401
    assert "Message" in reply.json()


def test_a_session_ends_by_delete(api: Running) -> None:
    """And with it the settings objects that were made in it."""
    session, other = api.sign_in(), api.sign_in()
    draft = api.http.post("/v1/vpgSettings", headers=session, json={}).json()
    assert api.http.get(f"/v1/vpgSettings/{draft}", headers=other).status_code == 200
    assert api.http.delete("/v1/session", headers=session).status_code == 200
    assert api.http.get("/v1/localsite", headers=session).status_code == 401
    assert api.http.get(f"/v1/vpgSettings/{draft}", headers=other).status_code == 404


def test_a_session_ends_when_it_is_not_used(tmp_path: Path) -> None:
    """After the site's idle time; use keeps it alive."""
    with running_api(tmp_path, ApiSettings(session_idle_seconds=1.5)) as short:
        session = short.sign_in()
        began = time.monotonic()
        while time.monotonic() - began < 1.9:  # longer than the idle time, in small steps
            assert short.http.get("/v1/localsite", headers=session).status_code == 200
            time.sleep(0.1)
        time.sleep(1.7)
        assert short.http.get("/v1/localsite", headers=session).status_code == 401


@pytest.mark.parametrize(
    "form",
    [
        {"grant_type": "password", "client_id": "zerto-client", "username": "admin", "scope": "openid"},
        {"grant_type": "client_credentials", "client_id": "robot", "client_secret": "secret", "expires_in": "3600"},
    ],
)
def test_tokens_are_given_for_a_password_and_to_a_client(api: Running, form: dict[str, str]) -> None:
    """With all members that clients read, expires_in as a number; a refresh token gives another."""
    if form["grant_type"] == "password":
        form = {**form, "password": "pass:wörd"}
    given = api.http.post(TOKEN_PATH, data=form).json()
    assert given["expires_in"] == 3600
    assert given["token_type"] == "Bearer"
    assert {"access_token", "refresh_token", "scope"} <= given.keys()
    bearer = {"Authorization": f"bearer {given['access_token']}"}
    assert api.http.get("/v1/localsite", headers=bearer).status_code == 200
    again = api.http.post(TOKEN_PATH, data={"grant_type": "refresh_token", "refresh_token": given["refresh_token"]})
    bearer = {"Authorization": f"Bearer {again.json()['access_token']}"}
    assert api.http.get("/v1/localsite", headers=bearer).status_code == 200
    refused = api.http.get("/v1/localsite", headers={"Authorization": f"Bearer {given['refresh_token']}"})
    assert refused.status_code == 401


def test_a_client_may_ask_for_the_life_of_its_token(api: Running) -> None:
    """Zerto's SDK never renews; under 30 s would make one client sign in without pause."""
    form = {"grant_type": "client_credentials", "client_id": "robot", "client_secret": "secret"}
    assert api.http.post(TOKEN_PATH, data={**form, "expires_in": "7200"}).json()["expires_in"] == 7200
    assert api.http.post(TOKEN_PATH, data={**form, "expires_in": "1"}).json()["expires_in"] == 30


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"grant_type": "password", "username": "admin", "password": "x"}, 401),
        ({"grant_type": "client_credentials", "client_id": "robot", "client_secret": "x"}, 401),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, 401),
        ({"grant_type": "magic"}, 400),
        ({}, 400),
    ],
)
def test_wrong_forms_get_no_token(api: Running, form: dict[str, str], status: int) -> None:
    """401, or 400 for a grant that is not known."""
    assert api.http.post(TOKEN_PATH, data=form).status_code == status


def test_a_token_outlives_the_manager_by_its_key(tmp_path: Path) -> None:
    """Signed with a key that the manager keeps, it is good at the next one too; with another key it is not."""
    settings = ApiSettings(signing_key=b"k" * 32)
    with running_api(tmp_path / "a", settings) as first:
        bearer = first.token()
    with running_api(tmp_path / "b", settings) as second:
        assert second.http.get("/v1/localsite", headers=bearer).status_code == 200
    with running_api(tmp_path / "c") as third:
        assert third.http.get("/v1/localsite", headers=bearer).status_code == 401


def test_the_dialect_follows_the_sign_in(api: Running) -> None:
    """Classic: the page's object. Token: a bare text. In XML likewise."""
    classic, token = api.sign_in(), api.token()
    assert api.http.post(ACTION, headers=classic).json().keys() == {"TaskIdentifier"}
    assert api.http.post(ACTION, headers=token).json().endswith(f".{NORTH}")
    xml = {"Accept": "application/xml"}
    assert "<TaskIdentifierApi " in api.http.post(ACTION, headers=classic | xml).text
    assert api.http.post(ACTION, headers=token | xml).text.startswith("<string ")


@pytest.mark.parametrize(("dialect", "kind"), [("object", dict), ("string", str)])
def test_a_setting_forces_the_dialect(tmp_path: Path, dialect: str, kind: type) -> None:
    """For the whole site; for one account or client it goes before that."""
    other = "string" if dialect == "object" else "object"
    settings = ApiSettings(task_dialect=dialect, account_dialects={"robot": other})
    with running_api(tmp_path, settings) as forced:
        for headers in (forced.sign_in(), forced.token()):
            assert isinstance(forced.http.post(ACTION, headers=headers).json(), kind)
        robot = forced.token(grant_type="client_credentials", client_id="robot", client_secret="secret")
        assert not isinstance(forced.http.post(ACTION, headers=robot).json(), kind)


def test_the_dialects_of_a_sites_settings_reach_its_api(tmp_path: Path) -> None:
    """What `farshore site set` wrote, as the manager reads it."""
    chosen = SiteSettings(task_dialect="string", task_dialects={"robot": "object"}, classic_dates="dotnet")
    settings = ApiSettings.of(SiteConfig(site_id=NORTH, name="north", settings=chosen), b"k" * 32)
    with running_api(tmp_path, settings) as api:
        assert isinstance(api.http.post(ACTION, headers=api.sign_in()).json(), str)
        robot = api.token(grant_type="client_credentials", client_id="robot", client_secret="secret")
        assert api.http.post(ACTION, headers=robot).json().keys() == {"TaskIdentifier"}


@pytest.mark.parametrize("path", [f"/v1/vpgs/{VPG}/checkpoints", "/v1/events", "/v1/tasks", "/v1/alerts"])
def test_dates_of_old_clients_are_for_classic_sessions_in_json_alone(tmp_path: Path, path: str) -> None:
    """`/Date(ms)/` of the same moment; ISO 8601 for tokens and in XML; it is understood in a query too."""
    member = {"checkpoints": "TimeStamp", "events": "OccurredOn", "tasks": "Started", "alerts": "TurnedOn"}
    name = member[path.rpartition("/")[2]]
    with running_api(tmp_path, ApiSettings(classic_dates="dotnet")) as api:
        classic, token = api.sign_in(), api.token()
        api.http.post(ACTION, headers=token)
        old = api.http.get(path, headers=classic).json()[0][name]
        new = api.http.get(path, headers=token).json()[0][name]
        milliseconds = int(datetime.fromisoformat(new).timestamp() * 1000 + 0.5)
        assert old == f"/Date({milliseconds})/"
        assert f"<{name}>{new}<" in api.http.get(path, headers=classic | {"Accept": "text/xml"}).text
        if name == "TimeStamp":
            found = api.http.get(path, params={"startDate": old, "endDate": old}, headers=classic).json()
            assert [one[name] for one in found] == [old]


def test_what_is_read_before_signing_in(api: Running) -> None:
    """The resources, with absolute addresses; the time; where tokens are to be had."""
    listed = {one["identifier"]: one["href"] for one in api.http.get("/v1").json()}
    assert {"session", "localsite", "peersites", "tasks", "virtualizationsites", "vms", "vpgs"} <= listed.keys()
    assert all(href.startswith("https://127.0.0.1:") for href in listed.values())
    assert api.http.get("/v1/serverDateTime").json()["ServerDateTimeUtc"].endswith("Z")
    found = api.http.get("/auth/realms/zerto/.well-known/openid-configuration").json()
    assert found["issuer"].endswith("/auth/realms/zerto")
    assert api.http.post(found["token_endpoint"], data={"grant_type": "x"}).status_code == 400


def test_a_viewer_may_look_and_not_touch(api: Running) -> None:
    """403 naming the account; nothing is ordered; signing out is allowed."""
    viewer = api.sign_in("viewer")
    api.site.calls.clear()
    assert api.http.get("/v1/vpgs", headers=viewer).status_code == 200
    reply = api.http.post(ACTION, headers=viewer)
    assert reply.status_code == 403
    assert "viewer" in reply.json()["Message"]
    assert api.site.calls == []
    assert api.http.delete("/v1/session", headers=viewer).status_code == 200
