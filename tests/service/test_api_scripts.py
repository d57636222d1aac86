"""M5 on the wire: scripts in a settings object, a VPG and a report, in JSON and in XML; and as they are typed."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring
from xml.sax.saxutils import escape

import pytest

from farshore.__main__ import run
from farshore.model.scripts import Script
from farshore.model.vpg import VpgSettings
from tests.service.made_up_records import FAILED, PRINTED
from tests.service.made_up_site import SOUTH, VPG, Running
from tests.service.recovery_requests import API, NOTATIONS

PATH = "/v1/vpgSettings"
XML = {"Content-Type": "application/xml", "Accept": "application/xml"}


@pytest.fixture(scope="module", autouse=True)
def by_token(running: Running) -> None:
    """Signed in by token."""
    running.http.headers.update(running.token())


def made(api: Running, notation: str, script: dict[str, Any], when: str = "PreRecovery") -> str:
    """A settings object with that script; its identifier."""
    basic = {"Name": "x", "RecoverySiteIdentifier": SOUTH}
    if notation == "json":
        return str(api.http.post(PATH, json={"Basic": basic, "Scripting": {when: script}}).json())
    members = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in script.items())
    settled = "".join(f"<{name}>{value}</{name}>" for name, value in basic.items())
    body = f"<VpgSettingsApi><Basic>{settled}</Basic><Scripting><{when}>{members}</{when}></Scripting></VpgSettingsApi>"
    return str(fromstring(api.http.post(PATH, content=body.encode(), headers=XML).text).text)


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize(("seconds", "meant"), [(0, 300), ("60", 60)])
def test_m5_a_settings_object_orders_its_scripts(api: Running, notation: str, seconds: Any, meant: int) -> None:
    """Without a Warning; 0 s are the default. Read back it is as it was sent."""
    script = {"Command": "stop db.sh", "Parameters": "a 'b <c>'", "TimeoutInSeconds": seconds}
    settings_id = made(api, notation, script)
    if notation == "json":
        told = api.http.get(f"{PATH}/{settings_id}/scripting").json()["PreRecovery"]
        assert told == script | {"TimeoutInSeconds": int(seconds)}
    else:
        told = fromstring(api.http.get(f"{PATH}/{settings_id}/scripting", headers=XML).text)
        assert told.findtext(f"{API}PreRecovery/{API}Parameters") == script["Parameters"]
    reply = api.http.post(f"{PATH}/{settings_id}/commit", headers=XML if notation == "xml" else {})
    assert (reply.status_code, "warning" in reply.headers) == (200, False)
    ((_, arguments),) = api.site.calls
    settings = arguments["order"].settings
    assert settings.pre_recovery == Script(command="stop db.sh", parameters="a 'b <c>'", timeout_seconds=meant)
    assert settings.post_recovery is None


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("when", ["PreRecovery", "PostRecovery"])
@pytest.mark.parametrize(
    ("member", "value"),
    [("Command", "/bin/sh"), ("Command", "../x"), ("Parameters", "'"), ("TimeoutInSeconds", 90000)],
)
def test_m5_a_bad_script_is_refused_by_name(api: Running, notation: str, when: str, member: str, value: Any) -> None:
    """400 at the commit, nothing ordered; the object stays and can be mended."""
    settings_id = made(api, notation, {"Command": "x", member: value}, when)
    reply = api.http.post(f"{PATH}/{settings_id}/commit", headers=XML if notation == "xml" else {})
    assert reply.status_code == 400
    message = reply.json()["Message"] if notation == "json" else fromstring(reply.text).findtext(f"{API}Message")
    assert f"Scripting.{when}.{member}: " in str(message)
    assert api.site.calls == []
    mended = api.http.put(f"{PATH}/{settings_id}/scripting", json={when: {"Command": "y"}})
    assert mended.status_code == 200
    assert api.http.post(f"{PATH}/{settings_id}/commit").status_code == 200


@pytest.mark.parametrize("notation", NOTATIONS)
def test_m5_a_vpg_names_its_scripts_and_its_settings_have_them_whole(api: Running, notation: str) -> None:
    """Parameters stand in the settings alone, which administrators make."""
    script = Script(command="stop", parameters="the secret", timeout_seconds=7)
    api.site.standing["settings"] = VpgSettings(pre_recovery=script)
    settings_id = api.http.post(PATH, json={"VpgIdentifier": VPG}).json()
    whole = {"Command": "stop", "Parameters": "the secret", "TimeoutInSeconds": 7}
    assert api.http.get(f"{PATH}/{settings_id}").json()["Scripting"]["PreRecovery"] == whole
    reply = api.http.get(f"/v1/vpgs/{VPG}", headers=XML if notation == "xml" else {})
    assert "the secret" not in reply.text
    if notation == "json":
        assert (reply.json()["PreRecoveryScript"], reply.json()["PostRecoveryScript"]) == ("stop", None)
    else:
        assert fromstring(reply.text).findtext(f"{API}PreRecoveryScript") == "stop"


@pytest.mark.parametrize("notation", NOTATIONS)
def test_m5_a_report_tells_what_scripts_printed(api: Running, notation: str) -> None:
    """With status, seconds and reason."""
    task_id = api.http.post(f"/v1/vpgs/{VPG}/Failover").json()  # by token: a bare text
    reply = api.http.get(f"/v1/reports/recovery/{task_id}", headers=XML if notation == "xml" else {})
    if notation == "json":
        assert reply.json()["RecoverySettings"]["Scripts"] == [
            {
                "Phase": "PreRecovery",
                "Command": "quiesce",
                "ExitStatus": 3,
                "ExecutionTime": "1.500",
                "Reason": FAILED,
                "Output": PRINTED,
                "IsOutputCut": False,
            }
        ]
    else:
        (script,) = fromstring(reply.text).iter(f"{API}RecoverySettingsScriptApi")
        assert (script.findtext(f"{API}ExitStatus"), script.findtext(f"{API}Output")) == ("3", PRINTED)


@pytest.fixture
def typed(api: Running, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Any:
    """Runs a command against the site; what it printed."""
    monkeypatch.setenv("FARSHORE_URL", str(api.http.base_url))
    monkeypatch.setenv("FARSHORE_USER", "admin")
    monkeypatch.setenv("FARSHORE_PASSWORD", "pass:wörd")
    monkeypatch.setenv("FARSHORE_CA", str(api.folder / "identity" / "ca.crt"))

    def type_it(*words: str, status: int = 0) -> Any:
        capsys.readouterr()
        assert run(list(words)) == status
        return capsys.readouterr()

    return type_it


def test_m5_scripts_as_they_are_typed(api: Running, typed: Any, tmp_path: Path) -> None:
    """At `vpg create`; shown by `vpg show` and `report show`, and in the page that is kept."""
    words = ["--pre-recovery-script", "stop", "--pre-recovery-parameters=--now 'a b'", "--pre-recovery-timeout", "9"]
    typed("vpg", "create", "new", "--vm", "vm 1", *words, "--post-recovery-script", "start", "--no-wait")
    ((_, arguments),) = api.site.calls
    settings = arguments["order"].settings
    assert settings.pre_recovery == Script(command="stop", parameters="--now 'a b'", timeout_seconds=9)
    assert settings.post_recovery == Script(command="start")
    refused = typed("vpg", "create", "new", "--vm", "vm 1", "--post-recovery-timeout", "9", "--no-wait", status=2)
    assert "--post-recovery-script" in refused.err
    api.site.standing["settings"] = settings
    api.site.calls.clear()
    typed("vpg", "set", VPG, "--pre-recovery-script", "", "--post-recovery-timeout", "60", "--no-wait")
    changed = api.site.calls[0][1]["order"].settings
    assert (changed.pre_recovery, changed.post_recovery) == (None, Script(command="start", timeout_seconds=60))
    assert "pre-recovery script" in typed("vpg", "show", VPG).out
    task_id = api.http.post(f"/v1/vpgs/{VPG}/Failover").json()  # by token: a bare text
    shown = typed("report", "show", task_id, "--html", str(tmp_path / "page.html")).out
    assert "PreRecovery quiesce: exit status 3, 1.500 s." in shown
    assert "  | frozen <db>\n" in shown
    assert "frozen &lt;db&gt;\n]]&gt; &amp; thawed" in (tmp_path / "page.html").read_text()
