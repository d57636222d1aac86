"""Rows F1-F9 on the wire: failover, its commit and rollback; and what holds for every action of a recovery."""

from __future__ import annotations

from typing import Any

import pytest

from farshore.model.policies import CommitPolicy, ShutdownPolicy
from tests.service.made_up_site import SOUTH, VPG, Running, before_commit
from tests.service.recovery_requests import (
    BAD_SECONDS,
    FAILOVER,
    FALSE,
    MOVE,
    MOVE_COMMIT,
    NO_BOOLEAN,
    NOTATIONS,
    POLICIES,
    ROOTS,
    TRUE,
    check,
    check_refused,
    send,
)


@pytest.fixture(scope="module", autouse=True)
def classic(running: Running) -> None:
    """Signed in the classic way."""
    running.http.headers.update(running.sign_in())


EMPTY = [
    (None, {}),
    (b"", {"Content-Type": "application/json"}),
    (b"null", {"Content-Type": "application/json"}),
    (b"{}", {"Content-Type": "application/json"}),
    (b"", {"Content-Type": "application/xml"}),
    (b"<a/>", {"Content-Type": "text/xml"}),
]


@pytest.mark.parametrize(("body", "headers"), EMPTY)
@pytest.mark.parametrize(
    ("action", "order"),
    [
        ("Failover", ("FailOver", FAILOVER)),
        ("FailoverCommit", ("FailoverCommit", {"reverse_protection": False})),
        ("FailoverRollback", ("FailoverRollback", {})),
        ("move", ("Move", MOVE)),
        ("moveCommit", ("MoveCommit", MOVE_COMMIT)),
        ("moveRollback", ("MoveRollback", {})),
    ],
)
def test_g6_no_action_of_a_recovery_needs_a_body(
    api: Running, action: str, order: Any, body: bytes | None, headers: dict[str, str]
) -> None:
    """Of each action, with no warning; so do null members."""
    reply = api.http.post(f"/v1/vpgs/{VPG}/{action}", content=body, headers=headers)
    assert reply.status_code == 200, reply.text
    assert "warning" not in reply.headers
    assert api.site.calls == [order]


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("value", [8, "8"])
def test_f1_the_checkpoint_is_named(api: Running, notation: str, value: Any) -> None:
    """As a text or a bare number."""
    order = ("FailOver", {**FAILOVER, "checkpoint_id": "8"})
    reply = check(api, notation, "Failover", {"CheckpointIdentifier": value}, order)
    assert "deprecation" not in reply.headers


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("member", ["CheckpointId", "checkpointid"])
def test_f1_the_older_spelling_is_taken_and_called_deprecated(api: Running, notation: str, member: str) -> None:
    """With a Deprecation header."""
    order = ("FailOver", {**FAILOVER, "checkpoint_id": "8"})
    reply = check(api, notation, "Failover", {member: "8"}, order)
    assert reply.headers["deprecation"] == "true"


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("value", ["latest", "-1", "8.5", "9" * 21])
def test_f1_what_is_no_checkpoint_is_refused(api: Running, notation: str, value: str) -> None:
    """400, nothing ordered."""
    check_refused(api, notation, "Failover", {"CheckpointIdentifier": value})


@pytest.mark.parametrize("notation", NOTATIONS)
def test_f1_two_spellings_that_disagree_are_refused(api: Running, notation: str) -> None:
    """Not one of the two taken."""
    reply = send(api, notation, "Failover", {"CheckpointIdentifier": "8", "CheckpointId": "9"})
    assert reply.status_code == 400
    assert "given twice" in reply.text
    assert api.site.calls == []


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize(("value", "meant"), POLICIES)
def test_f2_the_commit_policy_by_number_or_name(api: Running, notation: str, value: Any, meant: CommitPolicy) -> None:
    """In any case, quoted or not [G5]."""
    check(api, notation, "Failover", {"CommitPolicy": value}, ("FailOver", {**FAILOVER, "commit_policy": meant}))


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("value", [3, -1, "Never", "True", "None_"])
def test_f2_another_policy_is_refused_with_those_there_are(api: Running, notation: str, value: Any) -> None:
    """Each by name and number."""
    check_refused(api, notation, "Failover", {"CommitPolicy": value})
    assert "Rollback (0), Commit (1), None (2)" in send(api, notation, "Failover", {"CommitPolicy": value}).text


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize(("value", "meant"), [(0, 0), ("0", 0), (3600, 3600), ("3600", 3600), (2147483647, 2147483647)])
def test_f3_the_wait_in_before_commit(api: Running, notation: str, value: Any, meant: int) -> None:
    """In whole seconds, 0 and the greatest too."""
    members = {"TimeToWaitBeforeShutdownInSec": value}
    check(api, notation, "Failover", members, ("FailOver", {**FAILOVER, "wait_seconds": meant}))


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("value", BAD_SECONDS)
def test_f3_a_wait_that_is_none_is_refused(api: Running, notation: str, value: Any) -> None:
    """Negative, too long, a fraction, a word [G7]."""
    check_refused(api, notation, "Failover", {"TimeToWaitBeforeShutdownInSec": value})


