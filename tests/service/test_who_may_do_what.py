"""Each route, called by nobody and by an account of each role: 401, 403, or let through, as the one table says."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from farshore.api.rights import RIGHTS
from farshore.model.access import Right, Role, permits
from tests.service.made_up_accounts import OTHER_VPG, PASSWORD, VPG
from tests.service.made_up_site import Running, running_api

WAYS = {"admin": (Role.administrator, False), "operator": (Role.operator, False), "viewer": (Role.viewer, False)}
WAYS |= {"shop": (Role.operator, True)}
HARMFUL = {("DELETE", "/v1/session"), ("DELETE", "/v1/accounts/{name}"), ("POST", "/v1/accounts/{name}/password")}
HARMFUL |= {("PUT", "/v1/accounts/{name}"), ("POST", "/v1/accounts/self/password")}
"""Not called by who may: the later calls need what these end."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One for all."""
    with running_api(tmp_path_factory.mktemp("site")) as found:
        yield found


def call(site: Running, route: tuple[str, str], headers: dict[str, str] | None, vpg: str = VPG) -> httpx.Response:
    """The route, with the VPG's identifier or one of nothing."""
    method, path = route
    path = path.replace("{vpg_id}", vpg).replace("{rest:path}", "x")
    pieces = ["nothing" if piece.startswith("{") else piece for piece in path.split("/")]
    return site.http.request(method, "/".join(pieces), headers=headers)


@pytest.mark.parametrize("name", WAYS)
def test_every_route_lets_in_just_those_whom_the_table_names(site: Running, name: str) -> None:
    """403 in words for all others, and nothing is ordered in their name."""
    role, bound = WAYS[name]
    headers = site.sign_in(name)
    for route, right in sorted(RIGHTS.items()):
        site.site.calls.clear()
        if right is Right.anybody or (route in HARMFUL and permits(role, right, bound=bound)):
            continue
        reply = call(site, route, headers)
        assert reply.status_code != 401, route
        if permits(role, right, bound=bound):
            assert reply.status_code != 403, (route, reply.text)
        else:
            assert reply.status_code == 403, (route, reply.text)
            assert f"The account {name} is of the role {role.value}" in reply.json()["Message"]
            assert site.site.calls == []


def test_without_signing_in_only_the_routes_for_anybody_answer(site: Running) -> None:
    """401 for all others, and not whether what they name is there."""
    for route, right in sorted(RIGHTS.items()):
        status = call(site, route, None).status_code
        if right is Right.anybody:
            assert status in {200, 400} or "session" in route[1], route
        else:
            assert status == 401, route
            assert status == call(site, route, None, OTHER_VPG).status_code


def test_for_an_account_that_is_bound_to_others_a_vpg_does_not_exist(site: Running) -> None:
    """Not in lists, 404 by its identifier, whatever is asked of it."""
    headers = site.sign_in("stranger")
    for path in ("/v1/vpgs", "/v1/vms"):
        assert site.http.get(path, headers=headers).json() == []
        assert site.http.get(path, headers=site.sign_in("shop")).json() != []
    site.site.calls.clear()
    for route in RIGHTS:
        if "/v1/vpgs/{vpg_id}" in route[1] and RIGHTS[route] in {Right.read, Right.operate}:
            assert call(site, route, headers).status_code == 404, route
    assert site.site.calls == []


def test_tasks_and_reports_of_other_vpgs_are_not_seen_by_a_bound_account(site: Running) -> None:
    """Neither listed nor by their identifier."""
    task = site.http.post(f"/v1/vpgs/{VPG}/FailoverTest", headers=site.sign_in("shop")).json()["TaskIdentifier"]
    for name, seen in (("shop", True), ("stranger", False)):
        headers = site.sign_in(name)
        listed = [one["TaskIdentifier"] for one in site.http.get("/v1/tasks", headers=headers).json()]
        assert (task in listed) is seen
        for path in (f"/v1/tasks/{task}", f"/v1/reports/recovery/{task}"):
            assert site.http.get(path, headers=headers).status_code == (200 if seen else 404)


