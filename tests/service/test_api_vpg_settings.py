"""Settings objects over HTTPS, as the real clients fill them."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from farshore.api.settings import ApiSettings
from farshore.model.views import VpgOrder
from tests.service.made_up_site import NORTH, PAYROLL, SOUTH, VPG, Running, running_api

PATH = "/v1/vpgSettings"


@pytest.fixture(scope="module", autouse=True)
def by_token(running: Running) -> None:
    """Signed in by token."""
    running.http.headers.update(running.token())


def the_order(api: Running) -> tuple[str, VpgOrder]:
    """The one order that the site got."""
    ((kind, arguments),) = api.site.calls
    return kind, arguments["order"]


def test_a_vpg_is_made_from_one_whole_object(api: Running) -> None:
    """POST answers a GUID and commit a task, both as bare texts in the classic dialect too."""
    body = {
        "Basic": {"name": "Payroll", "RecoverySiteIdentifier": SOUTH, "RpoInSeconds": "60", "priority": "high"},
        "VMS": [{"vmIdentifier": "vm-1"}, {"VmIdentifier": "vm-2"}, {"VmIdentifier": "vm-1"}],
    }
    classic = api.sign_in()
    made = api.http.post(PATH.lower(), json=body, headers=classic).json()
    assert str(uuid.UUID(made)) == made
    assert api.http.post(f"{PATH}/{made.upper()}/Commit", headers=classic).json().endswith(f".{NORTH}")
    kind, order = the_order(api)
    assert kind == "CreateProtectionGroup"
    assert (order.name, order.protected_site_id, order.recovery_site_id) == ("Payroll", NORTH, SOUTH)
    assert (order.settings.rpo_seconds, order.settings.priority, order.vm_ids) == (60, 2, ("vm-1", "vm-2"))
    assert api.http.get(f"{PATH}/{made}").status_code == 404  # a committed object is gone


def test_a_new_object_comes_whole_and_goes_back_whole(api: Running) -> None:
    """A client posts {}, sets members in place, and puts everything back."""
    made = api.http.post(PATH, json={}).json()
    content = api.http.get(f"{PATH}/{made}").json()
    assert content["Basic"]["ProtectedSiteIdentifier"] == NORTH
    content["Basic"]["Name"] = "Payroll"
    content["Basic"]["RecoverySiteIdentifier"] = SOUTH
    content["Journal"]["Limitation"]["HardLimitInMB"] = 0
    content["Networks"]["Failover"]["Hypervisor"]["DefaultNetworkIdentifier"] = "n"
    content["Networks"]["FailoverTest"]["Hypervisor"]["DefaultNetworkIdentifier"] = "n"
    content["Scripting"]["PreRecovery"]["TimeoutInSeconds"] = 0
    content["Scripting"]["PostRecovery"]["TimeoutInSeconds"] = 0
    content["Vms"].append({"VmIdentifier": "vm-1"})
    put = api.http.put(f"{PATH}/{made}", json=content)
    assert put.status_code == 200
    assert "warning" not in put.headers
    assert put.json()["BootGroups"] == {"BootGroups": []}
    assert api.http.post(f"{PATH}/{made}/commit", json={}).status_code == 200
    assert the_order(api)[1].vm_ids == ("vm-1",)


def test_an_object_goes_through_xml_unchanged(api: Running) -> None:
    """GET in XML, PUT that text: the same object."""
    made = api.http.post(PATH, json={"Basic": {"Name": "Löhne <&>"}, "Vms": [{"VmIdentifier": "a"}]}).json()
    before = api.http.get(f"{PATH}/{made}").json()
    document = api.http.get(f"{PATH}/{made}", headers={"Accept": "application/xml"})
    put = api.http.put(f"{PATH}/{made}", content=document.content, headers={"Content-Type": "application/xml"})
    assert put.status_code == 200
    assert api.http.get(f"{PATH}/{made}").json() == before


def test_an_empty_vpg_then_its_vms(api: Running) -> None:
    """Zerto's SDK commits a VPG with no VMs, then edits it by its identifier and adds them one by one."""
    made = api.http.post(PATH, json={"basic": {"name": "Empty", "recoverySiteIdentifier": SOUTH}}).json()
    assert api.http.post(f"{PATH}/{made}/commit").status_code == 200
    assert the_order(api)[1].vm_ids == ()
    api.site.calls.clear()
    edit = api.http.post(PATH, json={"vpgIdentifier": VPG.upper()}).json()
    assert api.http.get(f"{PATH}/{edit}").json()["Basic"]["Name"] == PAYROLL
    assert api.http.post(f"{PATH}/{edit}/vms", json={"VmIdentifier": "vm-9", "Recovery": {}}).status_code == 200
    assert api.http.delete(f"{PATH}/{edit}/vms/vm-3").status_code == 200
    assert api.http.post(f"{PATH}/{edit}/commit").status_code == 200
    kind, order = the_order(api)
    assert (kind, order.vpg_id) == ("UpdateProtectionGroup", VPG)
    assert order.vm_ids == ("vm-1", "vm-2", "vm-4", "vm-9")


