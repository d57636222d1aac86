"""Alerts: read, dismissed and taken up again."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Request, Response

from farshore.api.routes.matching import is_true
from farshore.api.routes.spans import time_of
from farshore.api.services import Services
from farshore.api.state import SIGNED_IN, SignedIn, Site, query_of
from farshore.api.telling_records import tell_alert
from farshore.api.wire.body import ignore_body
from farshore.api.wire.records import AlertApi
from farshore.api.wire.reply import reply, reply_list, reply_text, reply_texts
from farshore.errors import NotFound
from farshore.model.event_kinds import ALERT_ENTITIES, ALERT_HELP, ALERT_HELP_OTHER, ALERT_LEVELS
from farshore.model.record_views import AlertView

router = APIRouter(prefix="/v1/alerts", dependencies=SIGNED_IN)


def _fits(view: AlertView, query: Mapping[str, str], site_id: str) -> bool:
    start, end = time_of(query, "startDate"), time_of(query, "endDate", end=True)
    dismissed = query.get("isdismissed")
    texts = (
        ("vpgidentifier", view.vpg_id),
        ("siteidentifier", site_id),
        ("level", view.level),
        ("entity", view.entity),
        ("helpidentifier", view.help_id),
    )
    return (
        all(query.get(key, value).lower() == value.lower() for key, value in texts)
        and (start is None or view.raised_ns >= start)
        and (end is None or view.raised_ns <= end)
        and (dismissed is None or is_true(dismissed, "isDismissed") is view.dismissed)
        and "zorgidentifier" not in query
    )


@router.get("")
async def list_alerts(request: Request, site: Site) -> Response:
    """The alerts that stand, oldest first."""
    here, query = await site.local_site(), query_of(request)
    found = [view for view in await site.alerts() if _fits(view, query, here.site_id)]
    return reply_list(request, AlertApi, [tell_alert(request, here, view) for view in found])


@router.get("/levels")
async def list_levels(request: Request) -> Response:
    """The words for how bad it is."""
    return reply_texts(request, ALERT_LEVELS)


@router.get("/entities")
async def list_entities(request: Request) -> Response:
    """The words for what it is of."""
    return reply_texts(request, ALERT_ENTITIES)


@router.get("/helpidentifiers")
async def list_help(request: Request) -> Response:
    """The identifiers by which the docs tell of each matter."""
    return reply_texts(request, sorted([*ALERT_HELP.values(), ALERT_HELP_OTHER]))


async def _find(site: Services, alert_id: str) -> AlertView:
    for view in await site.alerts():
        if view.alert_id.lower() == alert_id.lower():
            return view
    raise NotFound(f"There is no alert {alert_id}.", "List those that stand with GET /v1/alerts.")


@router.get("/{alert_id}")
async def get_alert(request: Request, alert_id: str, site: Site) -> Response:
    """One alert."""
    return reply(request, tell_alert(request, await site.local_site(), await _find(site, alert_id)))


@router.post("/{alert_id}/dismiss")
async def dismiss(request: Request, alert_id: str, caller: SignedIn, site: Site) -> Response:
    """Say that somebody has seen to it; it stands until its matter is gone."""
    return await _set(request, alert_id, caller, site, dismissed=True)


@router.post("/{alert_id}/undismiss")
async def undismiss(request: Request, alert_id: str, caller: SignedIn, site: Site) -> Response:
    """Take that back."""
    return await _set(request, alert_id, caller, site, dismissed=False)


async def _set(request: Request, alert_id: str, caller: SignedIn, site: Services, *, dismissed: bool) -> Response:
    view = await _find(site, alert_id)
    await ignore_body(request)
    await site.dismiss_alert(view.alert_id, dismissed=dismissed, who=caller.account.name)
    return reply_text(request, view.alert_id)
