"""Pins of operations that nobody knows any more are dropped, with a word in the log [I21].

What crashed with its pin in place would keep the journal from ever letting anything go, and a commit from going on. The
recovery site decides: it has the operations, and its appliance knows of views, recovered VMs, clones and what was
discarded. Where anything is not sure - the other site or the appliance away, a row that is about to change hands -
nothing is dropped.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import structlog

from farshore.errors import FarshoreError
from farshore.model.recovery import GUARD
from farshore.model.vpg import Vpg
from farshore.site.failover_tests import OPEN_STATES
from farshore.site.hearing import Hearing
from farshore.site.site import Site

log = structlog.get_logger("pins")


class OldPins:
    """Looks after the pins of one site's journals."""

    def __init__(self, site: Site) -> None:
        """Nothing is looked at before the first turn."""
        self._site = site
        self._hearing = Hearing(site)

    async def turn(self) -> None:
        """One look at the pins of every VPG that is recovered here."""
        rows = [row for row in await asyncio.to_thread(self._site.vpgs.listed) if row.phase == "active"]
        kept = {row.vpg.id: row.vpg for row in rows if self._is_sure(row.vpg)}
        told = await self._hearing.statuses(self._site.id, list(kept))
        for vpg_id, status in told["vpgs"].items():
            if (status["journal"] or {}).get("pins"):
                try:
                    await self._look_at(kept[vpg_id])
                except FarshoreError as error:
                    log.info("pins could not be looked at", vpg=vpg_id, error=str(error))

    def _is_sure(self, vpg: Vpg) -> bool:
        """Whether the journal is this site's, and the other site has told nothing else of it."""
        return vpg.recovery_site_id == self._site.id and self._site.peers.connected(self._site.other_site(vpg))

    async def _look_at(self, vpg: Vpg) -> None:
        age_seconds = self._site.config.settings.forget_pins_seconds
        pins = await self._site.appliances.ask(self._site.id, "list_pins", vpg_id=vpg.id)
        old = [pin for pin in pins if pin["age_seconds"] >= age_seconds and not pin["needed_by"]]
        if not old:
            return
        # Read after the pins: whoever pinned had written down before what for.
        known = await asyncio.to_thread(self._known, vpg.id)
        for pin in old:
            if pin["operation"].removesuffix(GUARD) not in known:
                await self._drop(vpg, pin)

    def _known(self, vpg_id: str) -> str:
        """All words in which an operation can be named that is not over; to be named anywhere is to be known."""
        site = self._site
        row = site.vpgs.get(vpg_id)
        words: list[Any] = [row.to_json() if row else None]
        words += [task.to_json() for task in site.tasks.unfinished()]
        words += [test.__dict__ for test in site.tests.of(vpg_id, *OPEN_STATES)]
        words += [debt.__dict__ for debt in site.debts.all()]
        return json.dumps(words)

    async def _drop(self, vpg: Vpg, pin: dict[str, Any]) -> None:
        named = {"vpg_id": vpg.id, "operation": pin["operation"], "pinned_ns": pin["pinned_ns"]}
        if await self._site.appliances.ask(self._site.id, "drop_pin", **named):
            log.warning(
                "a pin was dropped whose operation nobody knows",
                vpg=vpg.id,
                operation=pin["operation"],
                checkpoint=pin["ordinal"],
                age_seconds=round(pin["age_seconds"]),
            )
