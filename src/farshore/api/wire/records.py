"""Alerts and events as clients read them; members of our own stand at the end of each model."""

from __future__ import annotations

from pydantic import Field

from farshore.api.wire.links import ResourceLink
from farshore.api.wire.model import Wire
from farshore.api.wire.moments import Moment
from farshore.model.event_kinds import EventEntity, EventType


class AlertApi(Wire):
    """Something that a person should see to."""

    level: str
    entity: str
    help_identifier: str
    description: str
    turned_on: Moment
    is_dismissed: bool
    affected_vpgs: list[ResourceLink]
    affected_zorgs: list[ResourceLink] = Field(default_factory=list)
    site: ResourceLink
    link: ResourceLink
    remedy: str
    """Our own: what to do about it."""


class EventRelatedEntitiesApi(Wire):
    """What it was about."""

    vpgs: list[ResourceLink]
    sites: list[ResourceLink]
    hosts: list[ResourceLink] = Field(default_factory=list)
    zorgs: list[ResourceLink] = Field(default_factory=list)
    alerts: list[ResourceLink] = Field(default_factory=list)
    flr_sessions: list[ResourceLink] = Field(default_factory=list)
    repositories: list[ResourceLink] = Field(default_factory=list)


class EventApi(Wire):
    """Something that happened. An event that the original has no number for is of EventType 0, Unknown."""

    event_identifier: str
    occurred_on: Moment
    description: str
    event_type: EventType
    event_category: str = "Events"
    entity_type: EventEntity
    event_completed_successfully: bool
    help_link: str = ""
    site_identifier: str
    site_name: str
    user_name: str
    related_entities: EventRelatedEntitiesApi
    link: ResourceLink
    kind: str
    """Our own, as those that follow: the event in Farshore's own word."""
    origin: str
    """Of an audited change: the address that it came from."""
    result: str
    """Of an audited change: what was answered."""
