"""VPGs as people see them: the row, joined with what both sites' appliances say at the moment.

The owner looks; the other site asks the owner, and shows its own row as DisconnectedFromPeer when there is no answer.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from farshore.errors import FarshoreError
from farshore.model.views import CheckpointView, VpgView
from farshore.model.vpg_state_table import judge
from farshore.site.clock import now_ns
from farshore.site.failover_tests import OPEN_STATES
from farshore.site.peer_client import ANSWER_SECONDS
from farshore.site.peer_server import Call
from farshore.site.recovery_views import recovery_view, sync_view, test_view, way_home_view
from farshore.site.site import Site
from farshore.site.status import Heard, facts, reason, sync_percentage
from farshore.site.vpgs import VpgRow

ASK_SECONDS = 1.2
"""Less than a caller at the other site waits for the whole answer."""


def checkpoint_view(told: dict[str, Any]) -> CheckpointView:
    """A checkpoint as the appliance tells it, as people see it."""
    return CheckpointView(
        checkpoint_id=str(told["id"]),
        time_ns=told["time_ns"],
        tag=told.get("tag"),
        hole_before=bool(told.get("hole_before")),
    )


class VpgViews:
    """Makes the views of one site's VPGs."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._received: dict[str, tuple[float, int, int]] = {}  # per VPG: when, bytes received then, bytes a second

    def calls(self) -> dict[str, Call]:
        """What other sites may ask."""
        return {"vpg_views": self.answer_views}

    async def answer_views(self, caller: str, _arguments: dict[str, Any]) -> list[dict[str, Any]]:
        """The views of the VPGs that this site owns and the caller has a part in."""
        rows = await asyncio.to_thread(self._site.vpgs.listed)
        own = [r for r in rows if r.vpg.owner_site_id == self._site.id and self._site.other_site(r.vpg) == caller]
        views = await asyncio.gather(*(self.look(row) for row in own))
        return [view.model_dump(mode="json") for view in views]

    async def all(self) -> list[VpgView]:
        """All VPGs that this site has a part in, by name."""
        rows = await asyncio.to_thread(self._site.vpgs.listed)
        owners = {row.vpg.owner_site_id for row in rows} - {self._site.id}
        answers = dict(zip(owners, await asyncio.gather(*(self._ask(owner) for owner in owners)), strict=True))

        async def view(row: VpgRow) -> VpgView:
            if row.vpg.owner_site_id == self._site.id:
                return await self.look(row)
            told = answers[row.vpg.owner_site_id]
            if told is not None and row.vpg.id in told:
                return told[row.vpg.id]
            return await self._show(row, Heard(connected=told is not None))

        return sorted(await asyncio.gather(*(view(row) for row in rows)), key=lambda view: (view.name, view.vpg_id))

    async def _ask(self, owner: str) -> dict[str, VpgView] | None:
        try:
            told = await self._site.client.call(owner, "vpg_views", {}, ANSWER_SECONDS)
        except FarshoreError:
            return None
        return {data["vpg_id"]: VpgView.model_validate(data) for data in told}

    async def look(self, row: VpgRow) -> VpgView:
        """The owner's view: ask both appliances, each within `ASK_SECONDS`."""
        vpg = row.vpg

        async def ask(site_id: str, name: str, **arguments: Any) -> Any:
            try:
                return await self._site.appliances.ask(site_id, name, seconds=ASK_SECONDS, vpg_id=vpg.id, **arguments)
            except FarshoreError:
                return None

        protection, journal, newest, oldest = await asyncio.gather(
            ask(vpg.protected_site_id, "protection_status"),
            ask(vpg.recovery_site_id, "journal_status"),
            ask(vpg.recovery_site_id, "list_checkpoints", limit=1, newest_first=True),
            ask(vpg.recovery_site_id, "list_checkpoints", limit=1, newest_first=False),
        )
        connected = protection is not None or self._site.peers.connected(self._site.other_site(vpg))
        promotion, recovered = None, None
        if vpg.recovery is not None:
            if vpg.recovery.stage == "committing":
                promotion = await self._of_recovery("promotion_status", vpg.recovery.operation)
            recovered = await self._of_recovery("recovered_status", vpg.recovery.operation)
        both = await asyncio.to_thread(self._site.alerts.fact, f"both {vpg.id}") if vpg.way_home else ""
        first, last = oldest[0] if oldest else None, newest[0] if newest else None
        return await self._show(row, Heard(protection, journal, last, first, connected, promotion, both, recovered))

    async def _of_recovery(self, call: str, operation: str) -> Any:
        ask = self._site.appliances.ask
        try:
            return await ask(self._site.id, call, seconds=ASK_SECONDS, operation=operation)
        except FarshoreError:
            return None

    async def _show(self, row: VpgRow, heard: Heard) -> VpgView:
        vpg, site = row.vpg, self._site
        found = facts(row, heard, now_ns())
        status, substatus = judge(found)
        tests = await asyncio.to_thread(site.tests.of, vpg.id)
        names = [await asyncio.to_thread(site.site_name, s) for s in (vpg.protected_site_id, vpg.recovery_site_id)]
        age = found.newest_checkpoint_age_seconds
        return VpgView(
            vpg_id=vpg.id,
            name=vpg.name,
            protected_site_id=vpg.protected_site_id,
            protected_site_name=names[0],
            recovery_site_id=vpg.recovery_site_id,
            recovery_site_name=names[1],
            settings=vpg.settings,
            vms=vpg.vms,
            status=status,
            substatus=substatus,
            reason=reason(heard, changing_over=vpg.recovery is not None),
            progress_percentage=sync_percentage(heard),
            actual_rpo_seconds=None if age is None else int(age),
            earliest_checkpoint=checkpoint_view(heard.oldest) if heard.oldest else None,
            latest_checkpoint=checkpoint_view(heard.newest) if heard.newest else None,
            tests=tuple(test_view(test) for test in tests if test.state in OPEN_STATES),
            recovery=recovery_view(vpg.recovery, await asyncio.to_thread(site.deadlines.get, vpg.id), heard),
            way_home=way_home_view(vpg),
            sync=sync_view(heard),
            last_test_ns=max((test.ended_ns for test in tests if test.ended_ns), default=None),
            provisioned_bytes=sum(volume.size_bytes for volume in vpg.volumes),
            used_journal_bytes=int((heard.journal or {}).get("journal_bytes") or 0),
            bytes_per_second=self._rate(vpg.id, heard),
        )

    def _rate(self, vpg_id: str, heard: Heard) -> int:
        """Bytes a second since the last look, as the taps received them."""
        received = (heard.protection or {}).get("received_bytes")
        if received is None:
            return 0
        now = time.monotonic()
        then, before, rate = self._received.get(vpg_id, (now, int(received), 0))
        if now - then >= 1.0:
            rate = max(0, int((received - before) / (now - then)))
            then, before = now, int(received)
        self._received[vpg_id] = (then, before, rate)
        return rate
