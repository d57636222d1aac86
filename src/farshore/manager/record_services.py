"""The part of the API's services that reads the site's records: alerts, events, reports of operations."""

from __future__ import annotations

import asyncio

from farshore.errors import Unavailable
from farshore.manager.filters import conditions_of
from farshore.manager.reports import Reports
from farshore.model.event_kinds import alert_help
from farshore.model.record_views import AlertView, EventFilter, EventView, KnownVpg, ReportFilter
from farshore.model.views import ReportView
from farshore.site.alerts import Alert
from farshore.site.site import Site


def alert_view(alert: Alert) -> AlertView:
    """An alert as people see it."""
    return AlertView(
        alert_id=alert.id,
        level=alert.level.capitalize(),
        entity="Vpg" if alert.vpg_id else "Zvm",
        help_id=alert_help(alert.key),
        fact=alert.fact,
        remedy=alert.remedy,
        raised_ns=alert.raised_ns,
        dismissed=bool(alert.dismissed),
        vpg_id=alert.vpg_id,
    )


def without_output(report: ReportView) -> ReportView:
    """A thousand reports of scripts that print much would be a long list."""
    scripts = tuple(run.model_copy(update={"output": ""}) for run in report.scripts)
    return report.model_copy(update={"scripts": scripts})


class RecordServices:
    """See api.services for what each method promises."""

    _site: Site
    _reports: Reports

    async def known_vpg(self, vpg_id: str) -> KnownVpg | None:
        """What the row says of a VPG, or None."""
        row = await asyncio.to_thread(self._site.vpgs.get, vpg_id)
        if row is None or row.phase == "released":
            return None
        recovery = row.vpg.recovery
        reverse = recovery is not None and recovery.reverse_protection
        return KnownVpg(vpg_id=row.vpg.id, name=row.vpg.name, vms=row.vpg.vms, reverse_protection=reverse)

    async def alerts(self) -> list[AlertView]:
        """All alerts that stand, oldest first."""
        return [alert_view(alert) for alert in await asyncio.to_thread(self._site.alerts.all)]

    async def dismiss_alert(self, alert_id: str, *, dismissed: bool, who: str) -> None:
        """Say that a person has seen to it, or take that back. NotFound."""
        alert = await asyncio.to_thread(self._site.alerts.dismiss, alert_id, dismissed)
        text = f"An alert was {'dismissed' if dismissed else 'taken up again'}: {alert.fact}"
        await asyncio.to_thread(self._site.alerts.record, "alert", text, who=who, vpg_id=alert.vpg_id)

    async def events(self, which: EventFilter) -> list[EventView]:
        """Events that the filter lets through, newest first."""
        columns = self._site.alerts.columns
        wanted = (
            (which.event_id, columns.id.__eq__),
            (which.kinds, columns.kind.in_),
            (which.who, columns.who.__eq__),
            (which.vpg_id, columns.vpg_id.__eq__),
            (which.from_ns, columns.occurred_ns.__ge__),
            (which.to_ns, columns.occurred_ns.__le__),
        )
        conditions = conditions_of(wanted)
        if which.of_vpgs is not None:
            conditions.append(columns.vpg_id != "" if which.of_vpgs else columns.vpg_id == "")
        found = await asyncio.to_thread(self._site.alerts.newest_events, which.limit, *conditions)
        return [
            EventView(
                event_id=event.id,
                kind=event.kind,
                text=event.text,
                who=event.who,
                vpg_id=event.vpg_id,
                occurred_ns=event.occurred_ns,
                origin=event.origin,
                result=event.result,
            )
            for event in found
        ]

    async def reports(self, which: ReportFilter) -> list[ReportView]:
        """Reports of the operations that the filter lets through, newest first, without what scripts printed.

        One that the other site carries out and does not answer for is told by its task alone, without steps.
        """
        columns = self._site.tasks.columns
        wanted = (
            (which.types, columns.type.in_),
            (which.vpg_names, columns.vpg_name.in_),
            (which.states, columns.state.in_),
            (which.from_ns, columns.started_ns.__ge__),
            (which.to_ns, columns.started_ns.__le__),
        )
        conditions = conditions_of(wanted)
        found = await asyncio.to_thread(self._site.tasks.newest, which.skip + which.limit, *conditions)
        reports = [await self._report_of(task.id) for task in found[which.skip :]]
        return [without_output(report) for report in reports]

    async def _report_of(self, task_id: str) -> ReportView:
        try:
            report = await self._reports.of(task_id)
        except Unavailable:
            report = None
        return report or await self._reports.without_steps(task_id)
