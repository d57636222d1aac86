"""Settings of VPGs copied, exported and imported over HTTPS, in JSON and XML, as the real clients do it."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest

from farshore.__main__ import run
from farshore.cli.exit_codes import ExitCode
from farshore.model.views import WayHomeView
from farshore.model.vpg import VpgSettings
from tests.service.made_up_site import NORTH, PAYROLL, SOUTH, VPG, Running

PATH = "/v1/vpgSettings"
SPACE = "{http://schemas.zerto.com/zvm/api}"
XML = {"Accept": "application/xml", "Content-Type": "application/xml"}


@pytest.fixture(autouse=True)
def fresh(api: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signed in; no exports; the command line finds the site."""
    api.site.exports.clear()
    api.http.headers.update(api.token())
    monkeypatch.setenv("FARSHORE_URL", str(api.http.base_url))
    monkeypatch.setenv("FARSHORE_USER", "admin")
    monkeypatch.setenv("FARSHORE_PASSWORD", "pass:wörd")
    monkeypatch.setenv("FARSHORE_CA", str(api.folder / "identity" / "ca.crt"))


def exported(api: Running) -> list[dict[str, Any]]:
    """What an export of both VPGs has."""
    stamp = api.http.post(f"{PATH}/exportSettings", json={}).json()["TimeStamp"]
    return list(api.http.post(f"{PATH}/exportedSettings/{stamp}").json()["ExportedVpgSettingsApi"])


def test_a_copy_is_a_new_object_with_the_vpgs_settings_and_no_vms(api: Running) -> None:
    """The wrapper names it, adds VMs and commits: a VPG is made, the other is not touched."""
    made = api.http.post(f"{PATH}/copyvpgsettings", json={"vpgIdentifier": VPG.upper()}).json()
    assert str(uuid.UUID(made)) == made
    content = api.http.get(f"{PATH}/{made}").json()
    assert (content["VpgIdentifier"], content["Vms"], content["Basic"]["Name"]) == (None, [], PAYROLL)
    api.http.post(f"{PATH}/{made}/vms", json={"VmIdentifier": "vm-9"})
    content = api.http.get(f"{PATH}/{made}").json()
    content["Basic"]["Name"] = "Second"
    assert api.http.put(f"{PATH}/{made}", json=content).status_code == 200
    assert api.http.post(f"{PATH}/{made}/commit").status_code == 200
    ((kind, arguments),) = api.site.calls
    order = arguments["order"]
    assert (kind, order.name, order.vm_ids, order.recovery_site_id) == (
        "CreateProtectionGroup", "Second", ("vm-9",), SOUTH,
    )  # fmt: skip


def test_a_copy_in_xml_and_of_nothing(api: Running) -> None:
    """A bare text; 400 without an identifier, 404 for an unknown one."""
    body = f'<CopyVpgSettingsApi xmlns="{SPACE[1:-1]}"><vpgidentifier>{VPG}</vpgidentifier></CopyVpgSettingsApi>'
    text = fromstring(api.http.post(f"{PATH}/copyVpgSettings", content=body, headers=XML).text).text
    assert text is not None
    assert api.http.get(f"{PATH}/{text}").json()["Basic"]["RecoverySiteIdentifier"] == SOUTH
    assert api.http.post(f"{PATH}/copyVpgSettings", json={}).status_code == 400
    assert api.http.post(f"{PATH}/copyVpgSettings", json={"VpgIdentifier": NORTH}).status_code == 404


