"""Events: what happened at this site, newest first."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import TypeVar

from fastapi import APIRouter, Request, Response

from farshore.api.routes.spans import time_of
from farshore.api.state import SIGNED_IN, Site, query_of
from farshore.api.telling_records import tell_event
from farshore.api.wire.records import EventApi
from farshore.api.wire.reply import reply, reply_list, reply_texts
from farshore.errors import BadInput, NotFound
from farshore.model.enumerations import understand, words
from farshore.model.event_kinds import EventCategory, EventEntity, EventType, kinds_of
from farshore.model.record_views import EventFilter
from farshore.model.views import LocalSiteView

router = APIRouter(prefix="/v1/events", dependencies=SIGNED_IN)
Kind = TypeVar("Kind", bound=IntEnum)


def _choice(query: Mapping[str, str], member: str, kind: type[Kind]) -> Kind | None:
    text = query.get(member.lower())
    try:
        return None if text is None else understand(kind, text)
    except ValueError as error:
        raise BadInput(f"{member}: {error}.", "Name one of these.") from error


def _filter(query: Mapping[str, str], here: LocalSiteView) -> EventFilter | None:
    """What is asked for; None: nothing that there could be."""
    wanted = _choice(query, "eventType", EventType)
    entity = _choice(query, "entityType", EventEntity)
    category = _choice(query, "category", EventCategory) or _choice(query, "eventCategory", EventCategory)
    at = (query.get("siteidentifier", here.site_id).lower(), query.get("sitename", here.name))
    elsewhere = at != (here.site_id, here.name)
    if elsewhere or category is EventCategory.Alerts or {"zorgidentifier", "alertidentifier"} & query.keys():
        return None
    if entity in {EventEntity.VRA, EventEntity.Unknown}:
        return None
    who = query.get("username")
    vpg_id = query.get("vpgidentifier") or query.get("vpg")
    return EventFilter(
        kinds=None if wanted in {None, EventType.Unknown} else tuple(kinds_of(wanted)),
        who="" if who == "System" else who,
        vpg_id=vpg_id.lower() if vpg_id else None,
        of_vpgs=None if entity is None else entity is EventEntity.VPG,
        from_ns=time_of(query, "startDate"),
        to_ns=time_of(query, "endDate", end=True),
    )


@router.get("")
async def list_events(request: Request, site: Site) -> Response:
    """The newest thousand that fit."""
    here = await site.local_site()
    query = query_of(request)
    which = _filter(query, here)
    found = [] if which is None else await site.events(which)
    told = [tell_event(request, here, view) for view in found]
    if _choice(query, "eventType", EventType) is EventType.Unknown:
        told = [event for event in told if event.event_type is EventType.Unknown]
    return reply_list(request, EventApi, told)


@router.get("/types")
async def list_types(request: Request) -> Response:
    """What clients call what happened, by number."""
    return reply_texts(request, words(EventType))


@router.get("/entities")
async def list_entities(request: Request) -> Response:
    """What an event can be of, by number."""
    return reply_texts(request, words(EventEntity))


@router.get("/categories")
async def list_categories(request: Request) -> Response:
    """What can be asked for, by number."""
    return reply_texts(request, words(EventCategory))


@router.get("/{event_id}")
async def get_event(request: Request, event_id: str, site: Site) -> Response:
    """One event."""
    if event_id.isascii() and event_id.isdigit() and len(event_id) < 19:
        for view in await site.events(EventFilter(event_id=int(event_id))):
            return reply(request, tell_event(request, await site.local_site(), view))
    raise NotFound(f"There is no event {event_id}.", "List them with GET /v1/events.")
