"""docs/vpgs-post.md and docs/api.md say what is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from farshore.api.vpg_orders import order_of_settings
from farshore.api.wire.vpg_settings import VpgSettingsApi

TOP = Path(__file__).parent.parent.parent


def page(name: str) -> str:
    """A page of docs/."""
    return (TOP / "docs" / name).read_text(encoding="utf-8")


@pytest.mark.docs
def test_each_test_that_the_page_names_exists() -> None:
    """A row's proof is no dead letter."""
    defined: set[str] = set()
    for file in (TOP / "tests").glob("*/test_*.py"):
        defined |= set(re.findall(r"^(?:async )?def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"\btest_\w+", page("vpgs-post.md")))
    assert named - defined == set()


@pytest.mark.docs
def test_the_page_says_not_yet_of_no_action() -> None:
    """All are offered."""
    rows = [line for line in page("vpgs-post.md").splitlines() if "| not yet |" in line]
    named = {word for row in rows for word in re.findall(r"[A-Za-z]+", row.split("|")[2])}
    assert named == set()


@pytest.mark.docs
def test_the_defaults_of_a_vpg_are_those_on_the_page() -> None:
    """Table "A VPG" of docs/api.md."""
    basic = {"Name": "x", "ProtectedSiteIdentifier": "n", "RecoverySiteIdentifier": "s"}
    settings = order_of_settings(VpgSettingsApi.read({"Basic": basic})).settings
    rows = {
        line.split("|")[1].strip(" `"): line.split("|")[3].strip()
        for line in page("api.md").splitlines()
        if "| `Basic" in line
    }
    assert float(rows["Basic.CheckpointIntervalInSeconds"]) == settings.checkpoint_interval_seconds
    assert int(rows["Basic.RpoInSeconds"]) == settings.rpo_seconds
    assert int(rows["Basic.JournalHistoryInHours"]) * 3600 == settings.history_seconds
    assert int(rows["Basic.WindowInMB"]) << 20 == settings.window_bytes
    assert rows["Basic.Priority"] == settings.priority.name
