"""`farshore report`: what an operation did, step by step; as a table, as JSON, as one HTML file to be kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from farshore.cli.client import SiteClient
from farshore.cli.options import command
from farshore.cli.output import Output

app = typer.Typer(help="Reports: what an operation did, step by step.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Reports: what an operation did, step by step."""


@command(app, "list")
def list_reports(
    api: SiteClient,
    out: Output,
    vpg: Annotated[str | None, typer.Option("--vpg", help="Only those of VPGs of this name.")] = None,
    kind: Annotated[
        str | None, typer.Option("--type", help="Only this kind, such as Failover, FailoverTest or Move.")
    ] = None,
) -> None:
    """List the reports of tests, failovers, moves and clones, newest first."""
    reports: list[dict[str, Any]] = api.get("/reports/recovery", vpgName=vpg, recoveryType=kind)
    rows = []
    for report in reports:
        general = report["General"]
        end = general.get("EndTime")
        words = (general["VpgName"], general["RecoveryType"], general["StartTime"], end, general["Status"])
        rows.append((report["RecoveryOperationIdentifier"], *words, general["InitiatedBy"]))
    columns = ("task", "VPG", "what", "began", "ended", "state", "by")
    out.table(reports, columns, rows, empty="No reports.")


@command(app, "show")
def show(
    api: SiteClient,
    out: Output,
    task: Annotated[str, typer.Argument(metavar="TASK", help="The identifier of the operation's task.")],
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write it as one HTML file that needs nothing else.")
    ] = None,
) -> None:
    """Show what an operation did: each step with its time, RPO and RTO, who asked for it, what scripts printed."""
    from farshore.cli.report_text import report_facts, report_steps, scripts_text

    report: dict[str, Any] = api.get(f"/reports/recovery/{task}")
    if html is not None:
        _write_page(html, report)
        out.note(f"Written to {html}.")
    if out.as_json:
        out.result(report)
        return
    out.facts(report, report_facts(report))
    out.table(report, ("step", "began after", "took", "result", "reason"), report_steps(report), empty="No steps.")
    out.result(report, scripts_text(report))


def _write_page(path: Path, report: dict[str, Any]) -> None:
    from farshore.cli.report_page import report_page
    from farshore.errors import BadInput
    from farshore.model.files import write_durably

    try:
        write_durably(path, report_page(report).encode(), mode=0o644)
    except OSError as error:
        raise BadInput(
            f"{path} cannot be written: {error.strerror}.", "Name a file in a folder that is there."
        ) from error
