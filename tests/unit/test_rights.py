"""The one table of who may do what holds every route, and the roles are what docs/security.md says."""

from __future__ import annotations

import inspect

import pytest

from farshore.api import state
from farshore.api.application import ROUTERS
from farshore.api.bound import NARROWED, PASSED
from farshore.api.rights import RIGHTS, right_of
from farshore.api.services import Services
from farshore.model.access import Right, Role, permits

ROUTES = {
    (method, str(getattr(route, "path", ""))): route
    for router in ROUTERS
    for route in router.routes
    for method in getattr(route, "methods", ())
}
DAY_TO_DAY = ("Checkpoints", "FailoverTest", "FailoverTestStop", "CloneStart", "CloneAbort", "pause", "resume")
WORST_DAY = ("Failover", "FailoverCommit", "FailoverRollback", "move", "moveCommit", "moveRollback", "forcesync")
READ_BY_POST = "/v1/vpgSettings/exportedSettings/{time_stamp}"
"""Its body says of which VPGs."""
UNBOUND = frozenset(
    {
        "verify_password",
        "verify_client",
        "account",
        "accounts",
        "held_vms",
        "release_vm",
        "kept_volumes",
        "remove_kept_volumes",
        "export_settings",
        "settings_exports",
        "settings_export",
        "add_account",
        "change_account",
        "change_secret",
        "remove_account",
        "audit",
        "create_vpg",
        "update_vpg",
        "generate_token",
        "pair",
        "unpair",
        "peer_sites",
        "site_vms",
        "site_resources",
        "dismiss_alert",
    }
)
"""Services that an account which is bound to VPGs does not reach, or that are not asked in its name."""


def test_every_route_has_its_entry_and_every_entry_its_route() -> None:
    """A route without one is an administrator's alone, and this test says so."""
    assert sorted(set(ROUTES) - set(RIGHTS)) == []
    assert sorted(set(RIGHTS) - set(ROUTES)) == []


def test_a_route_without_an_entry_is_an_administrators() -> None:
    """Forgotten means closed."""
    assert right_of("POST", "/v1/forgotten") is Right.administer


def test_every_route_but_those_for_anybody_asks_who_calls() -> None:
    """By the dependency of its router, or in its own words."""

    def asks(route: object) -> bool:
        return any(one.call is state._caller for one in route.dependant.dependencies)  # type: ignore[attr-defined]

    found = {route for route in ROUTES if not asks(ROUTES[route])}
    in_own_words = {("DELETE", "/v1/session")}
    assert found == {route for route, right in RIGHTS.items() if right is Right.anybody} | in_own_words


@pytest.mark.parametrize("action", [*DAY_TO_DAY, *WORST_DAY])
def test_an_operator_may_do_what_the_worst_day_asks_for(action: str) -> None:
    """Failover and move too, up to their end: whoever is on duty must not wait for an administrator."""
    assert RIGHTS["POST", f"/v1/vpgs/{{vpg_id}}/{action}"] is Right.operate


def test_what_only_reads_is_what_a_viewer_may() -> None:
    """And nothing else but their own session and password. What is answered 501 changes nothing either."""
    for (method, path), right in RIGHTS.items():
        if ROUTES[method, path].endpoint.__module__.endswith("not_offered"):
            continue
        if right in {Right.read, Right.read_site}:
            assert method == "GET" or path == READ_BY_POST, path
        if right in {Right.operate, Right.administer} and not path.startswith("/v1/accounts"):
            assert method != "GET", path


@pytest.mark.parametrize(
    ("role", "bound", "may"),
    [
        (Role.viewer, True, {Right.anybody, Right.own, Right.read}),
        (Role.viewer, False, {Right.anybody, Right.own, Right.read, Right.read_site}),
        (Role.operator, True, {Right.anybody, Right.own, Right.read, Right.operate}),
        (Role.operator, False, {Right.anybody, Right.own, Right.read, Right.read_site, Right.operate}),
        (Role.administrator, False, set(Right)),
    ],
)
def test_each_role_has_its_rights(role: Role, bound: bool, may: set[Right]) -> None:
    """Bound to VPGs, it has none that is of the whole site."""
    assert {right for right in Right if permits(role, right, bound=bound)} == may


def test_every_service_is_narrowed_or_closed_for_a_bound_account() -> None:
    """One that is about a VPG is refused for others; of the rest each is named here or in api/bound.py."""
    named = {name for name, _ in inspect.getmembers(Services, inspect.isfunction) if not name.startswith("_")}
    arguments = {name: list(inspect.signature(getattr(Services, name)).parameters) for name in named}
    of_one_vpg = {name for name in named if arguments[name][1:2] == ["vpg_id"]}
    assert sorted(named - of_one_vpg - set(NARROWED) - PASSED - UNBOUND) == []
    assert UNBOUND & (set(NARROWED) | PASSED) == set()
