"""From alerts and events as the site keeps them to those that clients read."""

from __future__ import annotations

from fastapi import Request

from farshore.api.state import link
from farshore.api.telling import link_to
from farshore.api.wire.links import ResourceLink
from farshore.api.wire.moments import moment
from farshore.api.wire.records import AlertApi, EventApi, EventRelatedEntitiesApi
from farshore.model.event_kinds import EventEntity, event_type
from farshore.model.record_views import AlertView, EventView
from farshore.model.views import LocalSiteView


def _here(request: Request, site: LocalSiteView) -> ResourceLink:
    return ResourceLink(href=link(request, "/v1/localsite"), identifier=site.site_id, rel=site.name, type="SiteApi")


def _vpgs(request: Request, vpg_id: str) -> list[ResourceLink]:
    return [link_to(request, "VpgApi", "vpgs", vpg_id)] if vpg_id else []


def tell_alert(request: Request, site: LocalSiteView, view: AlertView) -> AlertApi:
    """One alert."""
    return AlertApi(
        level=view.level,
        entity=view.entity,
        help_identifier=view.help_id,
        description=view.fact,
        turned_on=moment(view.raised_ns),
        is_dismissed=view.dismissed,
        affected_vpgs=_vpgs(request, view.vpg_id),
        site=_here(request, site),
        link=link_to(request, "AlertApi", "alerts", view.alert_id),
        remedy=view.remedy,
    )


def went_well(view: EventView) -> bool:
    """Whether what the event tells of succeeded: an operation's end says so, or the answer to an audited change."""
    return not view.text.startswith("failed:") and view.result[:1] not in {"4", "5"}


def tell_event(request: Request, site: LocalSiteView, view: EventView) -> EventApi:
    """One event."""
    return EventApi(
        event_identifier=str(view.event_id),
        occurred_on=moment(view.occurred_ns),
        description=view.text,
        event_type=event_type(view.kind),
        entity_type=EventEntity.VPG if view.vpg_id else EventEntity.Site,
        event_completed_successfully=went_well(view),
        site_identifier=site.site_id,
        site_name=site.name,
        user_name=view.who or "System",
        related_entities=EventRelatedEntitiesApi(vpgs=_vpgs(request, view.vpg_id), sites=[_here(request, site)]),
        link=link_to(request, "EventApi", "events", str(view.event_id)),
        kind=view.kind,
        origin=view.origin,
        result=view.result,
    )
