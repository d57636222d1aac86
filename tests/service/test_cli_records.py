"""`farshore alert`, `event`, `report list`, `vm release` as they are typed, against a made-up site over HTTPS."""

from __future__ import annotations

import json
from typing import Any

import pytest

from farshore.__main__ import run
from farshore.cli.exit_codes import ExitCode
from tests.service.made_up_records import OF_VPG
from tests.service.made_up_site import PAYROLL, VPG, Running


@pytest.fixture
def site(api: Running, monkeypatch: pytest.MonkeyPatch) -> Running:
    """The site, named by the environment."""
    monkeypatch.setenv("FARSHORE_URL", str(api.http.base_url))
    monkeypatch.setenv("FARSHORE_USER", "admin")
    monkeypatch.setenv("FARSHORE_PASSWORD", "pass:wörd")
    monkeypatch.setenv("FARSHORE_CA", str(api.folder / "identity" / "ca.crt"))
    return api


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """What a command that succeeds prints with --json."""
    assert run([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.usefixtures("site")
def test_alerts_are_listed_and_dismissed(capsys: pytest.CaptureFixture[str]) -> None:
    """A dismissed one is shown only with --all; as text too; one that is not there is exit code 3."""
    assert len(printed(capsys, "alert", "list")) == 2
    assert printed(capsys, "alert", "dismiss", OF_VPG) == {"Alert": OF_VPG, "IsDismissed": True}
    assert len(printed(capsys, "alert", "list")) == 1
    assert len(printed(capsys, "alert", "list", "--all")) == 2
    assert run(["alert", "list", "--all"]) == 0
    assert "(dismissed)" in capsys.readouterr().out  # the width of the terminal decides where the line breaks
    assert printed(capsys, "alert", "undismiss", OF_VPG)["IsDismissed"] is False
    assert run(["alert", "dismiss", "nothing"]) == 3


def test_events_are_listed(site: Running, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a VPG by its name, of an account, since a time."""
    assert [event["Kind"] for event in printed(capsys, "event", "list")] == ["FailOverTest", "Move", "clock"]
    site.site.calls.clear()
    printed(capsys, "event", "list", "--vpg", PAYROLL, "--by", "admin", "--since", "2026-11-25")
    ((_, which),) = site.site.calls
    assert (which.vpg_id, which.who, which.from_ns is not None) == (VPG, "admin", True)
    assert run(["event", "list"]) == 0
    assert "clock" in capsys.readouterr().out


def test_reports_are_listed(site: Running, capsys: pytest.CaptureFixture[str]) -> None:
    """By kind."""
    site.http.post(f"/v1/vpgs/{VPG}/Failover", headers=site.sign_in())
    (report,) = printed(capsys, "report", "list", "--type", "Failover")
    assert report["General"]["RecoveryType"] == "Failover"
    assert run(["report", "list"]) == 0
    assert "Failover" in capsys.readouterr().out
    assert run(["report", "list", "--type", "Flight"]) == 2


def test_a_held_vm_is_released(site: Running, capsys: pytest.CaptureFixture[str]) -> None:
    """After a plan and a yes; one that a VPG needs is refused before anybody is asked, a stranger is not found."""
    assert [vm["CanRelease"] for vm in printed(capsys, "vm", "held")] == [True, False]
    assert run(["vm", "held"]) == 0
    assert "VPG x needs it." in capsys.readouterr().out
    assert run(["vm", "release", "old <db>"]) == 2  # nobody to ask
    assert "Moved & kept." in capsys.readouterr().err
    assert run(["vm", "release", "web", "--yes"]) == ExitCode.REFUSED
    assert "VPG x needs it." in capsys.readouterr().err
    assert run(["vm", "release", "stranger", "--yes"]) == 3
    assert site.site.calls == []
    assert printed(capsys, "vm", "release", "old <db>", "--yes")["Released"]["VmIdentifier"] == "held-1"
    assert site.site.calls == [("release_vm", ("held-1", "admin"))]
