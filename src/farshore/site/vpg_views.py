"""VPGs as people see them: the row, joined with what both sites' appliances say at the moment.

The owner looks; the other site asks the owner, and shows its own row as DisconnectedFromPeer when there is no answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from farshore.errors import FarshoreError
from farshore.model.views import CheckpointView, VpgView
from farshore.model.vpg import Vpg
from farshore.model.vpg_state_table import judge
from farshore.model.vpg_states import VpgStatus, VpgSubStatus
from farshore.site.clock import now_ns
from farshore.site.deadlines import Deadline
from farshore.site.failover_tests import OPEN_STATES, FailoverTest
from farshore.site.hearing import Hearing
from farshore.site.peer_client import ANSWER_SECONDS
from farshore.site.peer_server import Call
from farshore.site.recovery_views import recovery_view, sync_view, test_view, way_home_view
from farshore.site.site import Site
from farshore.site.status import Heard, facts, reason, sync_percentage
from farshore.site.vpgs import VpgRow


@dataclass(frozen=True)
class Judged:
    """How a VPG stands, and why."""

    vpg: Vpg
    status: VpgStatus
    substatus: VpgSubStatus
    reason: str


@dataclass(frozen=True)
class _Known:
    """What the site's own tables say, by identifiers of sites and VPGs."""

    names: dict[str, str]
    tests: dict[str, list[FailoverTest]]
    deadlines: dict[str, Deadline]


def _reason(row: VpgRow, heard: Heard) -> str:
    return reason(heard, changing_over=row.vpg.recovery is not None)


def _by_whether(rows: Sequence[VpgRow], condition: Callable[[VpgRow], bool]) -> tuple[list[VpgRow], list[VpgRow]]:
    return [row for row in rows if condition(row)], [row for row in rows if not condition(row)]


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
        self._hearing = Hearing(site)
        self._received: dict[str, tuple[float, int, int]] = {}  # per VPG: when, bytes received then, bytes a second

    def calls(self) -> dict[str, Call]:
        """What other sites may ask."""
        return {"vpg_views": self.answer_views}

    async def answer_views(self, caller: str, _arguments: dict[str, Any]) -> list[dict[str, Any]]:
        """The views of the VPGs that this site owns and the caller has a part in."""
        rows = await asyncio.to_thread(self._site.vpgs.listed)
        own = [r for r in rows if r.vpg.owner_site_id == self._site.id and self._site.other_site(r.vpg) == caller]
        views = await self._look_at(own)
        return [view.model_dump(mode="json") for view in views]

    async def all(self) -> list[VpgView]:
        """All VPGs that this site has a part in, by name."""
        rows = await asyncio.to_thread(self._site.vpgs.listed)
        owners = {row.vpg.owner_site_id for row in rows} - {self._site.id}
        answers = dict(zip(owners, await asyncio.gather(*(self._ask(owner) for owner in owners)), strict=True))

        own, others = _by_whether(rows, lambda row: row.vpg.owner_site_id == self._site.id)
        views, known = await self._look_at(own), await asyncio.to_thread(self._known)
        for row in others:
            told = answers[row.vpg.owner_site_id]
            if told is not None and row.vpg.id in told:
                views.append(told[row.vpg.id])
            else:
                views.append(self._show(row, Heard(connected=told is not None), known))
        return sorted(views, key=lambda view: (view.name, view.vpg_id))

    async def _ask(self, owner: str) -> dict[str, VpgView] | None:
        try:
            told = await self._site.client.call(owner, "vpg_views", {}, ANSWER_SECONDS)
        except FarshoreError:
            return None
        return {data["vpg_id"]: VpgView.model_validate(data) for data in told}

    async def look(self, row: VpgRow) -> VpgView:
        """The owner's view of one VPG, of this moment."""
        (view,) = await self._look_at([row], fresh=True)
        return view

    async def judge(self, rows: Sequence[VpgRow]) -> list[Judged]:
        """How these VPGs stand, in short; for the owner."""
        heard = await self._hearing.of(rows, recoveries=False)
        at_ns = now_ns()
        return [
            Judged(row.vpg, *judge(facts(row, heard[row.vpg.id], at_ns)), _reason(row, heard[row.vpg.id]))
            for row in rows
        ]

    async def _look_at(self, rows: Sequence[VpgRow], *, fresh: bool = False) -> list[VpgView]:
        heard = await self._hearing.of(rows, fresh=fresh)
        known = await asyncio.to_thread(self._known)
        return [self._show(row, heard[row.vpg.id], known) for row in rows]

    def _known(self) -> _Known:
        site = self._site
        deadlines = {deadline.vpg_id: deadline for deadline in site.deadlines.all()}
        names = {peer.site_id: peer.name for peer in site.peers.all()} | {site.id: site.config.name}
        return _Known(names, site.tests.by_vpg(), deadlines)

    def _show(self, row: VpgRow, heard: Heard, known: _Known) -> VpgView:
        vpg = row.vpg
        found = facts(row, heard, now_ns())
        status, substatus = judge(found)
        tests = known.tests.get(vpg.id, [])
        age = found.newest_checkpoint_age_seconds
        return VpgView(
            vpg_id=vpg.id,
            name=vpg.name,
            protected_site_id=vpg.protected_site_id,
            protected_site_name=known.names.get(vpg.protected_site_id, vpg.protected_site_id),
            recovery_site_id=vpg.recovery_site_id,
            recovery_site_name=known.names.get(vpg.recovery_site_id, vpg.recovery_site_id),
            settings=vpg.settings,
            vms=vpg.vms,
            status=status,
            substatus=substatus,
            reason=_reason(row, heard),
            progress_percentage=sync_percentage(heard),
            actual_rpo_seconds=None if age is None else int(age),
            earliest_checkpoint=checkpoint_view(heard.oldest) if heard.oldest else None,
            latest_checkpoint=checkpoint_view(heard.newest) if heard.newest else None,
            tests=tuple(test_view(test) for test in tests if test.state in OPEN_STATES),
            recovery=recovery_view(vpg.recovery, known.deadlines.get(vpg.id), heard),
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
