"""The part of the API's services that keeps what VPGs are set to: exports, which survive the manager."""

from __future__ import annotations

import asyncio

from farshore.errors import BadInput, Fault
from farshore.model.settings_export import ExportedVpg, SettingsExport
from farshore.site.clock import now_ns
from farshore.site.site import Site


class ExportServices:
    """See api.record_services for what each method promises."""

    _site: Site

    async def export_settings(self, names: tuple[str, ...]) -> SettingsExport:
        """Keep what the VPGs of these names are set to (none named: all)."""
        return await asyncio.to_thread(self._export, names)

    async def settings_exports(self) -> list[int]:
        """When the kept exports were made, newest first."""
        return await asyncio.to_thread(self._site.exports.times_ns)

    async def settings_export(self, time_ns: int) -> SettingsExport | None:
        """The export of that second, or None."""
        return await asyncio.to_thread(self._site.exports.get, time_ns)

    def _export(self, names: tuple[str, ...]) -> SettingsExport:
        rows = {row.vpg.name: row.vpg for row in self._site.vpgs.listed()}
        for name in names:
            if name not in rows:
                raise BadInput(f"VpgNames: there is no VPG {name}.", "List them with GET /v1/vpgs; names are exact.")
        chosen = [rows[name] for name in dict.fromkeys(names)] if names else list(rows.values())
        exported = tuple(
            ExportedVpg(
                vpg_id=vpg.id,
                name=vpg.name,
                protected_site_id=vpg.protected_site_id,
                protected_site_name=self._site.site_name(vpg.protected_site_id),
                recovery_site_id=vpg.recovery_site_id,
                recovery_site_name=self._site.site_name(vpg.recovery_site_id),
                settings=vpg.settings,
                vms=vpg.vms,
            )
            for vpg in chosen
        )
        try:
            return self._site.exports.add(exported, now_ns())
        except OSError as error:
            raise Fault(f"The export cannot be written: {error}.", "Look at the site's folder.") from error