def test_parts_are_read_put_and_reset(api: Running) -> None:
    """basic, journal and so on by themselves."""
    made = api.http.post(PATH, json={"Basic": {"Name": "x"}}).json()
    assert api.http.put(f"{PATH}/{made}/BASIC", json={"Name": "y", "RpoInSeconds": 9}).status_code == 200
    basic = api.http.get(f"{PATH}/{made}/basic").json()
    assert (basic["Name"], basic["RpoInSeconds"], basic["ProtectedSiteIdentifier"]) == ("y", 9, NORTH)
    for part in ("bootgroup", "journal", "networks", "recovery", "scratch", "scripting"):
        content = api.http.get(f"{PATH}/{made}/{part}").json()
        assert api.http.put(f"{PATH}/{made}/{part}", json=content).status_code == 200
        assert api.http.delete(f"{PATH}/{made}/{part}").status_code == 200
    assert api.http.put(f"{PATH}/{made}/vms/vm-1", json={"VmIdentifier": "vm-1"}).status_code == 404
    assert api.http.delete(f"{PATH}/{made}").status_code == 200
    assert api.http.get(f"{PATH}/{made}/basic").status_code == 404


def test_volumes_and_nics_are_what_the_vm_has_with_what_was_set(api: Running) -> None:
    """What is put is given back, also in the whole object; a nic that is deleted has its defaults again."""
    made = api.http.post(PATH, json={"Basic": {"Priority": "high"}, "Vms": [{"VmIdentifier": "vm-1"}]}).json()
    vm = f"{PATH}/{made}/vms/vm-1"
    assert api.http.get(f"{PATH}/{made}/priority").json() == "High"
    (volume,) = api.http.get(f"{vm}/Volumes").json()
    assert (volume["VolumeIdentifier"], volume["Datastore"]["IsThin"]) == ("disk-a", True)
    before = api.http.get(f"{vm}/nics").json()
    assert [nic["NicIdentifier"] for nic in before] == ["nic-a", "nic-b"]
    assert before[0]["Failover"]["Hypervisor"]["IpConfig"] is None
    nic = {"failover": {"hypervisor": {"IpConfig": {"StaticIp": "192.0.2.1"}, "ShouldReplaceIpConfiguration": "True"}}}
    assert api.http.put(f"{vm}/nics/NIC-B", json=nic).json()["NicIdentifier"] == "nic-b"
    assert api.http.put(f"{vm}/volumes/disk-a", json={"Datastore": {"IsThin": False}}).status_code == 200
    whole = api.http.get(f"{PATH}/{made}").json()["Vms"][0]
    assert whole["Nics"] == [api.http.get(f"{vm}/nics/nic-b").json()]
    assert whole["Nics"][0]["Failover"]["Hypervisor"]["IpConfig"]["StaticIp"] == "192.0.2.1"
    assert whole["Volumes"][0]["Datastore"]["IsThin"] is False
    assert api.http.delete(f"{vm}/nics/nic-b").json() == "nic-b"
    assert api.http.get(f"{vm}/nics").json() == before
    for missing in ("nics/x", "volumes/x"):
        assert api.http.put(f"{vm}/{missing}", json={}).status_code == 404


def test_volumes_and_nics_in_xml(api: Running) -> None:
    """A GET in XML, and that text put back."""
    made = api.http.post(PATH, json={"Vms": [{"VmIdentifier": "vm-1"}]}).json()
    for piece in ("volumes/disk-a", "nics/nic-a"):
        path = f"{PATH}/{made}/vms/vm-1/{piece}"
        document = api.http.get(path, headers={"Accept": "application/xml"})
        put = api.http.put(path, content=document.content, headers={"Content-Type": "application/xml"})
        assert put.text == document.text
        assert api.http.get(path, headers={"Accept": "application/xml"}).text == document.text


