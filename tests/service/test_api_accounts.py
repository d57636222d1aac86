"""Accounts of a real site over its API, in JSON and in XML; one that is bound to a VPG recovers it, and that alone."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import httpx
import pytest

from tests.faked_site import FakedSite, with_site
from tests.operations_harness import VPG
from tests.service.api_of_faked_site import PASSWORD, serving_faked

XML = {"Content-Type": "application/xml", "Accept": "application/xml"}
API = "{http://schemas.zerto.com/zvm/api}"


def signed_in(http: httpx.Client, user: str, password: str) -> dict[str, str]:
    """The header of a session."""
    coded = base64.b64encode(f"{user}:{password}".encode()).decode()
    reply = http.post("/v1/session/add", headers={"Authorization": f"Basic {coded}"})
    assert reply.status_code == 200, reply.text
    return {"x-zerto-session": reply.headers["x-zerto-session"]}


def on_a_site(folder: Path, test: Callable[[httpx.Client, FakedSite], Any]) -> None:
    """Run a test on the API of a site with a protected VPG."""

    async def run(faked: FakedSite) -> None:
        async with serving_faked(faked) as (http, _):
            await asyncio.to_thread(test, http, faked)

    with_site(folder, run)


def xml_texts(reply: httpx.Response) -> dict[str, str | None]:
    """The members of an object in XML, by name."""
    assert reply.status_code == 200, reply.text
    return {part.tag.removeprefix(API): part.text for part in fromstring(reply.content)}


@pytest.mark.parametrize("notation", ["json", "xml"])
def test_an_account_in_each_notation(tmp_path: Path, notation: str) -> None:
    """Made, read, listed, changed, given another password, removed."""

    def test(http: httpx.Client, _: FakedSite) -> None:
        admin = signed_in(http, "admin", PASSWORD) | (XML if notation == "xml" else {})

        def send(method: str, path: str, members: dict[str, str] | None = None) -> dict[str, Any]:
            body = {"json": members} if notation == "json" else {}
            if notation == "xml" and members is not None:
                inner = "".join(f"<{name}>{value}</{name}>" for name, value in members.items())
                body = {"content": f'<AnyRoot xmlns="{API[1:-1]}">{inner}</AnyRoot>'}
            reply = http.request(method, path, headers=admin, **body)
            assert reply.status_code == 200, reply.text
            return reply.json() if notation == "json" else xml_texts(reply)

        made = send("POST", "/v1/accounts", {"Name": "anna", "role": "VIEWER", "Password": "a good password"})
        assert (made["Name"], made["Secret"]) == ("anna", "a good password")
        assert send("GET", "/v1/accounts/anna")["Role"] == "viewer"
        assert send("PUT", "/v1/accounts/anna", {"Role": "operator"})["Role"] == "operator"
        changed = send("POST", "/v1/accounts/anna/password", {})
        assert len(changed["Secret"]) >= 32
        anna = signed_in(http, "anna", changed["Secret"])
        assert http.get("/v1/accounts/self", headers=anna).json()["Role"] == "operator"
        listed = http.get("/v1/accounts", headers=admin)
        assert listed.text.count("anna") >= 1
        assert http.delete("/v1/accounts/anna", headers=admin).status_code == 200
        assert http.get("/v1/accounts/anna", headers=admin).status_code == 404

    on_a_site(tmp_path, test)


def test_an_operator_bound_to_a_vpg_fails_it_over_and_reads_what_came_of_it(tmp_path: Path) -> None:
    """From the order to the rollback; what is of the whole site is 403, another VPG 404."""

    def test(http: httpx.Client, faked: FakedSite) -> None:
        admin = signed_in(http, "admin", PASSWORD)
        body = {"Name": "duty", "Role": "operator", "VpgIdentifiers": [VPG.upper()], "Password": "a good password"}
        assert http.post("/v1/accounts", json=body, headers=admin).status_code == 200
        duty = signed_in(http, "duty", "a good password")
        assert [vpg["VpgIdentifier"] for vpg in http.get("/v1/vpgs", headers=duty).json()] == [VPG]
        order = http.post(f"/v1/vpgs/{VPG}/Failover", json={"CommitPolicy": "None"}, headers=duty)
        task = order.json()["TaskIdentifier"]
        asyncio.run_coroutine_threadsafe(faked.ended(task), loop).result(60)
        assert http.get(f"/v1/tasks/{task}", headers=duty).json()["Status"]["State"] == 6
        assert http.get(f"/v1/reports/recovery/{task}", headers=duty).status_code == 200
        back = http.post(f"/v1/vpgs/{VPG}/FailoverRollback", headers=duty).json()["TaskIdentifier"]
        asyncio.run_coroutine_threadsafe(faked.ended(back), loop).result(60)
        assert http.delete(f"/v1/vpgs/{VPG}", headers=duty).status_code == 403
        assert http.get("/v1/peersites", headers=duty).status_code == 403
        assert http.get(f"/v1/vpgs/{'b' * 8}-bbbb-4bbb-8bbb-{'b' * 12}", headers=duty).status_code == 404
        told = [(event.who, event.text, event.result) for event in faked.site.alerts.newest_events(100)]
        assert ("duty", f"POST /v1/vpgs/{VPG}/Failover", f"200, task {task}") in told

    async def run(faked: FakedSite) -> None:
        nonlocal loop
        loop = asyncio.get_running_loop()
        async with serving_faked(faked) as (http, _):
            await asyncio.to_thread(test, http, faked)

    loop: Any = None
    with_site(tmp_path, run)


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"Role": "operator", "VpgIdentifiers": ["nothing"]}, 400, "VpgIdentifiers: there is no VPG nothing"),
    ({"Role": "administrator", "VpgIdentifiers": [VPG]}, 400, "VpgIdentifiers"),
    ({"Role": "viewer", "Password": "short"}, 400, "Password"),
    ({"Role": "viewer", "Kind": "client", "Password": "a good password"}, 400, "Password"),
    ({"Name": "a/b", "Role": "viewer"}, 400, "Name"),
    ({"Name": "admin", "Role": "viewer"}, 409, "admin"),
    ({}, 400, "Role"),
]


def test_an_account_that_cannot_be_is_refused_by_name(tmp_path: Path) -> None:
    """And none comes of it."""

    def test(http: httpx.Client, faked: FakedSite) -> None:
        admin = signed_in(http, "admin", PASSWORD)
        before = faked.site.accounts.all()
        for body, status, named in REFUSED:
            reply = http.post("/v1/accounts", json={"Name": "x", **body}, headers=admin)
            assert (reply.status_code, named in reply.json()["Message"]) == (status, True), reply.text
        assert faked.site.accounts.all() == before

    on_a_site(tmp_path, test)
