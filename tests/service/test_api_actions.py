"""The actions over HTTPS: what real clients send, in JSON and in XML, and what is refused."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from tests.service.made_up_site import NORTH, SOUTH, VPG, Running

XML = {"Content-Type": "application/xml"}
TEST = f"/v1/vpgs/{VPG}/FailoverTest"
STOP = f"/v1/vpgs/{VPG}/FailoverTestStop"
CHECKPOINTS = f"/v1/vpgs/{VPG}/Checkpoints"


@pytest.fixture(scope="module", autouse=True)
def classic(running: Running) -> None:
    """Signed in the classic way."""
    running.http.headers.update(running.sign_in())


def ordered(api: Running) -> list[tuple[str, Any]]:
    """What the site was told to do."""
    return [call for call in api.site.calls if call[0] != "tasks"]


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (None, {}),
        (b"", {"Content-Type": "application/json"}),
        (b"null", {"Content-Type": "application/json"}),
        (b"{}", {"Content-Type": "application/json"}),
        (b"\xef\xbb\xbf{}", {"Content-Type": "application/json"}),
        (b'{"CheckpointIdentifier": null, "VmIdentifiers": []}', {"Content-Type": "application/json"}),
        (b"", XML),
        (b"<FailOverTestStartDataApi/>", XML),
        (b"<a><VmIdentifiers/></a>", {"Content-Type": "text/xml"}),
    ],
)
def test_g6_an_empty_body_means_all_defaults(api: Running, body: bytes | None, headers: dict[str, str]) -> None:
    """The latest checkpoint, all VMs."""
    reply = api.http.post(TEST, content=body, headers=headers)
    assert reply.status_code == 200, reply.text
    assert ordered(api) == [("FailOverTest", {"checkpoint_id": None, "vm_ids": None})]
    assert "warning" not in reply.headers


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ('{"CheckpointIdentifier": 8, "VmIdentifiers": ["web", {"VmIdentifier": "vm-1"}]}', {}),
        ('{"checkpointid": "8", "vmIDENTIFIERS": ["vm-2", "db", "db"]}', {}),
        (
            (
                '<FailOverTestStartDataApi xmlns="http://schemas.zerto.com/zvm/api">'
                "<CheckpointIdentifier>8</CheckpointIdentifier><VmIdentifiers>"
                '<string xmlns="http://schemas.microsoft.com/2003/10/Serialization/Arrays">db</string>'
                '<string xmlns="http://schemas.microsoft.com/2003/10/Serialization/Arrays">vm-2</string>'
                "</VmIdentifiers></FailOverTestStartDataApi>"
            ),
            XML,
        ),
        (
            (
                "<odd><vmidentifiers><VmIdentifier>web</VmIdentifier><VmIdentifier>db</VmIdentifier></vmidentifiers>"
                "<checkpointID>8</checkpointID></odd>"
            ),
            {"Content-Type": "text/xml; charset=utf-8"},
        ),
    ],
)
def test_t1_t2_checkpoint_and_vms_in_every_spelling(api: Running, body: str, headers: dict[str, str]) -> None:
    """Any case, number or text, identifiers or names, JSON or XML: one order."""
    reply = api.http.post(TEST.upper(), content=body, headers=headers)
    assert reply.status_code == 200, reply.text
    assert ordered(api) == [("FailOverTest", {"checkpoint_id": "8", "vm_ids": ["vm-1", "vm-2"]})]
    assert ("deprecation" in reply.headers) == ("checkpointid" in body.replace("checkpointID", "checkpointid"))


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ('{"VmIdentifiers": ["nobody"]}', "VmIdentifiers: nobody"),
        ('{"VmIdentifiers": ["twin"]}', "vm-3, vm-4"),
        ('{"VmIdentifiers": [1]}', "VmIdentifiers"),
        ('{"CheckpointIdentifier": "latest"}', "CheckpointIdentifier"),
        ('{"CheckpointIdentifier": ""}', "CheckpointIdentifier"),
        ('{"CheckpointId": 1, "CheckpointIdentifier": 2}', "given twice"),
        ('{"CheckpointIdentifier": "\\ud800"}', "CheckpointIdentifier"),
        ("[]", "not a list"),
        ('"x"', "not a text"),
        ("7", "not a number"),
        ("true", "not true or false"),
        ('{"CheckpointId": "a"\n"VmIdentifiers": []}', "line 2 column 1"),
        ('{ "VmIdentifiers": [ VmIdentifier": "x" ] }', "line 1 column"),
    ],
)
def test_g7_a_bad_body_is_refused_and_nothing_is_ordered(api: Running, body: str, named: str) -> None:
    """400 naming the member or the place."""
    reply = api.http.post(TEST, content=body)
    assert reply.status_code == 400
    assert reply.json().keys() == {"Message"}
    assert named in reply.json()["Message"]
    assert ordered(api) == []


@pytest.mark.parametrize(
    "body",
    [
        b"<a><CheckpointIdentifier>x</CheckpointIdentifier></a>",
        b"<a><b></a>",
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        b"<a>text</a>",
        b"{}",
    ],
)
def test_g7_bad_xml_is_refused_in_xml(api: Running, body: bytes) -> None:
    """An error is told in the notation that the client speaks."""
    reply = api.http.post(TEST, content=body, headers=XML)
    assert reply.status_code == 400
    assert reply.headers["content-type"].startswith("application/xml")
    assert "<Message>" in reply.text
    assert ordered(api) == []


def test_g10_an_unknown_member_is_ignored_and_told(api: Running) -> None:
    """In a Warning header, whatever its name is made of."""
    reply = api.http.post(TEST, json={'Odd "näme\n': 1, "reverseProtection": True})
    assert reply.status_code == 200
    assert reply.headers["warning"].startswith('299 farshore "ignored: Odd ?n?me?, reverseProtection')


@pytest.mark.parametrize("name", ["before the upgrade", "工资 🙂", "x" * 256, "🙂" * 256])
def test_k1_a_checkpoint_bears_any_name(api: Running, name: str) -> None:
    """1 to 256 characters of any script; in XML too."""
    assert api.http.post(CHECKPOINTS, json={"checkpointName": name}).status_code == 200
    xml = f"<CheckpointsDataApi><CheckpointName>{name}</CheckpointName></CheckpointsDataApi>".encode()
    assert api.http.post(CHECKPOINTS.lower(), content=xml, headers=XML).status_code == 200
    assert ordered(api) == [("InsertTaggedCP", {"name": name})] * 2


@pytest.mark.parametrize("body", [{}, {"CheckpointName": ""}, {"CheckpointName": " "}, {"CheckpointName": "x" * 257}])
def test_k1_a_checkpoint_must_have_a_name(api: Running, body: dict[str, str]) -> None:
    """400 naming the member."""
    reply = api.http.post(CHECKPOINTS, json=body)
    assert reply.status_code == 400
    assert "CheckpointName" in reply.json()["Message"]
    assert ordered(api) == []


@pytest.mark.parametrize(
    ("body", "meant"),
    [
        ({}, (True, None, None)),
        ({"FailoverTestSuccess": "False", "FailoverTestSummary": "it hung"}, (False, "it hung", None)),
        ({"failovertestsuccess": 0, "failoverTestSummary": ""}, (False, None, None)),
        ({"FailoverTestSuccess": None, "FailoverTestSummary": None}, (True, None, None)),
        ({"TaskIdentifier": f"{VPG}:{NORTH}"}, (True, None, f"{VPG}.{NORTH}")),
    ],
)
def test_t3_a_test_is_stopped_with_its_result(
    api: Running, body: dict[str, Any], meant: tuple[bool, str | None, str | None]
) -> None:
    """Success by default; an empty summary is none."""
    assert api.http.post(STOP, json=body).status_code == 200
    success, summary, task = meant
    assert ordered(api) == [("StopFailOverTest", {"success": success, "summary": summary, "test_task": task})]


@pytest.mark.parametrize(
    "body", [{"FailoverTestSuccess": "yes"}, {"FailoverTestSummary": "x" * 4001}, {"TaskIdentifier": "that one"}]
)
def test_t3_a_bad_result_is_refused(api: Running, body: dict[str, Any]) -> None:
    """400 naming the member."""
    reply = api.http.post(STOP, json=body)
    assert reply.status_code == 400
    assert next(iter(body)) in reply.json()["Message"]


def test_delete_takes_a_body(api: Running) -> None:
    """`force` and `keepRecoveryVolumes` in any case, or none."""
    for body in (None, b'{"FORCE": "true", "keeprecoveryvolumes": 1}'):
        assert api.http.request("DELETE", f"/v1/vpgs/{VPG}", content=body).status_code == 200
    given = [arguments for _, arguments in ordered(api)]
    assert given == [{"force": False, "keep": False}, {"force": True, "keep": True}]


@pytest.mark.parametrize("action", ["Checkpoints", "FailoverTest", "move", "FailoverCommit", "CloneStart"])
def test_g7_an_unknown_vpg_is_not_found(api: Running, action: str) -> None:
    """404, whatever the body."""
    assert api.http.post(f"/v1/vpgs/{SOUTH}/{action}", content=b"{").status_code == 404


def test_g8_a_busy_vpg_refuses(api: Running) -> None:
    """409 with the site's words, in either notation."""
    api.site.busy = True
    reply = api.http.post(TEST)
    assert reply.status_code == 409
    assert "busy with Move" in reply.json()["Message"]
    assert "busy with Move" in api.http.post(TEST, headers={"Accept": "text/xml"}).text


