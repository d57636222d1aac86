"""Recovery volumes that were kept when their VPG was deleted, and their removal by a person."""

from __future__ import annotations

import asyncio
from typing import Any

from farshore.model.kept import KeptVolumesView, KeptVolumeView
from farshore.site.site import Site

REMOVE_SECONDS = 2.5
"""Files of any size are put out of sight at once, and removed after that."""


class KeptServices:
    """See api.record_services for what each method promises."""

    _site: Site

    async def kept_volumes(self) -> list[KeptVolumesView]:
        """What is kept at this site, oldest first."""
        return [_view(told) for told in await self._site.appliances.ask(self._site.id, "kept_volumes")]

    async def remove_kept_volumes(self, kept_id: str, who: str) -> None:
        """Remove a set for good."""
        known = {view.kept_id: view for view in await self.kept_volumes()}
        await self._site.appliances.order(self._site.id, "remove_kept", within=REMOVE_SECONDS, identifier=kept_id)
        view = known.get(kept_id.lower())
        of = f" of VPG {view.vpg_name}" if view else ""
        text = f"The kept volumes {kept_id}{of} were removed."
        await asyncio.to_thread(self._site.alerts.record, "kept_removed", text, who=who)


def _view(told: dict[str, Any]) -> KeptVolumesView:
    return KeptVolumesView(
        kept_id=told["identifier"],
        vpg_id=told["vpg_id"],
        vpg_name=told["vpg_name"],
        checkpoint_id=told["checkpoint_id"],
        checkpoint_time_ns=told["checkpoint_time_ns"],
        kept_ns=told["kept_ns"],
        folder=told["folder"],
        volumes=tuple(
            KeptVolumeView(
                vm_id=volume["vm_id"],
                vm_name=volume["vm_name"],
                disk_id=volume["disk_id"],
                size_bytes=volume["size_bytes"],
                path=f"{told['folder']}/{volume['file']}",
            )
            for volume in told["volumes"]
        ),
    )
