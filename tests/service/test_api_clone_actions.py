"""Rows L1-L5 on the wire: CloneStart and CloneAbort, in JSON and in XML; what is refused orders nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.service.made_up_site import SOUTH, VPG, Running
from tests.service.recovery_requests import NOTATIONS, check, check_refused, send

DATASTORE = "3F0C7C1E-0D0B-5F57-8A63-5D7C6A3C1B11"
CLONE: dict[str, Any] = {"checkpoint_id": None, "datastore_id": None, "vm_ids": None}


@pytest.fixture(scope="module", autouse=True)
def classic(running: Running) -> None:
    """Signed in the classic way."""
    running.http.headers.update(running.sign_in())


@pytest.mark.parametrize("content_type", ["application/json", "application/xml", "text/xml"])
@pytest.mark.parametrize(("action", "order"), [("CloneStart", ("Clone", CLONE)), ("cloneabort", ("AbortClone", {}))])
def test_l1_l4_an_empty_body_means_all_defaults(
    api: Running, content_type: str, action: str, order: tuple[str, Any]
) -> None:
    """The latest checkpoint, all VMs, the datastore with the most room; an abort takes nothing else anyway."""
    reply = api.http.post(f"/v1/vpgs/{VPG}/{action}", content=b"", headers={"Content-Type": content_type})
    assert reply.status_code == 200, reply.text
    assert "warning" not in reply.headers
    assert api.site.calls == [order]


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("member", ["CheckpointId", "checkpointid", "CheckpointIdentifier", "checkpointIdentifier"])
@pytest.mark.parametrize("value", [8, "8"])
def test_l1_the_checkpoint_is_named(api: Running, notation: str, member: str, value: Any) -> None:
    """By the page's name or by that of the other actions, as a text or a bare number; neither is deprecated here."""
    reply = check(api, notation, "CloneStart", {member: value}, ("Clone", {**CLONE, "checkpoint_id": "8"}))
    assert "deprecation" not in reply.headers


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("value", ["latest", "-1", "8.5", "9" * 21])
def test_l1_what_is_no_checkpoint_is_refused(api: Running, notation: str, value: str) -> None:
    """400, nothing ordered."""
    check_refused(api, notation, "CloneStart", {"CheckpointId": value})


@pytest.mark.parametrize("notation", NOTATIONS)
def test_l1_two_spellings_that_disagree_are_refused(api: Running, notation: str) -> None:
    """Not one of the two taken."""
    reply = send(api, notation, "CloneStart", {"CheckpointId": "8", "CheckpointIdentifier": "9"})
    assert reply.status_code == 400
    assert "given twice" in reply.text
    assert api.site.calls == []


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("member", ["DatastoreIdentifier", "datastoreIDENTIFIER"])
def test_l2_the_datastore_is_named(api: Running, notation: str, member: str) -> None:
    """As it is written; the recovery site says whether it has it."""
    check(api, notation, "CloneStart", {member: DATASTORE}, ("Clone", {**CLONE, "datastore_id": DATASTORE}))


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("value", ["", "x" * 257])
def test_l2_what_is_no_datastore_is_refused(api: Running, notation: str, value: str) -> None:
    """400 naming the member."""
    check_refused(api, notation, "CloneStart", {"DatastoreIdentifier": value})


@pytest.mark.parametrize("notation", NOTATIONS)
def test_l4_an_abort_takes_any_body_and_ignores_it(api: Running, notation: str) -> None:
    """With a Warning that says so [G6, G10]."""
    reply = check(api, notation, "CloneAbort", {"Anything": "x"}, ("AbortClone", {}))
    assert "warning" in reply.headers


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("value", ["web", ["web"], ["vm-2", "WEB".lower(), "vm-2"]])
def test_l5_some_vms_in_every_spelling(api: Running, notation: str, value: Any) -> None:
    """Identifiers or names, twice counts once, a bare one is a list of one."""
    check(api, notation, "CloneStart", {"VmIdentifiers": value}, ("Clone", {**CLONE, "vm_ids": ["vm-2"]}))


def test_l5_vms_as_objects(api: Running) -> None:
    """The page's example can be read so."""
    members = {"VmIdentifiers": [{"VmIdentifier": "db"}, {"vmidentifier": "vm-2"}]}
    check(api, "json", "CloneStart", members, ("Clone", {**CLONE, "vm_ids": ["vm-1", "vm-2"]}))


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("value", ["nobody", ["twin"]])
def test_l5_a_vm_that_cannot_be_told_is_refused(api: Running, notation: str, value: Any) -> None:
    """Unknown, or the name of two."""
    check_refused(api, notation, "CloneStart", {"VmIdentifiers": value})


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("action", ["CloneStart", "CloneAbort"])
def test_g8_a_clone_is_refused_in_the_notation_of_the_request(api: Running, notation: str, action: str) -> None:
    """409 with the site's words."""
    api.site.busy = True
    reply = send(api, notation, action, {})
    assert reply.status_code == 409
    assert "busy with Move" in reply.text
    assert reply.headers["content-type"].split(";")[0].endswith(notation)


@pytest.mark.parametrize("action", ["CloneStart", "CloneAbort"])
def test_g7_a_clone_of_an_unknown_vpg_is_not_found(api: Running, action: str) -> None:
    """404, whatever the body."""
    assert api.http.post(f"/v1/vpgs/{SOUTH}/{action}", content=b"{").status_code == 404


def test_g10_an_unknown_member_of_a_clone_is_told(api: Running) -> None:
    """And ignored."""
    reply = check(
        api, "json", "CloneStart", {"CheckpointId": 8, "Fast": True}, ("Clone", {**CLONE, "checkpoint_id": "8"})
    )
    assert "Fast" in reply.headers["warning"]
