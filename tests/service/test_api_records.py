"""Alerts, events, reports, catalogues and what is not offered, read over HTTPS in both notations."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest

from farshore.api.offers import NOT_OFFERED
from farshore.api.routes.empty_lists import EMPTY, EMPTY_AT_A_SITE
from tests.service.made_up_records import OF_SITE, OF_VPG
from tests.service.made_up_site import NORTH, PAYROLL, SOUTH, VPG, Running

NAMESPACE = "{http://schemas.zerto.com/zvm/api}"
XML = {"Accept": "application/xml"}
DOCS = Path(__file__).parent.parent.parent / "docs"


@pytest.fixture(scope="module", autouse=True)
def classic(running: Running) -> None:
    """Signed in the classic way."""
    running.http.headers.update(running.sign_in())


def get(api: Running, path: str, **query: str) -> Any:
    """The JSON of a GET that must succeed."""
    reply = api.http.get(path, params=query)
    assert reply.status_code == 200, reply.text
    return reply.json()


def order(api: Running, action: str) -> str:
    """The task of an action."""
    reply = api.http.post(f"/v1/vpgs/{VPG}/{action}")
    assert reply.status_code == 200, reply.text
    return str(reply.json()["TaskIdentifier"])


ALERT = ["Link", "Level", "Entity", "HelpIdentifier", "Description", "TurnedOn", "IsDismissed", "AffectedVpgs", "Site"]
EVENT = ["EventIdentifier", "OccurredOn", "Description", "EventType", "EntityType", "SiteName", "UserName"]
EVENT += ["EventCompletedSuccessfully", "RelatedEntities", "EventCategory", "Link"]
VRA = ["VraIdentifier", "VraIdentifierStr", "VraName", "Status", "HostIdentifier", "VraVersion", "Link"]


@pytest.mark.parametrize(
    ("path", "members"),
    [
        ("/v1/alerts", ALERT),
        ("/v1/events", EVENT),
        ("/v1/vras", VRA),
        ("/v1/datastores", ["DatastoreIdentifier", "DatastoreName"]),
        ("/v1/statistics/vms", ["VmIdentifier", "VpgIdentifier", "SampleTime", "WriteCounterInMBs"]),
        ("/v1/volumes", ["VolumeIdentifier", "VolumeType", "Size", "Datastore", "OwningVm", "ProtectedVm", "Vpg"]),
        ("/v1/reports/resources", ["SampleTime", "Performance", "Vpg", "ProtectedSite", "RecoverySite"]),
        ("/v1/vms/vm-1/pointsInTime", ["Checkpoint", "RetentionSet", "CanMount"]),
    ],
)
def test_a_list_has_its_members_in_both_notations(api: Running, path: str, members: Collection[str]) -> None:
    """XML has the same members as JSON, by alphabet, in the namespace."""
    listed = get(api, path)
    assert listed
    assert all(set(members) <= one.keys() for one in listed)
    root = fromstring(api.http.get(path, headers=XML).content)
    assert len(root) == len(listed)
    for one, element in zip(listed, root, strict=True):
        assert [child.tag for child in element] == [NAMESPACE + name for name in sorted(one)]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, [OF_VPG, OF_SITE]),
        ({"LEVEL": "error"}, [OF_SITE]),
        ({"vpgIdentifier": VPG.upper()}, [OF_VPG]),
        ({"entity": "zvm"}, [OF_SITE]),
        ({"helpIdentifier": "FSH0006"}, [OF_VPG]),
        ({"isDismissed": "True"}, []),
        ({"isdismissed": "false"}, [OF_VPG, OF_SITE]),
        ({"endDate": "2020"}, []),
        ({"startDate": "2020-01", "siteIdentifier": NORTH}, [OF_VPG, OF_SITE]),
        ({"siteIdentifier": SOUTH}, []),
    ],
)
def test_alerts_are_filtered(api: Running, query: dict[str, str], found: list[str]) -> None:
    """Keys and values in any case, dates in part."""
    assert [alert["Link"]["identifier"] for alert in get(api, "/v1/alerts", **query)] == found


def test_an_alert_is_dismissed_and_taken_up_again(api: Running) -> None:
    """It stands, and says so; in XML too; the site is told who did it."""
    assert api.http.post(f"/v1/alerts/{OF_VPG.upper()}/DISMISS").json() == OF_VPG
    assert get(api, f"/v1/alerts/{OF_VPG}")["IsDismissed"] is True
    assert api.site.calls == [("dismiss_alert", (OF_VPG, True, "admin"))]
    xml = api.http.post(f"/v1/alerts/{OF_VPG}/undismiss", headers=XML)
    assert (xml.status_code, xml.text.endswith(f">{OF_VPG}</string>")) == (200, True)
    assert get(api, f"/v1/alerts/{OF_VPG}")["IsDismissed"] is False
    assert api.http.post("/v1/alerts/nothing/dismiss").status_code == 404
    assert api.http.get("/v1/alerts?isDismissed=maybe").status_code == 400


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["3", "2", "1"]),
        ({"eventType": "failovertest"}, ["3"]),
        ({"eventType": "6"}, ["2"]),
        ({"eventType": "Unknown"}, ["1"]),
        ({"entityType": "VPG"}, ["3", "2"]),
        ({"entityType": "3"}, ["1"]),
        ({"entityType": "VRA"}, []),
        ({"userName": "System"}, ["1"]),
        ({"category": "Alerts"}, []),
        ({"eventCategory": "events", "siteName": "north"}, ["3", "2", "1"]),
        ({"siteName": "south"}, []),
    ],
)
def test_events_are_filtered(api: Running, query: dict[str, str], found: list[str]) -> None:
    """By type and entity (number or name), by who, by site."""
    assert [event["EventIdentifier"] for event in get(api, "/v1/events", **query)] == found


def test_event_filters_reach_the_site(api: Running) -> None:
    """A VPG in either spelling, and a span of time."""
    get(api, "/v1/events", VPG=VPG.upper(), startDate="2026-11-25", endDate="2026-11-26T00:00:00Z")
    ((_, which),) = api.site.calls
    assert which.vpg_id == VPG
    assert 0 < which.from_ns < which.to_ns
    assert api.http.get("/v1/events?eventType=Nothing").status_code == 400
    assert api.http.get("/v1/events/99").status_code == 404
    assert api.http.get("/v1/events/x").status_code == 404


def test_an_event_says_how_it_ended(api: Running) -> None:
    """Numbers in JSON, names in XML; what the original has no number for is told in our own word beside it."""
    assert [get(api, f"/v1/events/{n}")["EventCompletedSuccessfully"] for n in (3, 2, 1)] == [True, False, True]
    clock = get(api, "/v1/events/1")
    assert (clock["EventType"], clock["Kind"], clock["UserName"], clock["EntityType"]) == (0, "clock", "System", 3)
    texts = {
        child.tag.removeprefix(NAMESPACE): child.text
        for child in fromstring(api.http.get("/v1/events/3", headers=XML).content)
    }
    assert (texts["EventType"], texts["EntityType"]) == ("FailOverTest", "VPG")


def test_the_lists_of_words(api: Running) -> None:
    """By number, with no gaps."""
    types = get(api, "/v1/events/types")
    assert types[:5] == ["Unknown", "CreateProtectionGroup", "RemoveProtectionGroup", "FailOver", "FailOverTest"]
    assert get(api, "/v1/events/entities") == ["VPG", "VRA", "Unknown", "Site"]
    assert get(api, "/v1/events/categories") == ["All", "Events", "Alerts"]
    assert get(api, "/v1/alerts/levels") == ["Warning", "Error"]
    assert "Vpg" in get(api, "/v1/alerts/entities")
    assert "FSH0004" in get(api, "/v1/alerts/helpidentifiers")
    assert get(api, "/v1/vras/statuses")[0] == "Installed"


def test_reports_are_listed_by_type_and_page(api: Running) -> None:
    """A type with or without its blank; a running one has no EndTime, a client sorts by it."""
    order(api, "FailoverTest")
    found = get(api, "/v1/reports/recovery", recoveryType="Failover Test", vpgName="a,b", state="success", pageSize="2")
    assert all(report["General"]["RecoveryType"] == "Failover Test" for report in found)
    assert found
    assert "EndTime" not in found[0]["General"]
    which = api.site.calls[-1][1]
    assert (which.types, set(which.vpg_names), which.states) == (("FailOverTest",), {"a,b", "a", "b"}, (6,))
    assert get(api, "/v1/reports/recovery", recoveryType="failovertest", pageNumber="40", pageSize="1") == []
    assert (api.site.calls[-1][1].skip, api.site.calls[-1][1].limit) == (39, 1)
    for query in ("recoveryType=Flight", "state=good", "pageSize=0", "pageNumber=-1", "startTime=soon"):
        assert api.http.get(f"/v1/reports/recovery?{query}").status_code == 400
    xml = api.http.get("/v1/reports/recovery", headers=XML).text
    assert xml.startswith("<ArrayOfRecoveryReportApi ")


def test_the_resources_report_is_of_now(api: Running) -> None:
    """One line a VM; a span that is over has no samples."""
    assert len(get(api, "/v1/reports/resources", vpgName=PAYROLL, startTime="2020")) == 4
    assert get(api, "/v1/reports/resources", endTime="2020") == []
    assert get(api, "/v1/reports/resources", vmName="nobody") == []
    assert get(api, "/v1/reports/resources", zorgName="x") == []


def test_volumes_by_vm_and_site(api: Running) -> None:
    """Protected disks where the VMs run; filters in any case."""
    volumes = get(api, "/v1/volumes")
    assert {volume["VolumeType"] for volume in volumes} == {"Protected"}
    only = get(api, "/v1/volumes", protectedVmIdentifier="VM-1", volumetype="protected")
    assert [volume["ProtectedVm"]["Name"] for volume in only] == ["db"]
    assert get(api, "/v1/volumes", vpgIdentifier=SOUTH) == []


def test_a_vra_is_named_by_a_number_over_two_to_the_53(api: Running) -> None:
    """And by the same as a text, since JavaScript cannot hold it."""
    (vra,) = get(api, "/v1/vras")
    assert vra["VraIdentifier"] > 1 << 53
    assert vra["VraIdentifierStr"] == str(vra["VraIdentifier"])
    assert get(api, f"/v1/vras/{vra['VraIdentifierStr']}") == vra
    assert api.http.get("/v1/vras/1").status_code == 404


def test_hosts_and_datastores_by_themselves(api: Running) -> None:
    """And 404 for what is not there."""
    assert get(api, f"/v1/virtualizationsites/{NORTH}/hosts/R-1")["VirtualizationHostName"] == "one"
    assert get(api, "/v1/datastores/R-1")["DatastoreName"] == "one"
    assert api.http.get(f"/v1/virtualizationsites/{NORTH}/hosts/x").status_code == 404
    assert api.http.get("/v1/datastores/x").status_code == 404


def test_the_points_in_time_of_a_vm_are_its_vpgs(api: Running) -> None:
    """With their ends."""
    points = get(api, "/v1/vms/VM-1/pointsintime")
    assert [point["Checkpoint"]["CheckpointIdentifier"] for point in points] == ["7", "8", "9"]
    stats = get(api, "/v1/vms/vm-1/pointsInTime/stats", vpgIdentifier=VPG)
    assert stats["Latest"]["Checkpoint"]["CheckpointIdentifier"] == "9"
    assert api.http.get("/v1/vms/vm-9/pointsInTime").status_code == 404


def test_what_a_site_has_none_of_is_an_empty_list(api: Running) -> None:
    """In both notations; a licence is answered as a site without one does, with 204."""
    for path in [f"/v1{path}" for path in EMPTY] + [
        f"/v1/virtualizationsites/{SOUTH}/{path}" for path in EMPTY_AT_A_SITE
    ]:
        assert get(api, path) == []
        assert len(fromstring(api.http.get(path, headers=XML).content)) == 0
    assert api.http.get(f"/v1/virtualizationsites/{VPG}/devices").status_code == 404
    assert api.http.get("/v1/serviceprofiles/x").status_code == 404
    assert api.http.get("/v1/zorgs/x").status_code == 404
    assert (api.http.get("/v1/license").status_code, api.http.get("/v1/license").content) == (204, b"")
    assert get(api, "/v1/localsite/settings/loginBanner")["IsLoginBannerEnabled"] is False


ROUTES = [route for one in NOT_OFFERED for route in one.routes()]


def test_what_is_not_offered_says_so_with_501(api: Running) -> None:
    """Every method and path of the table, in any case, in both notations; nothing is ordered."""
    for method, path in ROUTES:
        there = path.replace("{rest:path}", "Some/Thing").replace("{", "").replace("}", "").upper()
        reply = api.http.request(method, there)
        assert (reply.status_code, "does not offer" in reply.json()["Message"]) == (501, True), (method, there)
        assert "<Message>" in api.http.request(method, there, headers=XML).text
    assert api.site.calls == []


@pytest.mark.docs
def test_the_page_lists_all_that_is_not_offered() -> None:
    """Each row of the table stands in docs/api.md with its paths."""
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    for one in NOT_OFFERED:
        (row,) = [line for line in page.splitlines() if line.startswith(f"| {one.what} |")]
        for path, _ in one.paths:
            assert f"`{path.replace('{rest:path}', '...')}`" in row, path


def test_the_root_lists_what_is_there(api: Running) -> None:
    """Every resource that it names answers, so that a client that trusts it finds it."""
    links = api.http.get("/v1", headers={"x-zerto-session": ""}).json()
    wanted = {"session", "localsite", "peersites", "alerts", "events", "tasks", "virtualizationsites", "vms", "vpgs"}
    assert wanted | {"vras", "zorgs", "serviceprofiles"} <= {one["rel"] for one in links}
    for one in links:
        if one["rel"] not in {"session", "reports", "statistics"}:
            assert api.http.get(one["href"]).status_code in {200, 204}, one
