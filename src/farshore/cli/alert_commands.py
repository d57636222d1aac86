"""`farshore alert` and `farshore event`: what is wrong now, and what happened."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from farshore.cli.client import SiteClient
from farshore.cli.options import command
from farshore.cli.output import Output

app = typer.Typer(help="Alerts: what is wrong now.", no_args_is_help=True)
event_app = typer.Typer(help="Events: what happened, and who asked for it.", no_args_is_help=True)

AlertId = Annotated[str, typer.Argument(metavar="ALERT", help="The alert's identifier.")]


@event_app.callback()
def _events() -> None:
    """Events: what happened, and who asked for it."""


@command(app, "list")
def list_alerts(
    api: SiteClient,
    out: Output,
    all_of_them: Annotated[bool, typer.Option("--all", help="Those that were dismissed too.")] = False,
) -> None:
    """List the alerts that stand, oldest first."""
    alerts: list[dict[str, Any]] = api.get("/alerts", isDismissed=None if all_of_them else "false")
    rows = [
        (
            alert["Link"]["identifier"],
            alert["Level"] + (" (dismissed)" if alert["IsDismissed"] else ""),
            alert["TurnedOn"],
            alert["Description"],
            alert["Remedy"],
        )
        for alert in alerts
    ]
    out.table(alerts, ("alert", "level", "since", "what", "what to do"), rows, empty="No alerts.")


@command(app, "dismiss")
def dismiss(api: SiteClient, out: Output, alert: AlertId) -> None:
    """Say that you have seen to an alert; it stands until its matter is gone."""
    api.post(f"/alerts/{alert}/dismiss")
    out.result({"Alert": alert, "IsDismissed": True}, "Dismissed.")


@command(app, "undismiss")
def undismiss(api: SiteClient, out: Output, alert: AlertId) -> None:
    """Take up a dismissed alert again."""
    api.post(f"/alerts/{alert}/undismiss")
    out.result({"Alert": alert, "IsDismissed": False}, "Taken up again.")


@command(event_app, "list")
def list_events(
    api: SiteClient,
    out: Output,
    vpg: Annotated[str | None, typer.Option("--vpg", help="Only those of this VPG, by name or identifier.")] = None,
    by: Annotated[str | None, typer.Option("--by", help="Only those of this account; System: of none.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="Only later ones: 2026-11-25T09:30:00Z, or a part of it.")
    ] = None,
) -> None:
    """List what happened at the site, newest first, a thousand at most."""
    from farshore.cli.find import find_vpg

    vpg_id = find_vpg(api, vpg)["VpgIdentifier"] if vpg else None
    events: list[dict[str, Any]] = api.get("/events", vpgIdentifier=vpg_id, userName=by, startDate=since)
    rows = [
        (
            event["OccurredOn"],
            event["Kind"],
            event["UserName"],
            event["Origin"],
            event["Description"] + (f" -> {event['Result']}" if event["Result"] else ""),
        )
        for event in events
    ]
    out.table(events, ("when", "event", "by", "from", "what"), rows, empty="No events.")
