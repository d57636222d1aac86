"""A day of each family of clients: sign in, look round, every action in its own spelling, wait for its task, sign out.

The site must have been told the same by all of them.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from farshore.api.routes import vpg_actions
from farshore.api.settings import ApiSettings
from farshore.model.policies import CommitPolicy, ShutdownPolicy
from farshore.model.task import TaskState
from tests.service.client_dialects import DIALECTS, NEEDS_TEXT, Dialect
from tests.service.made_up_site import NORTH, PAYROLL, SOUTH, VPG, Running, running_api

ANSWER_SECONDS_MAX = 3.0
NOT_YET = frozenset(getattr(vpg_actions, "NOT_YET", ()))
"""Actions that are not offered: they say so."""
TASK_ID = re.compile(r"[0-9a-f-]{36}\.[0-9a-f-]{36}")


@dataclass(frozen=True)
class Action:
    """An action with members of the page, and what the site must be told; None: only that it was ordered."""

    path: str
    root: str = ""
    members: dict[str, Any] = field(default_factory=dict)
    told: tuple[str, dict[str, Any] | None] = ("", None)


def recovery(**changed: Any) -> dict[str, Any]:
    """What a failover is told when nothing is said, with changes."""
    return {
        "checkpoint_id": None,
        "commit_policy": CommitPolicy.Rollback,
        "wait_seconds": None,
        "shutdown_policy": ShutdownPolicy.None_,
        "reverse_protection": False,
        "vm_ids": None,
        **changed,
    }


def moving(**changed: Any) -> dict[str, Any]:
    """What a move is told when nothing is said, with changes."""
    return {
        "commit_policy": None,
        "wait_seconds": None,
        "force_shutdown": None,
        "reverse_protection": True,
        "keep_source_vms": False,
        "continue_on_script_failure": False,
        **changed,
    }


STOPPED = {"success": True, "summary": None, "test_task": None}

ACTIONS = (
    Action("Checkpoints", "CheckpointsDataApi", {"CheckpointName": "before"}, ("InsertTaggedCP", {"name": "before"})),
    Action("FailoverTest", told=("FailOverTest", {"checkpoint_id": None, "vm_ids": None})),
    Action(
        "FailoverTest",
        "FailOverTestStartDataApi",
        {"CheckpointIdentifier": "9", "VmIdentifiers": ["vm-1"]},
        ("FailOverTest", {"checkpoint_id": "9", "vm_ids": ["vm-1"]}),
    ),
    Action("FailoverTestStop", told=("StopFailOverTest", STOPPED)),
    Action(
        "FailoverTestStop",
        "StopFailoverTestDataApi",
        {"FailoverTestSuccess": False, "FailoverTestSummary": "no good"},
        ("StopFailOverTest", {**STOPPED, "success": False, "summary": "no good"}),
    ),
    Action("Failover", told=("FailOver", recovery())),
    Action(
        "Failover",
        "FailoverDataApi",
        {
            "CheckpointIdentifier": "8",
            "CommitPolicy": CommitPolicy.None_,
            "TimeToWaitBeforeShutdownInSec": 3600,
            "ShutdownPolicy": ShutdownPolicy.ForceShutdown,
            "IsReverseProtection": True,
            "VmIdentifiers": ["vm-2"],
        },
        (
            "FailOver",
            recovery(
                checkpoint_id="8",
                commit_policy=CommitPolicy.None_,
                wait_seconds=3600,
                shutdown_policy=ShutdownPolicy.ForceShutdown,
                reverse_protection=True,
                vm_ids=["vm-2"],
            ),
        ),
    ),
    Action("FailoverRollback", told=("FailoverRollback", {})),
    Action(
        "FailoverCommit",
        "FailoverCommitDataApi",
        {"IsReverseProtection": True},
        ("FailoverCommit", {"reverse_protection": True}),
    ),
    Action("move", told=("Move", moving())),
    Action(
        "move",
        "MoveVpgDataApi",
        {
            "CommitPolicy": CommitPolicy.Commit,
            "CommitPolicyTimeout": 0,
            "ForceShutdown": True,
            "ReverseProtection": False,
            "KeepSourceVms": True,
            "ContinueOnPreScriptFailure": True,
        },
        (
            "Move",
            moving(
                commit_policy=CommitPolicy.Commit,
                wait_seconds=0,
                force_shutdown=True,
                reverse_protection=False,
                keep_source_vms=True,
                continue_on_script_failure=True,
            ),
        ),
    ),
    Action("moveRollback", told=("MoveRollback", {})),
    Action(
        "moveCommit",
        "MoveCommitVpgDataApi",
        {"ReverseProtection": True, "KeepSourceVms": False},
        ("MoveCommit", {"reverse_protection": True, "keep_source_vms": False}),
    ),
    Action("CloneStart", told=("Clone", {"checkpoint_id": None, "datastore_id": None, "vm_ids": None})),
    Action("CloneAbort", told=("AbortClone", {})),
    Action("pause"),
    Action("resume"),
    Action("forcesync"),
)

READS: tuple[tuple[str, dict[str, str], list[str]], ...] = (
    ("/v1/localsite", {}, ["SiteIdentifier", "SiteName", "SiteType", "Version", "IpAddress", "Link"]),
    (
        "/v1/vpgs",
        {"name": PAYROLL},
        ["VpgIdentifier", "VpgName", "Status", "SubStatus", "ActualRPO", "IOPs", "Entities"],
    ),
    ("/v1/vpgs", {"status": "MeetingSLA", "priority": "1", "unknown": "x"}, ["VpgIdentifier"]),
    ("/v1/vms", {"vpgName": PAYROLL, "vmName": "db"}, ["VmIdentifier", "VmName", "VpgIdentifier", "JournalHardLimit"]),
    (f"/v1/vpgs/{VPG}/checkpoints", {"startDate": "2026-11", "endDate": "2027-01-01T00:00Z"}, ["CheckpointIdentifier"]),
    (f"/v1/vpgs/{VPG}/checkpoints/stats", {}, ["Earliest", "Latest"]),
    ("/v1/peersites", {"pairingStatus": "Paired"}, ["SiteIdentifier", "PeerSiteName", "PairingStatus", "HostName"]),
    ("/v1/virtualizationsites", {}, ["SiteIdentifier", "VirtualizationSiteName"]),
    (f"/v1/virtualizationsites/{NORTH}/vms", {}, ["VmIdentifier", "VmName"]),
    (f"/v1/virtualizationsites/{SOUTH}/hosts", {}, ["HostIdentifier", "VirtualizationHostName"]),
    (f"/v1/virtualizationsites/{SOUTH}/datastores", {}, ["DatastoreIdentifier", "DatastoreName"]),
    (f"/v1/virtualizationsites/{SOUTH}/networks", {}, ["NetworkIdentifier", "VirtualizationNetworkName"]),
    (f"/v1/virtualizationsites/{SOUTH}/folders", {}, ["FolderIdentifier", "FolderName"]),
    (
        "/v1/alerts",
        {"level": "error", "isDismissed": "False"},
        ["Link", "Level", "Entity", "HelpIdentifier", "TurnedOn"],
    ),
    ("/v1/events", {"startDate": "2026-11-25"}, ["EventIdentifier", "OccurredOn", "EventType", "UserName"]),
    ("/v1/tasks", {"status": "InProgress"}, ["TaskIdentifier", "Type", "Status", "Started", "Completed", "Link"]),
    ("/v1/volumes", {"vpgIdentifier": VPG}, ["VolumeIdentifier", "VolumeType", "Size"]),
    ("/v1/vras", {}, ["VraIdentifier", "VraName"]),
    ("/v1/reports/recovery", {"pageNumber": "1", "pageSize": "10"}, ["General"]),
    ("/v1/serverDateTime", {}, ["ServerDateTimeUtc"]),
)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A site as it is made."""
    with running_api(tmp_path_factory.mktemp("plain")) as found:
        yield found


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A site that was told to answer one account with bare texts."""
    with running_api(tmp_path_factory.mktemp("told"), ApiSettings(account_dialects={"admin": "string"})) as found:
        yield found


@dataclass
class Client:
    """A client at work."""

    dialect: Dialect
    api: Running
    headers: dict[str, str]

    def call(self, method: str, path: str, body: bytes | None = None, **query: str) -> Any:
        """One call, which must be answered within what the most impatient client waits."""
        url = str(self.api.http.base_url).rstrip("/") + self.dialect.path(path)
        headers = {**self.dialect.headers, **self.headers}
        began = time.monotonic()
        reply = self.api.http.request(method, url, params=query, content=body, headers=headers)
        assert time.monotonic() - began < ANSWER_SECONDS_MAX
        return reply

    def wait(self, task_id: str) -> None:
        """Poll the task, without a pause: State 1 with a progress from its first GET, then 6 and 100 together."""
        assert TASK_ID.fullmatch(task_id)
        seen = []
        for form in (task_id, task_id.replace(".", ":")):
            task = self.call("GET", f"/v1/tasks/{form}")
            assert task.status_code == 200
            if self.dialect.xml:
                seen.append(re.search(r"<State>(\w+)</State>", task.text)[1])  # type: ignore[index]  # none: a failure, too
            else:
                seen.append(task.json()["Status"]["State"])
        assert seen == (["InProgress", "Completed"] if self.dialect.xml else [1, 6])


@pytest.fixture
def client(dialect: Dialect, plain: Running, told: Running) -> Client:
    """The client, signed in at a site that suits it; tasks end well at the second look."""
    api = told if dialect.name in NEEDS_TEXT else plain
    api.site.ending = TaskState.Completed
    api.site.known_tasks.clear()
    headers = dialect.sign_in(api)
    api.site.calls.clear()
    return Client(dialect, api, headers)


each = pytest.mark.parametrize("dialect", DIALECTS, ids=[dialect.name for dialect in DIALECTS])


@each
def test_every_action_is_understood_and_its_task_is_followed(client: Client) -> None:
    """In the order of the table; what is not offered yet says so."""
    for action in ACTIONS:
        client.api.site.calls.clear()
        body = client.dialect.body(action.root or "Nothing", action.members)
        reply = client.call("POST", f"/v1/vpgs/{VPG}/{action.path}", body)
        if action.path in NOT_YET:
            assert reply.status_code == 501
            continue
        task_id = client.dialect.task_of(reply)
        assert "Message" not in reply.text
        ((kind, arguments),) = client.api.site.calls
        if action.told[1] is not None:
            assert (kind, arguments) == action.told, action.path
        client.wait(task_id)


@each
def test_what_clients_read_is_there(client: Client) -> None:
    """The members that they need, in their notation; keys of the query in their spelling."""
    client.call("POST", f"/v1/vpgs/{VPG}/FailoverTest")
    for path, query, members in READS:
        reply = client.call("GET", path, **{client.dialect.member(key): value for key, value in query.items()})
        assert reply.status_code == 200, (path, reply.text)
        if client.dialect.xml:
            assert [member for member in members if f"<{member}" not in reply.text] == [], path
        else:
            found = reply.json()
            one = found[0] if isinstance(found, list) else found
            assert [member for member in members if member not in one] == [], path


@each
def test_a_vpg_is_deleted_with_a_body(client: Client) -> None:
    """DELETE with `force` and `keepRecoveryVolumes`, however they are written."""
    members = {"Force": True, "KeepRecoveryVolumes": False}
    task_id = client.dialect.task_of(
        client.call("DELETE", f"/v1/vpgs/{VPG}", client.dialect.body("VpgDeleteDataApi", members))
    )
    assert client.api.site.calls == [("RemoveProtectionGroup", {"force": True, "keep": False})]
    client.wait(task_id)


FILLS = [dialect for dialect in DIALECTS if not dialect.xml]
"""No client was seen that fills settings in XML."""


@pytest.mark.parametrize("dialect", FILLS, ids=[dialect.name for dialect in FILLS])
def test_settings_are_got_filled_in_place_and_committed(client: Client) -> None:
    """Identifiers are bare texts in every dialect; the VPG that is ordered is what was filled in."""
    made = client.call("POST", "/v1/vpgSettings", b"{}").json()
    path = f"/v1/vpgSettings/{made}"
    whole = client.call("GET", path).json()
    whole["Basic"] |= {"Name": "new", "RecoverySiteIdentifier": SOUTH, "RpoInSeconds": "600", "Priority": "High"}
    whole["Basic"]["UseWanCompression"] = "True"
    whole["Vms"].append({"VmIdentifier": "vm-1"})
    assert client.call("PUT", path, json.dumps(whole).encode()).status_code == 200
    task_id = client.call("POST", f"{path}/commit", client.dialect.empty).json()
    ((kind, arguments),) = client.api.site.calls
    order = arguments["order"]
    assert (kind, order.name, order.recovery_site_id, order.vm_ids) == (
        "CreateProtectionGroup",
        "new",
        SOUTH,
        ("vm-1",),
    )
    assert (order.settings.rpo_seconds, order.settings.priority.name) == (600, "High")
    client.wait(task_id)


@each
def test_a_session_ends_when_the_client_says_so(client: Client) -> None:
    """And an error is told in a Message that people can read."""
    assert client.call("DELETE", "/v1/session").status_code == 200
    if "Authorization" in client.headers:
        return  # a token ends by itself
    refused = client.call("GET", "/v1/vpgs")
    assert (refused.status_code, "Message" in refused.text) == (401, True)