SHUTDOWNS = [
    (0, ShutdownPolicy.None_), ("none", ShutdownPolicy.None_), ("1", ShutdownPolicy.Shutdown),
    ("shutdown", ShutdownPolicy.Shutdown), (2, ShutdownPolicy.ForceShutdown),
    ("forceshutdown", ShutdownPolicy.ForceShutdown), ("ForceShutdown", ShutdownPolicy.ForceShutdown),
]  # fmt: skip


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize(("value", "meant"), SHUTDOWNS)
def test_f4_the_shutdown_policy_by_number_or_name(
    api: Running, notation: str, value: Any, meant: ShutdownPolicy
) -> None:
    """The page knows numbers, clients names too."""
    check(api, notation, "Failover", {"ShutdownPolicy": value}, ("FailOver", {**FAILOVER, "shutdown_policy": meant}))


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("value", [3, "kill", "true"])
def test_f4_another_shutdown_policy_is_refused(api: Running, notation: str, value: Any) -> None:
    """400 naming the member."""
    check_refused(api, notation, "Failover", {"ShutdownPolicy": value})


@pytest.mark.parametrize("notation", NOTATIONS)
def test_f5_a_shutdown_and_a_named_checkpoint_go_together(api: Running, notation: str) -> None:
    """Both are passed on."""
    order = ("FailOver", {**FAILOVER, "checkpoint_id": "7", "shutdown_policy": ShutdownPolicy.ForceShutdown})
    check(api, notation, "Failover", {"ShutdownPolicy": 2, "CheckpointIdentifier": 7}, order)


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("value", TRUE + FALSE)
def test_f6_reverse_protection_in_each_form(api: Running, notation: str, value: Any) -> None:
    """true, True, 1, quoted or not, and their contraries."""
    meant = str(value).lower() in {"true", "1"}
    order = ("FailOver", {**FAILOVER, "reverse_protection": meant})
    check(api, notation, "Failover", {"IsReverseProtection": value}, order)


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("value", NO_BOOLEAN)
def test_f6_what_is_no_boolean_is_refused(api: Running, notation: str, value: Any) -> None:
    """2 or yes."""
    check_refused(api, notation, "Failover", {"IsReverseProtection": value})


@pytest.mark.parametrize(
    "value",
    [["web", "vm-1"], [{"VmIdentifier": "web"}, {"vmidentifier": "VM-1"}], ["vm-2", "db", "db"]],
)
def test_f7_some_vms_in_every_spelling(api: Running, value: Any) -> None:
    """Identifiers or names, texts or objects; one that is named twice counts once [G9]."""
    check(api, "json", "Failover", {"VmIdentifiers": value}, ("FailOver", {**FAILOVER, "vm_ids": ["vm-1", "vm-2"]}))


@pytest.mark.parametrize("notation", NOTATIONS)
def test_f7_one_vm_and_all_of_them(api: Running, notation: str) -> None:
    """A bare one is a list of one; none, an empty list, or each by name is all."""
    if notation == "json":
        check(api, notation, "Failover", {"VmIdentifiers": "web"}, ("FailOver", {**FAILOVER, "vm_ids": ["vm-2"]}))
    else:
        check(api, notation, "Failover", {"VmIdentifiers": ["web"]}, ("FailOver", {**FAILOVER, "vm_ids": ["vm-2"]}))
    for everybody in ([], ["db", "web", "vm-3", "vm-4"]):
        api.site.calls.clear()
        check(api, notation, "Failover", {"VmIdentifiers": everybody}, ("FailOver", FAILOVER))


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("value", [["nobody"], ["twin"], [" "]])
def test_f7_a_vm_that_cannot_be_told_is_refused(api: Running, notation: str, value: Any) -> None:
    """Unknown, borne by two, blank."""
    check_refused(api, notation, "Failover", {"VmIdentifiers": value})


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize(("members", "meant"), [({}, False), ({"IsReverseProtection": "True"}, True)])
def test_f8_a_commit_protects_back_only_when_it_says_so(
    api: Running, notation: str, members: dict[str, Any], meant: bool
) -> None:
    """The page's default is False, whatever the failover said; then there is a warning."""
    api.site.standing["recovery"] = before_commit("failover", reverse=True)
    reply = check(api, notation, "FailoverCommit", members, ("FailoverCommit", {"reverse_protection": meant}))
    assert ("the failover said True" in reply.headers.get("warning", "")) == (not meant)