def test_an_export_is_named_by_its_second(api: Running) -> None:
    """As it is told, and with its fraction cut off, which is how a script looks for it in the list."""
    made = api.http.post(f"{PATH}/exportSettings", json={"vpgNames": ["Löhne <&>"]}).json()
    assert made["ExportResult"] == {"Result": "Success", "Message": "VPGs exported: 1."}
    stamp = made["TimeStamp"]
    assert stamp.split(".")[0] + ".000Z" == stamp
    assert api.http.get(f"{PATH}/exportedSettings").json() == [{"TimeStamp": stamp}]
    info = api.http.get(f"{PATH}/exportedSettings/{stamp}/vpgsinfo").json()
    assert info == [{"VpgName": "Löhne <&>", "SourceSiteName": "north", "TargetSiteName": "south <2>"}]
    found = api.http.post(f"{PATH}/exportedSettings/{stamp}", json={"vpgNames": ["Löhne <&>", "x"]}).json()
    assert found["ErrorMessage"] == "The export has no VPG x."
    (vpg,) = found["ExportedVpgSettingsApi"]
    assert (vpg["VpgIdentifier"], vpg["SourceSiteName"], vpg["TargetSiteName"]) == (VPG, "north", "south <2>")
    assert (vpg["Basic"]["Name"], vpg["Basic"]["RpoInSeconds"], vpg["Basic"]["JournalHistoryInHours"]) == (
        "Löhne <&>", 77, 2,
    )  # fmt: skip
    assert [(vm["VmIdentifier"], vm["Nics"]) for vm in vpg["Vms"]] == [(f"vm-{n}", []) for n in (1, 2, 3, 4)]
    assert vpg["Scratch"]["DatastoreIdentifier"] is None


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "exportSettings", {"VpgNames": ["nobody"]}, 400),
        ("POST", "exportedSettings/2026-11-25T09:30:00.000Z", None, 404),
        ("GET", "exportedSettings/2026-11-25T09:30:00.000Z/vpgsinfo", None, 404),
        ("POST", "exportedSettings/%2e%2e%2fsite", None, 404),
        ("POST", "exportedSettings/..site", None, 400),
        ("POST", "exportedSettings/..%2F..%2Fidentity%2Fca", None, 404),
        ("GET", "exportedSettings/12345678901234567890/vpgsinfo", None, 400),
        ("POST", "import", {}, 400),
        ("POST", "import", {"ExportedVpgSettingsApi": [{"Basic": {"Name": "a"}}], "VpgNames": ["b"]}, 400),
    ],
)
def test_what_is_not_there_is_said(api: Running, method: str, path: str, body: Any, status: int) -> None:
    """A stamp is a time or refused: it is no name of a file."""
    reply = api.http.request(method, f"{PATH}/{path}", json=body)
    assert (reply.status_code, bool(reply.json()["Message"])) == (status, True)
    assert api.site.calls == []


def test_an_import_changes_what_is_there_back_and_makes_what_is_gone(api: Running) -> None:
    """The VPG keeps its identifier and all its VMs; each has its task."""
    body = {"ExportedVpgSettingsApi": exported(api)}
    reply = api.http.post(f"{PATH}/import", json=body)
    assert reply.status_code == 200, reply.text
    done = reply.json()
    assert done["ValidationFailedResults"] == done["ImportFailedResults"] == []
    told = {one["VpgName"]: one["TaskIdentifier"] for one in done["ImportTaskIdentifiers"]}
    assert sorted(told) == ["Löhne <&>", "Payroll"]
    assert set(told.values()) <= set(api.site.known_tasks)
    orders = {kind: arguments["order"] for kind, arguments in api.site.calls}
    changed, made = orders["UpdateProtectionGroup"], orders["CreateProtectionGroup"]
    assert (changed.vpg_id, changed.settings.rpo_seconds, len(changed.vm_ids)) == (VPG, 77, 4)
    assert (made.vpg_id, made.name, made.vm_ids) == (None, "Payroll", ("vm-7",))
    audited = [record for _, record in api.site.audited if "import" in record.text]
    assert all(task in audited[-1].result for task in told.values())


def test_an_import_in_xml(api: Running) -> None:
    """An export as it was read goes back; only the VPGs that are named are imported."""
    stamp = api.http.post(f"{PATH}/exportSettings").json()["TimeStamp"]
    document = api.http.post(f"{PATH}/exportedSettings/{stamp}", headers={"Accept": "application/xml"}).text
    inner = document[document.index("<ExportedVpgSettingsApi>") : document.rindex("</VpgSettingsDownloadExportApi>")]
    names = "<VpgNames><string>Payroll</string></VpgNames>"
    body = f'<ImportVpgSettingsApi xmlns="{SPACE[1:-1]}" xmlns:i="http://www.w3.org/2001/XMLSchema-instance">'
    reply = api.http.post(f"{PATH}/import", content=f"{body}{inner}{names}</ImportVpgSettingsApi>", headers=XML)
    assert reply.status_code == 200, reply.text
    assert [one.text for one in fromstring(reply.text).iter(f"{SPACE}VpgName")] == ["Payroll"]
    assert [kind for kind, _ in api.site.calls] == ["CreateProtectionGroup"]


