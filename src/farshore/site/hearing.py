"""What both sites' appliances say of many VPGs: one call to each of them, however many VPGs there are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from farshore.errors import FarshoreError
from farshore.model.vpg import Vpg
from farshore.site.site import Site
from farshore.site.status import Heard
from farshore.site.vpgs import VpgRow

ASK_SECONDS = 1.2
"""Less than a caller at the other site waits for the whole answer."""
UNWATCHED_SECONDS = 5.0
"""For so long nothing is said of a VPG that is to be protected before that is told as a fault."""
_SILENT: dict[str, Any] = {"vpgs": {}, "operations": {}}
_Checkpoint = dict[str, Any] | None


class Hearing:
    """Asks for one site."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._ends: dict[str, tuple[str, _Checkpoint, _Checkpoint]] = {}  # per VPG: where, newest, oldest
        self._silent_since: dict[str, float] = {}  # per VPG: monotonic seconds

    async def statuses(
        self, site_id: str, vpg_ids: Sequence[str], operations: Sequence[str] = (), *, fresh: bool = False
    ) -> dict[str, Any]:
        """What the appliance of that site says; nothing of any VPG when it does not answer."""
        named: dict[str, Any] = {"vpg_ids": list(vpg_ids), "fresh": fresh}
        if operations:
            named["operations"] = list(operations)
        try:
            said: dict[str, Any] = await self._site.appliances.ask(
                site_id, "vpg_statuses", seconds=ASK_SECONDS, **named
            )
        except FarshoreError:
            return _SILENT
        return said

    async def of(self, rows: Sequence[VpgRow], *, recoveries: bool = True, fresh: bool = False) -> dict[str, Heard]:
        """What is heard of each VPG, by its identifier. `recoveries`: also of what was recovered at this site."""
        ids: dict[str, set[str]] = {self._site.id: set()}
        for row in rows:
            for site_id in (row.vpg.protected_site_id, row.vpg.recovery_site_id):
                ids.setdefault(site_id, set()).add(row.vpg.id)
        operations = [row.vpg.recovery.operation for row in rows if row.vpg.recovery is not None and recoveries]
        asked = [
            self.statuses(site_id, sorted(found), operations if site_id == self._site.id else (), fresh=fresh)
            for site_id, found in ids.items()
        ]
        said = dict(zip(ids, await asyncio.gather(*asked), strict=True))
        both = await asyncio.to_thread(self._both_run) if any(row.vpg.way_home for row in rows) else {}
        heard = {row.vpg.id: self._heard(row, said, both) for row in rows}
        await self._forget_removed()
        return heard

    async def _forget_removed(self) -> None:
        known = await asyncio.to_thread(self._site.vpgs.ids)
        for kept in (self._ends, self._silent_since):
            for vpg_id in kept.keys() - known:
                del kept[vpg_id]

    def _both_run(self) -> dict[str, str]:
        return {alert.key: alert.fact for alert in self._site.alerts.all() if alert.key.startswith("both ")}

    def _heard(self, row: VpgRow, said: dict[str, dict[str, Any]], both: dict[str, str]) -> Heard:
        vpg = row.vpg
        protection = said[vpg.protected_site_id]["vpgs"].get(vpg.id, {}).get("protection")
        journal, (newest, oldest) = self._journal(vpg, said[vpg.recovery_site_id]["vpgs"])
        told: dict[str, Any] = {}
        if vpg.recovery is not None:
            told = said[self._site.id]["operations"].get(vpg.recovery.operation, {})
        connected = protection is not None or self._site.peers.connected(self._site.other_site(vpg))
        return Heard(
            protection=protection,
            journal=journal,
            newest=newest,
            oldest=oldest,
            connected=connected,
            unwatched=self._is_unwatched(row, spoken_of=protection is not None or not connected),
            promotion=told.get("promotion"),
            both_run=both.get(f"both {vpg.id}", "") if vpg.way_home else "",
            recovered=told.get("recovered"),
        )

    def _is_unwatched(self, row: VpgRow, *, spoken_of: bool) -> bool:
        vpg = row.vpg
        at_home = vpg.recovery is None and (vpg.way_home is None or vpg.way_home.began)
        if spoken_of or not (row.phase == "active" and at_home and vpg.vms):
            self._silent_since.pop(vpg.id, None)
            return False
        return time.monotonic() - self._silent_since.setdefault(vpg.id, time.monotonic()) > UNWATCHED_SECONDS

    def _journal(self, vpg: Vpg, said: dict[str, Any]) -> tuple[dict[str, Any] | None, tuple[_Checkpoint, _Checkpoint]]:
        """The journal's status, and its newest and oldest checkpoint.

        That a journal does not answer says nothing of its checkpoints: it has those that it last told of.
        """
        where, told = vpg.recovery_site_id, said.get(vpg.id)
        journal = told["journal"] if told is not None else None
        if told is None or (journal is not None and "newest_checkpoint" not in journal):
            known = self._ends.get(vpg.id)
            return None, known[1:] if known is not None and known[0] == where else (None, None)
        ends = ((journal or {}).get("newest_checkpoint"), (journal or {}).get("oldest_checkpoint"))
        self._ends[vpg.id] = (where, *ends)
        return journal, ends