@pytest.mark.parametrize("members", [{}, {"IsReverseProtection": None}, {"IsReverseProtection": False}])
@pytest.mark.parametrize("reverse", [True, False])
def test_f8_the_warning_is_for_those_whose_failover_said_otherwise(
    api: Running, reverse: bool, members: dict[str, Any]
) -> None:
    """Left out, null or False: alike."""
    api.site.standing["recovery"] = before_commit("failover", reverse=reverse)
    assert ("warning" in send(api, "json", "FailoverCommit", members).headers) == reverse


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("value", NO_BOOLEAN)
def test_f8_what_is_no_boolean_is_refused(api: Running, notation: str, value: Any) -> None:
    """2 or yes."""
    check_refused(api, notation, "FailoverCommit", {"IsReverseProtection": value})


@pytest.mark.parametrize("action", ["FailoverRollback", "moveRollBack"])
@pytest.mark.parametrize("body", [b'{"a": 1}', b"<a><b/></a>", b"no notation at all", b"[1]"])
def test_f9_m8_a_rollback_takes_any_body_and_ignores_it(api: Running, action: str, body: bytes) -> None:
    """With the warning that says so [G6]."""
    reply = api.http.post(f"/v1/vpgs/{VPG}/{action}", content=body, headers={"Content-Type": "application/json"})
    assert reply.status_code == 200
    assert reply.headers["warning"] == '299 farshore "ignored: the whole body"'
    assert [arguments for _, arguments in api.site.calls] == [{}]


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize(
    "action", ["Failover", "FailoverCommit", "FailoverRollback", "move", "moveCommit", "moveRollback"]
)
def test_f8_f9_m1_m7_m8_a_state_that_does_not_allow_it_is_told(api: Running, notation: str, action: str) -> None:
    """409 with the site's words, in the notation of the request."""
    api.site.busy = True
    reply = send(api, notation, action, {})
    assert reply.status_code == 409
    assert "busy with Move" in reply.text
    assert reply.headers["content-type"].startswith(f"application/{notation}")


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("action", list(ROOTS))
def test_g10_unknown_members_of_a_recovery_are_told(api: Running, notation: str, action: str) -> None:
    """One module sends reverseProtection with a failover: the default holds, with the warning."""
    member = "reverseProtection" if action.startswith("Failover") else "IsReverseProtection"
    reply = send(api, notation, action, {member: True, "Odd": 1})
    assert reply.status_code == 200
    assert f"ignored: {', '.join(sorted([member, 'Odd']))}" in reply.headers["warning"]
    assert api.site.calls[0][1].get("reverse_protection") in {False, None, True} - {action.startswith("Failover")}


@pytest.mark.parametrize(
    "action", ["FAILOVER", "failoverCOMMIT", "FailOverRollBack", "Move", "MoveCommit", "moveRollBack"]
)
def test_g2_the_path_in_any_case(api: Running, action: str) -> None:
    """And members too."""
    body = {"ISREVERSEPROTECTION": 1, "reverseprotection": 1}
    assert api.http.post(f"/v1//vpgs/{VPG.upper()}/{action}/", json=body).status_code == 200
    assert len(api.site.calls) == 1


def test_g4_the_other_dialect_answers_a_bare_text(api: Running) -> None:
    """Those who signed in by token get it."""
    reply = api.http.post(f"/v1/vpgs/{VPG}/Failover", headers={"x-zerto-session": "", **api.token()})
    assert isinstance(reply.json(), str)
    assert api.http.get(f"/v1/tasks/{reply.json()}").status_code == 200


@pytest.mark.parametrize("action", [*ROOTS, "FailoverRollback", "moveRollback"])
def test_g7_a_viewer_may_not_and_nobody_neither(api: Running, action: str) -> None:
    """403 and 401; an unknown VPG is 404."""
    path = f"/v1/vpgs/{VPG}/{action}"
    assert api.http.post(path, headers=api.sign_in("viewer")).status_code == 403
    assert api.http.post(path, headers={"x-zerto-session": ""}).status_code == 401
    assert api.http.post(f"/v1/vpgs/{SOUTH}/{action}").status_code == 404
    assert api.site.calls == []