def test_what_an_import_leaves_out_stays_as_it_is(api: Running) -> None:
    """Of a VPG that is there: one member, and no VMs named."""
    api.site.standing["settings"] = VpgSettings(history_seconds=7200, rpo_seconds=50)
    vpg = {"VpgIdentifier": VPG.upper(), "Basic": {"RpoInSeconds": 60}}
    done = api.http.post(f"{PATH}/import", json={"ExportedVpgSettingsApi": [vpg]}).json()
    assert [one["VpgName"] for one in done["ImportTaskIdentifiers"]] == [PAYROLL]
    order = api.site.calls[0][1]["order"]
    assert (order.vpg_id, order.name, len(order.vm_ids)) == (VPG, PAYROLL, 4)
    assert (order.settings.rpo_seconds, order.settings.history_seconds) == (60, 7200)


REFUSED = [
    ({"name": "other"}, {}, "VpgIdentifier", NORTH, "it is another one"),
    ({"protected_site_id": SOUTH, "recovery_site_id": NORTH}, {}, None, None, "not those of the export"),
    ({"way_home": WayHomeView(asked=False)}, {}, None, None, "protects it back"),
    ({}, {"Vms": [{"VmIdentifier": "vm-1"}]}, None, None, "An import takes none out"),
    ({}, {"VpgIdentifier": NORTH, "Basic": {"Name": "x"}}, None, None, "Basic.ProtectedSiteIdentifier"),
]


@pytest.mark.parametrize(("standing", "changes", "member", "value", "said"), REFUSED)
def test_an_import_that_would_cost_something_is_refused_for_that_vpg(
    api: Running, standing: dict[str, Any], changes: dict[str, Any], member: str | None, value: str, said: str
) -> None:
    """In words, in the list of what was not valid; nothing is ordered for it, the other VPG is made."""
    content, gone = exported(api)
    content |= changes
    if member is not None:
        content[member] = value
        content["Basic"]["Name"] = "other"
    api.site.standing |= standing
    done = api.http.post(f"{PATH}/import", json={"ExportedVpgSettingsApi": [content, gone]}).json()
    ((refused),) = done["ValidationFailedResults"]
    assert said in refused["ErrorMessages"][0]
    assert [one["VpgName"] for one in done["ImportTaskIdentifiers"]] == ["Payroll"]
    assert [kind for kind, _ in api.site.calls] == ["CreateProtectionGroup"]


def test_a_busy_vpg_is_refused_with_what_it_is_busy_with(api: Running) -> None:
    """A site that refuses all tells it for each."""
    body = {"ExportedVpgSettingsApi": exported(api)}
    api.site.busy = True
    done = api.http.post(f"{PATH}/import", json=body).json()
    assert [one["VpgName"] for one in done["ValidationFailedResults"]] == ["Löhne <&>", "Payroll"]
    assert all("busy with Move" in one["ErrorMessages"][0] for one in done["ValidationFailedResults"])


def test_export_and_import_on_the_command_line(
    api: Running, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file and back; a refused VPG is a row of the table and an exit code."""
    file = tmp_path / "vpgs.json"
    assert run(["vpg", "export", "--output", str(file)]) == 0
    assert "VPGs exported: 2." in capsys.readouterr().out
    stamp = json.loads(file.read_text())["TimeStamp"]
    assert run(["vpg", "exports", "--json"]) == 0
    (kept,) = json.loads(capsys.readouterr().out)
    assert (kept["TimeStamp"], [vpg["VpgName"] for vpg in kept["Vpgs"]]) == (stamp, ["Löhne <&>", "Payroll"])
    for source in (str(file), stamp):
        assert run(["vpg", "import", source, "--vpg", "Payroll", "--json"]) == 0
        assert len(json.loads(capsys.readouterr().out)["ImportTaskIdentifiers"]) == 1
    api.site.standing["way_home"] = WayHomeView(asked=False)
    assert run(["vpg", "import", str(file)]) == ExitCode.FAILED
    told = capsys.readouterr()
    assert "refused" in told.out
    assert "Not imported: Löhne <&>." in told.err
    file.write_text("[1")
    assert run(["vpg", "import", str(file)]) == ExitCode.USAGE