@pytest.mark.parametrize("way", ["classic", "token"])
def test_a_changed_account_counts_for_what_is_open_already(site: Running, way: str) -> None:
    """Another role from the next request on; another password or removal ends sessions and tokens."""
    admin, path = site.sign_in(), f"/v1/accounts/anna {way}"
    body = {"Name": f"anna {way}", "Role": "operator", "Password": PASSWORD + "123"}
    assert site.http.post("/v1/accounts", json=body, headers=admin).status_code == 200
    form = {"grant_type": "password", "username": body["Name"], "client_id": "x"}
    headers = site.sign_in(body["Name"]) if way == "classic" else site.token(**form)
    action = f"/v1/vpgs/{VPG}/Checkpoints"
    cut = {"CheckpointName": "x"}
    assert site.http.post(action, json=cut, headers=headers).status_code == 200
    assert site.http.put(path, json={"Role": "viewer"}, headers=admin).json()["Role"] == "viewer"
    assert site.http.post(action, json=cut, headers=headers).status_code == 403
    assert site.http.get("/v1/accounts/self", headers=headers).json()["Role"] == "viewer"
    assert site.http.post(f"{path}/password", json={}, headers=admin).json()["Secret"] == "made up"
    assert site.http.get("/v1/vpgs", headers=headers).status_code == 401
    headers = site.sign_in(body["Name"]) if way == "classic" else site.token(**form)
    assert site.http.get("/v1/vpgs", headers=headers).status_code == 200
    assert site.http.delete(path, headers=admin).status_code == 200
    assert site.http.get("/v1/vpgs", headers=headers).status_code == 401


def test_each_change_leaves_an_event_with_who_whence_what_and_the_result(site: Running) -> None:
    """Also one that was refused; what only reads leaves none, and no event holds a password."""
    admin, viewer = site.sign_in(), site.sign_in("viewer")
    site.site.audited.clear()
    action = f"/v1/vpgs/{VPG}/failovertest"
    task = site.http.post(action, headers=admin).json()["TaskIdentifier"]
    site.http.post(action, headers=viewer)
    site.http.post(action, json={"VmIdentifiers": ["nobody"]}, headers=admin)
    site.http.post("/v1/accounts", json={"Name": "bob", "Role": "viewer", "Password": "open sesame"}, headers=admin)
    for path in ("/v1/vpgs", "/v1/tasks"):
        site.http.get(path, headers=admin)
    site.http.post(action)
    told = [(record.who, record.origin, record.text, record.vpg_id) for _, record in site.site.audited]
    what = ("127.0.0.1", f"POST /v1/vpgs/{VPG}/failovertest", VPG)
    made = ("admin", "127.0.0.1", "POST /v1/accounts", "")
    assert told == [("admin", *what), ("viewer", *what), ("admin", *what), made]
    results = [record.result for _, record in site.site.audited]
    assert results[0] == f"200, task {task}"
    assert results[1].startswith("403: The account viewer")
    assert results[2].startswith("400: VmIdentifiers: nobody")
    assert results[3] == "200"
    assert "sesame" not in str(site.site.audited)


def test_wrong_passwords_are_told_and_then_slowed_down(tmp_path_factory: pytest.TempPathFactory) -> None:
    """After ten, 429 with the seconds to wait, also for the right one; another account's sign-in is not asked."""
    with running_api(tmp_path_factory.mktemp("guessed")) as site:
        wrong = httpx.BasicAuth(b"admin", b"wrong")
        assert {site.http.post("/v1/session/add", auth=wrong).status_code for _ in range(10)} == {401}
        for credentials in (wrong, httpx.BasicAuth(b"admin", PASSWORD.encode())):
            reply = site.http.post("/v1/session/add", auth=credentials)
            assert reply.status_code == 429
            assert int(reply.headers["retry-after"]) >= 1
            assert "x-zerto-session" not in reply.headers
        told = [record for kind, record in site.site.audited if kind == "sign_in"]
        assert len(told) == 10
        assert {record.who for record in told} == {"admin"}
        assert {record.origin for record in told} == {"127.0.0.1"}
        assert told[-1].result == "401: wrong try 10 from there"


def test_while_others_guess_the_right_password_gets_in_from_another_address(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """At once; the guesser's own address goes on waiting."""
    with running_api(tmp_path_factory.mktemp("guessed")) as site:
        for n in range(12):
            status = site.http.post("/v1/session/add", auth=httpx.BasicAuth(b"admin", b"wrong")).status_code
            assert status == (401 if n < 10 else 429)
        desk = httpx.HTTPTransport(verify=False, local_address="127.0.0.2")
        with httpx.Client(base_url=site.http.base_url, transport=desk) as http:
            reply = http.post("/v1/session/add", auth=httpx.BasicAuth(b"admin", PASSWORD.encode()))
            assert reply.status_code == 200
        right = httpx.BasicAuth(b"admin", PASSWORD.encode())
        assert site.http.post("/v1/session/add", auth=right).status_code == 429


def test_guesses_that_come_at_once_are_counted_one_after_another(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Forty in parallel: ten are looked at, as if they had come in a row."""
    with running_api(tmp_path_factory.mktemp("guessed")) as site, ThreadPoolExecutor(40) as threads:
        wrong = httpx.BasicAuth(b"admin", b"wrong")
        tries = [threads.submit(site.http.post, "/v1/session/add", auth=wrong) for _ in range(40)]
        statuses = [one.result().status_code for one in tries]
    assert statuses.count(401) == 10
    assert statuses.count(429) == 30
