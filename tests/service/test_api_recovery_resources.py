"""What is read of a recovery: the VPG in Before Commit and on its way home, reports; protecting back by settings."""

from __future__ import annotations

import json
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest

from farshore.model.task import TaskState
from farshore.model.views import SyncView, WayHomeView
from farshore.model.vpg_states import VpgStatus, VpgSubStatus
from tests.service.made_up_site import NORTH, PAYROLL, SOUTH, VPG, Running, before_commit
from tests.service.recovery_requests import (
    API,
)


@pytest.fixture(scope="module", autouse=True)
def classic(running: Running) -> None:
    """Signed in the classic way."""
    running.http.headers.update(running.sign_in())


def _needs_configuration(api: Running, **way_home: bool) -> None:
    api.site.standing.update(
        protected_site_id=SOUTH,
        protected_site_name="south",
        recovery_site_id=NORTH,
        recovery_site_name="north",
        status=VpgStatus.NotMeetingSLA,
        substatus=VpgSubStatus.NeedsConfiguration,
        way_home=WayHomeView(**{"asked": False, "exact": True, "began": False, **way_home}),
    )


def _settings_of_vpg(api: Running, **basic: Any) -> str:
    settings_id = str(api.http.post("/v1/vpgSettings", json={"VpgIdentifier": VPG}).json())
    if basic:
        known = api.http.get(f"/v1/vpgSettings/{settings_id}").json()
        known["Basic"].update(basic)
        assert api.http.put(f"/v1/vpgSettings/{settings_id}", json=known).status_code == 200
    return f"/v1/vpgSettings/{settings_id}/commit"


def test_f6_a_settings_commit_protects_a_vpg_back_that_needs_configuration(api: Running) -> None:
    """The object is made from the VPG, so nothing need be set; what is set goes along; the task is a bare text."""
    _needs_configuration(api)
    reply = api.http.post(_settings_of_vpg(api))
    assert isinstance(reply.json(), str)
    api.http.post(_settings_of_vpg(api, RpoInSeconds=77))
    orders = [arguments["order"] for kind, arguments in api.site.calls if kind == "UpdateProtectionGroup"]
    assert [(order.vpg_id, order.protected_site_id, order.recovery_site_id) for order in orders] == [
        (VPG, SOUTH, NORTH)
    ] * 2
    assert [order.settings.rpo_seconds for order in orders] == [300, 77]
    assert [order.vm_ids for order in orders] == [("vm-1", "vm-2", "vm-3", "vm-4")] * 2


def test_f6_a_settings_commit_that_is_refused_can_be_mended(api: Running) -> None:
    """The settings object is still there."""
    _needs_configuration(api)
    path = _settings_of_vpg(api)
    api.site.busy = True
    assert api.http.post(path).status_code == 409
    api.site.busy = False
    assert api.http.post(path).status_code == 200


def test_f2_a_vpg_in_before_commit_tells_stage_policy_and_seconds_left(api: Running) -> None:
    """Status and substatus by number, and our own member in the active processes; in XML too."""
    path = f"/v1/vpgs/{VPG}"
    assert api.http.get(path).json()["ActiveProcessesApi"]["RunningRecovery"] is None
    api.site.standing.update(
        status=VpgStatus.FailingOver,
        substatus=VpgSubStatus.FailingOverBeforeCommit,
        recovery=before_commit("failover", reverse=True),
    )
    told = api.http.get(path).json()
    assert (told["Status"], told["SubStatus"]) == (5, 15)
    running = told["ActiveProcessesApi"]["RunningRecovery"]
    assert running["TaskIdentifier"].endswith(SOUTH)
    assert {
        name: running[name] for name in ("Kind", "Stage", "CheckpointIdentifier", "CommitPolicy", "SecondsLeft")
    } == {
        "Kind": "failover",
        "Stage": "before_commit",
        "CheckpointIdentifier": "9",
        "CommitPolicy": 0,
        "SecondsLeft": 90,
    }
    assert running["Vms"][0]["PowerState"] == "running"
    root = fromstring(api.http.get(path, headers={"Accept": "text/xml"}).text)
    found = root.find(f"{API}ActiveProcessesApi/{API}RunningRecovery")
    assert found is not None
    assert [found.findtext(f"{API}{name}") for name in ("CommitPolicy", "SecondsLeft")] == ["Rollback", "90"]
    assert root.findtext(f"{API}SubStatus") == "FailingOverBeforeCommit"


def test_f6_a_vpg_on_its_way_home_tells_its_sync(api: Running) -> None:
    """Percent, and what was read, hashed and sent."""
    _needs_configuration(api, asked=True, began=True)
    api.site.standing.update(
        progress_percentage=40,
        sync=SyncView(
            kind="delta", running=True, done_bytes=40, total_bytes=100, read_bytes=40, hash_bytes=2, sent_bytes=3
        ),
    )
    told = api.http.get("/v1/vpgs").json()[0]
    assert told["ProgressPercentage"] == 40
    assert told["WayHome"] == {"IsAsked": True, "IsExact": True, "HasBegun": True}
    assert told["Sync"] == {
        "Kind": "delta",
        "IsRunning": True,
        "DoneInBytes": 40,
        "TotalInBytes": 100,
        "ReadInBytes": 40,
        "HashesInBytes": 2,
        "SentInBytes": 3,
    }


def test_a_report_tells_each_step_and_leaves_the_end_out_while_it_runs(api: Running) -> None:
    """By either form of the task's identifier; in XML too; an unknown task is 404."""
    task_id = api.http.post(f"/v1/vpgs/{VPG}/Failover").json()["TaskIdentifier"]
    told = api.http.get(f"/v1/reports/Recovery/{task_id.replace('.', ':')}").json()
    general = told["General"]
    assert "EndTime" not in general
    assert (general["VpgName"], general["RecoveryType"], general["InitiatedBy"]) == (PAYROLL, "Failover", "admin")
    assert (general["RpoInSeconds"], general["RtoInSeconds"]) == ("4.000", "2.250")
    steps = told["RecoverySettings"]["Steps"]
    assert [(step["Description"], step["Result"], step["ExecutionTime"]) for step in steps] == [
        ("pin_checkpoint", "Completed", "0.250"),
        ("tell_peer", "Failed", "1.000"),
        ("start_vms", "InProgress", None),
    ]
    api.site.ending = TaskState.Completed
    for _ in range(2):
        api.http.get(f"/v1/tasks/{task_id}")
    ended = api.http.get(f"/v1/reports/recovery/{task_id}").json()
    assert ended["General"]["EndTime"].endswith("Z")
    document = api.http.get(f"/v1/reports/recovery/{task_id}", headers={"Accept": "application/xml"}).text
    assert fromstring(document).tag == f"{API}RecoveryReportApi"
    for unknown in (f"{VPG}.{NORTH}", "that-one"):
        assert api.http.get(f"/v1/reports/recovery/{unknown}").status_code == 404


def test_a_site_tells_what_holds_for_an_order_that_does_not_say_it(api: Running) -> None:
    """Seconds and policy, for a plan that can be shown before anything is ordered."""
    told = api.http.get("/v1/localsite").json()
    assert json.dumps([told["CommitSeconds"], told["ShutdownSeconds"], told["MoveCommitPolicy"]]) == "[3600, 300.0, 2]"