@pytest.mark.parametrize("action", ["pause", "resume", "forcesync"])
def test_s1_s2_s3_take_any_body_and_ignore_it(api: Running, action: str) -> None:
    """A task in either notation; a body is ignored with the warning that says so [G6]."""
    for accept in ("application/json", "application/xml"):
        reply = api.http.post(f"/v1/vpgs/{VPG}/{action.upper()}", headers={"Accept": accept})
        assert reply.status_code == 200
        assert reply.headers["content-type"].startswith(accept)
        assert "warning" not in reply.headers
    reply = api.http.post(f"/v1/vpgs/{VPG}/{action}", content=b"<no/", headers={"Content-Type": "text/xml"})
    assert reply.headers["warning"] == '299 farshore "ignored: the whole body"'
    assert [kind for kind, _ in api.site.calls] == [action] * 3


def test_g4_a_task_can_be_read_at_once_by_either_form_of_its_identifier(api: Running) -> None:
    """State 1 from its first moment, Status never null."""
    task_id = api.http.post(TEST).json()["TaskIdentifier"]
    for form in (task_id, task_id.replace(".", ":"), task_id.upper()):
        task = api.http.get(f"/v1/tasks/{form}").json()
        assert task["TaskIdentifier"] == task_id
        assert task["Status"] == {"State": 1, "Progress": 0}
        assert task["Type"] == "FailOverTest"
        assert task["InitiatedBy"] == "admin"
    assert "<State>InProgress</State>" in api.http.get(f"/v1/tasks/{task_id}", headers={"Accept": "text/xml"}).text


