"""`farshore site set`: what it writes into site.json, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from farshore.__main__ import build
from farshore.cli.main import run
from farshore.model.site import SiteConfig
from farshore.model.site_kinds import SiteKind


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The folder of a site that is nothing but its record."""
    SiteConfig(site_id="s", name="north", api_port=19669).save(tmp_path)
    return tmp_path


def site_set(folder: Path, *words: str) -> int:
    """The exit code of the command."""
    return run(build(), ["site", "set", *words, "--dir", str(folder)])


def settings(folder: Path) -> Any:
    """What the site reads at its start."""
    return SiteConfig.load(folder).settings


def test_a_setting_is_changed_and_put_back(site: Path) -> None:
    """A word, a number, one key of several; the rest of the record stays."""
    assert site_set(site, "task_dialect", "string") == 0
    assert site_set(site, "commit_seconds", "60") == 0
    assert site_set(site, "kind", "azure") == 0
    assert site_set(site, "task_dialects.backup-robot", "object") == 0
    assert site_set(site, "task_dialects.script", "string") == 0
    assert (settings(site).task_dialect, settings(site).commit_seconds) == ("string", 60)
    assert settings(site).kind is SiteKind.Azure
    assert settings(site).task_dialects == {"backup-robot": "object", "script": "string"}
    assert site_set(site, "task_dialects.script", "--default") == 0
    assert site_set(site, "commit_seconds", "--default") == 0
    assert settings(site).task_dialects == {"backup-robot": "object"}
    assert (settings(site).commit_seconds, SiteConfig.load(site).api_port) == (3600, 19669)


@pytest.mark.parametrize(
    "words",
    [
        ("task_dialect", "loud"),
        ("task_dialects.robot", "loud"),
        ("commit_seconds", "soon"),
        ("kind", "moon"),
        ("commit_seconds.x", "1"),
        ("no_such_setting", "1"),
        ("commit_seconds", "1", "--default"),
    ],
)
def test_what_it_cannot_be_is_refused_and_nothing_is_changed(site: Path, words: tuple[str, ...]) -> None:
    """Exit code 2; the file is as it was."""
    before = (site / "site.json").read_bytes()
    assert site_set(site, *words) == 2
    assert (site / "site.json").read_bytes() == before


def test_settings_are_shown(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One, or all of them, as JSON too."""
    assert site_set(site, "classic_dates") == 0
    assert "iso" in capsys.readouterr().out
    assert site_set(site, "--json") == 0
    assert json.loads(capsys.readouterr().out)["task_dialect"] == "auto"
