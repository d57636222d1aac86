"""What the API needs of a site's records, of the VMs held there and of exports: a part of `Services`."""

from __future__ import annotations

from typing import Protocol

from farshore.model.kept import KeptVolumesView
from farshore.model.record_views import AlertView, EventFilter, EventView, HeldVmView, KnownVpg, ReportFilter
from farshore.model.settings_export import SettingsExport
from farshore.model.views import ReportView


class RecordServices(Protocol):
    """Alerts, events, reports, held VMs, exports of the site behind the API; the promises are those of `Services`."""

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

    async def held_vms(self) -> list[HeldVmView]:
        """The VMs of this site that are held from being started, by name. Unavailable."""

    async def release_vm(self, vm_id: str, who: str) -> None:
        """Let the VM be started again; an event tells who. NotFound, Conflict (a VPG needs it held), Unavailable."""

    async def export_settings(self, names: tuple[str, ...]) -> SettingsExport:
        """Keep what the VPGs of these names (none: all) are set to, durable when this returns. BadInput."""

    async def settings_exports(self) -> list[int]:
        """When the exports were made that are still kept, unix nanoseconds, newest first."""

    async def settings_export(self, time_ns: int) -> SettingsExport | None:
        """The export of that second, or None."""

    async def kept_volumes(self) -> list[KeptVolumesView]:
        """Recovery volumes that were kept at this site when their VPG was deleted, oldest first. Unavailable."""

    async def remove_kept_volumes(self, kept_id: str, who: str) -> None:
        """Remove them for good; an event tells who. NotFound, Conflict (a VM has its disks there), Unavailable."""
