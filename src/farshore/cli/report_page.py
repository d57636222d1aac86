"""A report as one HTML page: all in it, nothing fetched, no scripts; readable in twenty years."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from farshore.cli.output import time_ns_of
from farshore.cli.report_text import report_facts, report_scripts, report_steps

PERCENT_MIN = 0.4
"""A step that took no time is still seen."""


@dataclass(frozen=True)
class Bar:
    """A step with its place on the line of time, in percent of the whole."""

    name: str
    began: str
    took: str
    result: str
    reason: str
    left: float
    width: float


def report_page(report: dict[str, Any]) -> str:
    """The whole document."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files("farshore.cli").joinpath("report.html").read_text(encoding="utf-8"))
    general = report["General"]
    return template.render(
        title=f"{general['RecoveryType']} of {general['VpgName']}",
        state=general["Status"],
        facts=report_facts(report),
        bars=_bars(report),
        scripts=report_scripts(report),
        written=f"Farshore, task {report['RecoveryOperationIdentifier']}",
    )


def _bars(report: dict[str, Any]) -> list[Bar]:
    spans = []
    for step in report["RecoverySettings"]["Steps"]:
        start = time_ns_of(step["StartTime"])
        spans.append((start, time_ns_of(step["EndTime"]) if step.get("EndTime") else None))
    first = min([time_ns_of(report["General"]["StartTime"]), *(start for start, _ in spans)])
    last = max([first + 1, *(end or start for start, end in spans)])
    bars = []
    for row, (start, end) in zip(report_steps(report), spans, strict=True):
        left = min(100 - PERCENT_MIN, 100 * (start - first) / (last - first))
        width = 100 * ((end or last) - start) / (last - first)
        bars.append(Bar(*row, left=round(left, 2), width=round(max(PERCENT_MIN, min(width, 100 - left)), 2)))
    return bars
