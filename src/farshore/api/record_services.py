"""What the API needs of a site's records: the part of `Services` that only reads, but for an alert's dismissal."""

from __future__ import annotations

from typing import Protocol

from farshore.model.record_views import AlertView, EventFilter, EventView, KnownVpg, ReportFilter
from farshore.model.views import ReportView


class RecordServices(Protocol):
    """Alerts, events and reports of the site behind the API; the promises are those of `Services`."""

    async def known_vpg(self, vpg_id: str) -> KnownVpg | None:
        """What the site's own record says of a VPG, or None; it asks nobody, and answers at once."""

    async def alerts(self) -> list[AlertView]:
        """All alerts that stand, oldest first."""

    async def dismiss_alert(self, alert_id: str, *, dismissed: bool, who: str) -> None:
        """Say that a person has seen to it, or take that back; an event tells who. NotFound."""

    async def events(self, which: EventFilter) -> list[EventView]:
        """Events that the filter lets through, newest first."""

    async def reports(self, which: ReportFilter) -> list[ReportView]:
        """Reports of the operations that the filter lets through, newest first; without steps where none can be had."""
