"""A report's page: one file that holds every text as text, fetches nothing and runs nothing."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from farshore.cli.report_page import report_page


def _report(name: str, reason: str, end: str | None) -> dict[str, Any]:
    general: dict[str, Any] = {
        "VpgName": name,
        "RecoveryType": "Failover",
        "StartTime": "2026-11-25T09:30:00.000Z",
        "Status": "Failed",
        "InitiatedBy": name,
        "Notes": reason,
        "Reason": reason,
        "RpoInSeconds": "4.000",
        "RtoInSeconds": None,
        "Checkpoint": None,
    }
    step = {
        "Description": "start_vms",
        "Result": "Failed",
        "StartTime": "2026-11-25T09:30:01.000Z",
        "EndTime": end,
        "ExecutionTime": None if end is None else "1.000",
        "Reason": reason,
    }
    script = {
        "Phase": "PreRecovery",
        "Command": name,
        "ExitStatus": None,
        "ExecutionTime": "1.000",
        "Reason": reason,
        "Output": f"printed: {name}",
        "IsOutputCut": True,
    }
    steps = [step, {**step, "EndTime": None, "ExecutionTime": None}]
    settings = {"Vms": [{"VmName": name}], "Steps": steps, "Scripts": [script]}
    return {"RecoveryOperationIdentifier": "T.S", "General": general, "RecoverySettings": settings}


class Page(HTMLParser):
    """Collects a page's tags, its attributes and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=y>', "{{ 7 * 7 }}", "Löhne & 工资", "</td></table>"]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("end", [None, "2026-11-25T09:30:02.000Z", "2026-11-25T09:29:00.000Z"])
def test_the_page_of_a_report_holds_every_text_as_text(name: str, end: str | None):
    """Names and reasons are data, whatever they are made of, whatever the clock did; nothing is fetched or run."""
    document = report_page(_report(name, f"because of {name}", end))
    page = Page()
    page.feed(document)
    assert name in page.text
    assert f"because of {name}" in page.text
    assert f"printed: {name}" in page.text
    assert page.tags.isdisjoint({"script", "img", "link", "iframe", "object"})
    assert page.attributes.isdisjoint({"src", "href", "onerror"})
    assert "url(" not in document
    for left, width in re.findall(r"left: ([\d.]+)%; width: ([\d.]+)%", document):
        assert 0 <= float(left) <= 100
        assert 0 < float(width) <= 100.01 - float(left)