def test_what_is_kept_and_not_carried_out_is_named_at_the_commit(api: Running) -> None:
    """Of the VPG and of its VMs; what only repeats the defaults is not."""
    basic = {"Name": "x", "RecoverySiteIdentifier": SOUTH}
    plain = {"VmIdentifier": "vm-1", "Volumes": [{"VolumeIdentifier": "disk-a"}], "Nics": [{"NicIdentifier": "nic-a"}]}
    limits = {"Scratch": {"Limitation": {"HardLimitInMB": 0}}}
    made = api.http.post(PATH, json={"Basic": basic, "Vms": [plain | limits], **limits}).json()
    assert "warning" not in api.http.post(f"{PATH}/{made}/commit").headers
    limits = {"Scratch": {"Limitation": {"HardLimitInMB": 7}}}
    vm = plain | limits | {"Volumes": [{"VolumeIdentifier": "disk-a", "Datastore": {"IsThin": False}}]}
    vm |= {"Nics": [{"Failover": {"Hypervisor": {"DnsSuffix": "example"}}}]}
    made = api.http.post(PATH, json={"Basic": basic, "Vms": [vm], **limits}).json()
    told = api.http.post(f"{PATH}/{made}/commit").headers["warning"]
    for member in (" Scratch", "Vms.Scratch", "Vms.Volumes", "Vms.Nics"):
        assert member in told
    assert "Vms.Journal" not in told


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "Basic.Name"),
        ({"Basic": {"Name": "x"}}, "Basic.RecoverySiteIdentifier"),
        (
            {"Basic": {"Name": "x", "RecoverySiteIdentifier": SOUTH, "JournalHistoryInHours": 0}},
            "JournalHistoryInHours",
        ),
    ],
)
def test_an_object_that_is_not_whole_is_refused_at_commit(api: Running, body: dict[str, object], named: str) -> None:
    """400 naming the member; the object stays and can be mended."""
    made = api.http.post(PATH, json=body).json()
    reply = api.http.post(f"{PATH}/{made}/commit")
    assert reply.status_code == 400
    assert named in reply.json()["Message"]
    assert api.site.calls == []
    assert api.http.get(f"{PATH}/{made}").status_code == 200


def test_a_commit_that_the_site_refuses_leaves_the_object(api: Running) -> None:
    """It can be committed again."""
    made = api.http.post(PATH, json={"Basic": {"Name": "x", "RecoverySiteIdentifier": SOUTH}}).json()
    api.site.busy = True
    assert api.http.post(f"{PATH}/{made}/commit").status_code == 409
    api.site.busy = False
    assert api.http.post(f"{PATH}/{made}/commit").status_code == 200


def test_what_would_not_be_carried_out_is_told(api: Running) -> None:
    """In the Warning of the commit."""
    body = {
        "Basic": {"Name": "x", "RecoverySiteIdentifier": SOUTH},
        "BootGroups": {"BootGroups": [{"Name": "first"}]},
    }
    made = api.http.post(PATH, json=body).json()
    assert "all VMs start together" in api.http.post(f"{PATH}/{made}/commit").headers["warning"]


def test_bad_values_are_refused_at_once(api: Running) -> None:
    """A priority that is none, a VM without an identifier, an unknown VPG."""
    for body, status, named in (
        ({"Basic": {"Priority": "urgent"}}, 400, "Low (0), Medium (1), High (2)"),
        ({"Vms": [{}]}, 400, "VmIdentifier"),
        ({"Vms": {"VmIdentifier": 5}}, 400, "Vms"),
        ({"VpgIdentifier": SOUTH}, 404, SOUTH),
    ):
        reply = api.http.post(PATH, json=body)
        assert reply.status_code == status
        assert named in reply.json()["Message"]


def test_an_unused_object_dies(tmp_path: Path) -> None:
    """After the site's time."""
    with running_api(tmp_path, ApiSettings(settings_idle_seconds=0)) as short:
        short.http.headers.update(short.sign_in())
        made = short.http.post(PATH, json={}).json()
        assert short.http.get(f"{PATH}/{made}").status_code == 404
