"""What is read over HTTPS: the members that real clients need, filters, both notations."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest

from tests.service.made_up_site import NORTH, PAYROLL, SOUTH, VPG, Running

NAMESPACE = "{http://schemas.zerto.com/zvm/api}"

VPG_MEMBERS = [
    "VpgIdentifier",
    "VpgName",
    "Status",
    "SubStatus",
    "Priority",
    "ActualRPO",
    "ConfiguredRpoSeconds",
    "IOPs",
    "ThroughputInMB",
    "UsedStorageInMB",
    "ProvisionedStorageInMB",
    "VmsCount",
    "SourceSite",
    "TargetSite",
    "ProtectedSite",
    "RecoverySite",
    "OrganizationName",
    "LastTest",
    "ProgressPercentage",
    "ActiveProcessesApi",
    "HistoryStatusApi",
    "FailSafeHistory",
    "Entities",
    "ServiceProfileName",
    "Zorg",
]
VM_MEMBERS = [
    "VmIdentifier",
    "VmName",
    "VpgIdentifier",
    "VpgName",
    "OrganizationName",
    "Status",
    "SubStatus",
    "Priority",
    "Entities",
    "IOPs",
    "JournalHardLimit",
    "JournalWarningThreshold",
    "JournalUsedStorageMb",
    "OutgoingBandWidthInMbps",
    "RecoveryHostIdentifier",
    "Volumes",
    "IsVmExists",
]
SITE_MEMBERS = [
    "SiteIdentifier",
    "SiteName",
    "SiteType",
    "Version",
    "IpAddress",
    "Location",
    "Link",
    "UtcOffsetInMinutes",
    "IsReplicationToSelfEnabled",
]
PEER_MEMBERS = [
    "SiteIdentifier",
    "PeerSiteName",
    "HostName",
    "Port",
    "PairingStatus",
    "Version",
    "Location",
    "SiteType",
]


@pytest.fixture(scope="module", autouse=True)
def classic(running: Running) -> None:
    """Signed in the classic way."""
    running.http.headers.update(running.sign_in())


def get(api: Running, path: str, **query: str) -> Any:
    """The JSON of a GET that must succeed."""
    reply = api.http.get(path, params=query)
    assert reply.status_code == 200, reply.text
    assert "Message" not in reply.text  # one client takes any such text for a failure
    return reply.json()


@pytest.mark.parametrize(
    ("path", "members"),
    [
        ("/v1/vpgs", VPG_MEMBERS),
        ("/v1/vms", VM_MEMBERS),
        ("/v1/peersites", PEER_MEMBERS),
        ("/v1/virtualizationsites", ["SiteIdentifier", "VirtualizationSiteName"]),
        (f"/v1/virtualizationsites/{NORTH}/vms", ["VmIdentifier", "VmName"]),
        (f"/v1/virtualizationsites/{NORTH}/hosts", ["HostIdentifier", "VirtualizationHostName"]),
        (f"/v1/virtualizationsites/{NORTH}/datastores", ["DatastoreIdentifier", "DatastoreName"]),
        (f"/v1/virtualizationsites/{NORTH}/networks", ["NetworkIdentifier", "VirtualizationNetworkName"]),
        (f"/v1/virtualizationsites/{NORTH}/folders", ["FolderIdentifier", "FolderName"]),
        (f"/v1/virtualizationsites/{NORTH}/resourcepools", ["ResourcePoolIdentifier", "ResourcepoolName"]),
        (f"/v1/vpgs/{VPG}/checkpoints", ["CheckpointIdentifier", "TimeStamp", "Tag"]),
    ],
)
def test_a_list_has_what_clients_read_in_both_notations(api: Running, path: str, members: Collection[str]) -> None:
    """Every member is there, null or not; XML has the same ones, by alphabet, in the namespace."""
    listed = get(api, path)
    assert listed
    assert all(set(members) <= one.keys() for one in listed)
    root = fromstring(api.http.get(path, headers={"Accept": "application/xml"}).content)
    assert root.tag.startswith(f"{NAMESPACE}ArrayOf")
    assert len(root) == len(listed)
    for one, element in zip(listed, root, strict=True):
        assert [child.tag for child in element] == [NAMESPACE + name for name in sorted(one)]
        assert root.tag == element.tag.replace(NAMESPACE, f"{NAMESPACE}ArrayOf")


def test_the_local_site(api: Running) -> None:
    """Its version has exactly three parts; its link names it."""
    site = get(api, "/v1/LocalSite/")
    assert set(SITE_MEMBERS) <= set(site)
    assert re.fullmatch(r"\d+\.\d+\.\d+", site["Version"])
    assert site["Link"]["identifier"] == site["SiteIdentifier"] == NORTH


def test_numbers_in_json_and_names_in_xml(api: Running) -> None:
    """For enumerations; texts are escaped; links are in lower case."""
    vpg = get(api, f"/v1/vpgs/{VPG.upper()}")
    assert (vpg["Status"], vpg["SubStatus"], vpg["Priority"]) == (1, 0, 1)
    assert vpg["ProtectedSite"].keys() == {"href", "identifier", "rel", "type"}
    root = fromstring(api.http.get(f"/v1/vpgs/{VPG}", headers={"Accept": "text/xml"}).content)
    texts = {child.tag.removeprefix(NAMESPACE): child.text for child in root}
    assert (texts["Status"], texts["SubStatus"], texts["Priority"]) == ("MeetingSLA", "None", "Medium")
    assert texts["VpgName"] == PAYROLL


def test_nothing_running_is_null(api: Running) -> None:
    """Clients look for a running test there."""
    vpg = get(api, f"/v1/vpgs/{VPG}")
    assert vpg["ActiveProcessesApi"]["RunningFailOverTestApi"] is None
    assert vpg["LastTest"] is None


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"name": PAYROLL}, 1),
        ({"NAME": PAYROLL.upper()}, 0),
        ({"status": "MeetingSLA"}, 1),
        ({"status": "1"}, 1),
        ({"Status": "failingover"}, 0),
        ({"subStatus": "None"}, 1),
        ({"priority": "Medium", "unknownKey": "x"}, 1),
        ({"protectedSiteIdentifier": NORTH.upper()}, 1),
        ({"recoverySiteIdentifier": NORTH}, 0),
        ({"targetSite": "south"}, 1),
        ({"organizationName": "acme"}, 0),
        ({"backupEnabled": "True"}, 0),
        ({"name": ""}, 1),
    ],
)
def test_vpgs_are_filtered(api: Running, query: dict[str, str], found: int) -> None:
    """Keys in any case, enumerations by name or number; a name is exact; an empty value is none."""
    assert len(get(api, "/v1/vpgs", **query)) == found


def test_a_filter_that_means_nothing_is_refused(api: Running) -> None:
    """Rather than listing what was not asked for."""
    reply = api.http.get("/v1/vpgs?status=good")
    assert reply.status_code == 400
    assert "MeetingSLA (1)" in reply.json()["Message"]


def test_vms_are_filtered(api: Running) -> None:
    """By VPG and by name; one VM by its identifier."""
    assert len(get(api, "/v1/vms", vpgName=PAYROLL)) == 4
    assert len(get(api, "/v1/vms", vmname="twin")) == 2
    assert get(api, "/v1/vms", VMIDENTIFIER="vm-1")[0]["VmName"] == "db"
    assert get(api, "/v1/vms/VM-2")["VmName"] == "web"
    assert api.http.get("/v1/vms/vm-9").status_code == 404
    assert api.http.get(f"/v1/vms/vm-1?vpgIdentifier={SOUTH}").status_code == 404


def test_checkpoints_by_time(api: Running) -> None:
    """Oldest first; both ends count, also given as a checkpoint's own TimeStamp; limit gives the newest."""
    path = f"/v1/vpgs/{VPG}/checkpoints"
    stamps = [one["TimeStamp"] for one in get(api, path)]
    assert stamps == sorted(stamps)
    assert all(re.fullmatch(r"[\d-]{10}T[\d:]{8}\.\d{3}Z", stamp) for stamp in stamps)
    assert [c["Tag"] for c in get(api, path, startDate=stamps[1], endDate=stamps[1])] == ["t"]
    assert [c["CheckpointIdentifier"] for c in get(api, path, limit="2")] == ["8", "9"]
    assert api.http.get(path, params={"startDate": "soon"}).status_code == 400
    assert api.http.get(path, params={"limit": "0"}).status_code == 400
    stats = get(api, f"{path}/STATS")
    assert (stats["Earliest"]["CheckpointIdentifier"], stats["Latest"]["CheckpointIdentifier"]) == ("7", "9")


