"""Kept recovery volumes over HTTPS, in JSON and XML, and as commands."""

from __future__ import annotations

import json
from xml.etree.ElementTree import fromstring

import pytest

from farshore.__main__ import run
from farshore.cli.exit_codes import ExitCode
from tests.service.made_up_records import KEPT
from tests.service.made_up_site import Running

NAMESPACE = "{http://schemas.zerto.com/zvm/api}"


def test_kept_volumes_are_listed_and_removed(api: Running) -> None:
    """In both notations; what is not there is 404; the site is told who removed."""
    headers = api.sign_in()
    (told,) = api.http.get("/v1/keptvolumes", headers=headers).json()
    assert (told["KeptVolumesIdentifier"], told["VpgName"], told["CheckpointIdentifier"]) == (KEPT, "shop & co", "9")
    assert told["CheckpointTimeStamp"].endswith("Z")
    assert told["Volumes"] == [
        {"VmIdentifier": "vm-1", "VmName": "old <db>", "VolumeIdentifier": "a", "SizeInBytes": 1 << 20}
        | {"Path": "/k/db.a.0.raw"}
    ]
    xml = fromstring(api.http.get("/v1/keptVolumes", headers=headers | {"Accept": "application/xml"}).text)
    assert [one.text for one in xml.iter(f"{NAMESPACE}VmName")] == ["old <db>"]
    for notation in ("application/json", "application/xml"):
        reply = api.http.delete(f"/v1/keptVolumes/{KEPT}", headers=headers | {"Accept": notation})
        assert (reply.status_code, KEPT in reply.text) == (200, True)
        assert api.site.calls[-1] == ("remove_kept_volumes", (KEPT, "admin"))
    assert api.http.delete("/v1/keptVolumes/x", headers=headers).status_code == 404


def test_kept_volumes_as_commands(
    api: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Listed with where they lie; removed after a yes only."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("FARSHORE_URL", str(api.http.base_url))
    monkeypatch.setenv("FARSHORE_USER", "admin")
    monkeypatch.setenv("FARSHORE_PASSWORD", "pass:wörd")
    monkeypatch.setenv("FARSHORE_CA", str(api.folder / "identity" / "ca.crt"))
    assert run(["volumes", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["Folder"] == "/k"
    assert run(["volumes", "list"]) == 0
    assert "/k/db.a.0.raw" in capsys.readouterr().out.replace("\n", "")
    assert run(["volumes", "remove", KEPT]) == ExitCode.USAGE
    assert api.site.calls == []
    assert "the disks of old <db> as of" in capsys.readouterr().err
    assert run(["volumes", "remove", KEPT, "--yes", "--json"]) == 0
    assert api.site.calls[-1] == ("remove_kept_volumes", (KEPT, "admin"))
    assert run(["volumes", "remove", "nothing", "--yes"]) == ExitCode.NOT_FOUND