def test_unpairing_and_pairing(api: Running) -> None:
    """Host, port (9670 unless said) and token; the answer is a task."""
    for body in ({"HostName": "10.0.0.1", "Token": "t"}, {"hostname": "10.0.0.1", "port": "9000", "TOKEN": "t"}):
        assert api.http.post("/v1/peersites", json=body).status_code == 200
    assert api.http.request("DELETE", f"/v1/peersites/{SOUTH.upper()}").status_code == 200
    assert [arguments.get("port") for _, arguments in ordered(api)] == [9670, 9000, None]
    for body in ({}, {"HostName": "", "Token": "t"}, {"HostName": "h", "Token": "t", "Port": 70000}):
        assert api.http.post("/v1/peersites", json=body).status_code == 400
    token = api.http.post("/v1/peersites/GenerateToken").json()
    assert token["Token"] == "tok"
    assert token["UtcExpirationDate"].endswith("Z")


def test_an_unforeseen_error_is_told_and_the_connection_kept(api: Running) -> None:
    """500 with a message; the next request on the same connection is answered."""
    api.site.broken = True
    reply = api.http.get("/v1/localsite")
    api.site.broken = False
    assert reply.status_code == 500
    assert "log" in reply.json()["Message"]
    assert api.http.get("/v1/localsite").status_code == 200


def test_a_body_that_is_too_long_is_refused(api: Running) -> None:
    """Not kept in memory whole."""
    assert api.http.post(TEST, content=b" " * (5 << 20)).status_code == 413


def test_a_poll_is_cheap(api: Running) -> None:
    """One client polls without a pause: 200 in a row, each well under a tenth of a second (the median)."""
    task_id = api.http.post(TEST).json()["TaskIdentifier"]
    spent = []
    for _ in range(200):
        began = time.perf_counter()
        assert api.http.get(f"/v1/tasks/{task_id}").status_code == httpx.codes.OK
        spent.append(time.perf_counter() - began)
    assert sorted(spent)[100] < 0.1