def test_task_filters_reach_the_site(api: Running) -> None:
    """State by name or number, times as spans."""
    api.site.calls.clear()
    get(api, "/v1/tasks", STATUS="inprogress", startedAfterDate="2026-11-25", type="failovertest")
    ((_, which),) = api.site.calls
    assert (which.state, which.type) == (1, "FailOverTest")
    assert which.started_after_ns is not None
    assert api.http.get("/v1/tasks?status=2").status_code == 200
    assert api.http.get("/v1/tasks?status=0").status_code == 400
    assert api.http.get("/v1/tasks/nothing").status_code == 404
    assert "InsertTaggedCP" in get(api, "/v1/tasks/types")


def test_word_lists_are_in_the_order_of_their_numbers(api: Running) -> None:
    """Clients use them by index; XML has an array of strings."""
    assert get(api, "/v1/vpgs/statuses")[3:5] == ["HistoryNotMeetingSLA", "RpoNotMeetingSLA"]
    assert get(api, "/v1/vpgs/subStatuses")[23] == "BitmapSync"
    assert get(api, "/v1/vpgs/failovercommitpolicies") == ["Rollback", "Commit", "None"]
    assert get(api, "/v1/peersites/pairingstatuses") == ["Paired", "Pairing", "Unpaired"]
    xml = api.http.get("/v1/vpgs/priorities", headers={"Accept": "application/xml"}).text
    assert xml.endswith("<string>Low</string><string>Medium</string><string>High</string></ArrayOfstring>")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/nothing", 404), ("GET", "/", 404), ("PATCH", "/v1/vpgs", 405), ("GET", "/v1/vpgs/x/move", 405)],
)
def test_what_is_not_there_says_so(api: Running, method: str, path: str, status: int) -> None:
    """As any other error, in either notation."""
    reply = api.http.request(method, path)
    assert reply.status_code == status
    assert reply.json().keys() == {"Message"}
    assert "<Message>" in api.http.request(method, path, headers={"Accept": "text/xml"}).text


def test_doubled_slashes_and_content_type_on_get_are_nothing(api: Running) -> None:
    """Clients send both."""
    url = str(api.http.base_url).rstrip("/")
    for path in ("//v1//localsite", "/v1/localsite//", "/V1/LOCALSITE"):
        assert api.http.get(url + path, headers={"Content-Type": "Content-Type"}).status_code == 200
    old = api.http.get("/v1/localsite", headers={"Content-Type": "application/xml", "Accept": ""})
    assert old.text.startswith("<LocalSiteApi ")


def test_sites_that_are_not_there(api: Running) -> None:
    """404 for each list."""
    for path in (f"/v1/virtualizationsites/{VPG}", f"/v1/virtualizationsites/{VPG}/vms", f"/v1/peersites/{NORTH}"):
        assert api.http.get(path).status_code == 404
    assert get(api, f"/v1/peersites/{SOUTH}")["PeerSiteName"] == "south"
    assert get(api, f"/v1/virtualizationsites/{SOUTH.upper()}")["VirtualizationSiteName"] == "south"
