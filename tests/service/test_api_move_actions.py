"""Rows M1-M8 on the wire: move, its commit and rollback, in JSON and in XML, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from farshore.model.policies import CommitPolicy
from tests.service.made_up_site import Running, before_commit
from tests.service.recovery_requests import (
    BAD_SECONDS,
    FALSE,
    MOVE,
    MOVE_COMMIT,
    NO_BOOLEAN,
    NOTATIONS,
    POLICIES,
    TRUE,
    check,
    check_refused,
)


@pytest.fixture(scope="module", autouse=True)
def classic(running: Running) -> None:
    """Signed in the classic way."""
    running.http.headers.update(running.sign_in())


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("value", TRUE + FALSE)
def test_m1_force_shutdown_in_each_form(api: Running, notation: str, value: Any) -> None:
    """And that it was left out is known at the site, which may ask for it [M6]."""
    meant = str(value).lower() in {"true", "1"}
    check(api, notation, "move", {"ForceShutdown": value}, ("Move", {**MOVE, "force_shutdown": meant}))


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize(("value", "meant"), POLICIES)
def test_m2_the_commit_policy_of_a_move(api: Running, notation: str, value: Any, meant: CommitPolicy) -> None:
    """By number or name; left out, it is the site's."""
    check(api, notation, "move", {"CommitPolicy": value}, ("Move", {**MOVE, "commit_policy": meant}))


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize(("value", "meant"), [(0, 0), ("60", 60), (2147483647, 2147483647)])
def test_m2_the_time_of_the_policy(api: Running, notation: str, value: Any, meant: int) -> None:
    """In whole seconds."""
    order = ("Move", {**MOVE, "wait_seconds": meant, "commit_policy": CommitPolicy.Commit})
    check(api, notation, "move", {"CommitPolicyTimeout": value, "CommitPolicy": "commit"}, order)


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("value", BAD_SECONDS)
def test_m2_a_time_that_is_none_is_refused(api: Running, notation: str, value: Any) -> None:
    """As of a failover."""
    check_refused(api, notation, "move", {"CommitPolicyTimeout": value})


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize(
    ("members", "warned"),
    [
        ({"KeepSourceVms": True}, True),
        ({"KeepSourceVms": True, "ReverseProtection": True}, True),
        ({"KeepSourceVms": True, "ReverseProtection": False}, False),
        ({"KeepSourceVms": False, "ReverseProtection": False}, False),
    ],
)
def test_m3_m4_kept_sources_and_reverse_protection(
    api: Running, notation: str, members: dict[str, Any], warned: bool
) -> None:
    """Reverse protection is the default; with it KeepSourceVms is ignored, which the reply says."""
    told = {"keep_source_vms": members["KeepSourceVms"], "reverse_protection": members.get("ReverseProtection", True)}
    reply = check(api, notation, "move", members, ("Move", {**MOVE, **told}))
    assert ("KeepSourceVms is ignored" in reply.headers.get("warning", "")) == warned


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("value", [True, "False"])
def test_m5_the_member_for_scripts_is_read(api: Running, notation: str, value: Any) -> None:
    """And passed on."""
    order = ("Move", {**MOVE, "continue_on_script_failure": value is True})
    check(api, notation, "move", {"ContinueOnPreScriptFailure": value}, order)


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize(
    "member", ["ForceShutdown", "ReverseProtection", "KeepSourceVms", "ContinueOnPreScriptFailure"]
)
@pytest.mark.parametrize("value", NO_BOOLEAN)
def test_m1_m3_m4_m5_what_is_no_boolean_is_refused(api: Running, notation: str, member: str, value: Any) -> None:
    """2 or yes."""
    check_refused(api, notation, "move", {member: value})


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize(
    ("members", "meant", "warned"),
    [
        ({}, {}, False),
        (
            {"ReverseProtection": "0", "KeepSourceVms": "True"},
            {"reverse_protection": False, "keep_source_vms": True},
            False,
        ),
        ({"KeepSourceVms": False}, {"keep_source_vms": False}, False),
        ({"KeepSourceVms": True}, {"keep_source_vms": True}, True),
    ],
)
def test_m7_what_a_commit_leaves_out_is_as_the_move_said(
    api: Running, notation: str, members: dict[str, Any], meant: dict[str, Any], warned: bool
) -> None:
    """None is passed on for it; with the move's reverse protection KeepSourceVms is ignored, which is said [M3]."""
    api.site.standing["recovery"] = before_commit("move", reverse=True)
    reply = check(api, notation, "moveCommit", members, ("MoveCommit", {**MOVE_COMMIT, **meant}))
    assert ("KeepSourceVms is ignored" in reply.headers.get("warning", "")) == warned
