"""What follows from a VPG's row by itself, at whichever site: until all is as the row says, it is done again.

Each turn looks at rows on which nothing runs. Protecting back begins when it was asked for and the other site answers;
ownership goes over at its first checkpoint; a protected site that knows an older epoch is told; a site that is not the
protected one any more takes its taps off; calls that are owed are made; and that both sites' VMs run is told.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

import structlog

from farshore.errors import FarshoreError
from farshore.model.recovery import WayHome
from farshore.model.task import TaskType
from farshore.model.vpg import Vpg
from farshore.operations.orders import Orders
from farshore.site.hearing import Hearing
from farshore.site.site import Site
from farshore.site.specs import protect_spec
from farshore.site.vpgs import VpgRow

AGAIN_SECONDS = 30.0
"""How long a protection back that failed waits before it is tried again by itself."""
ASK_SECONDS = 2.0
ORDER_SECONDS = 10.0
SEED_CHECKPOINT = "0"
"""The old disks' own state: no checkpoint of the sync back."""
WHO = "the manager"
OFF = ("off", "halted")

log = structlog.get_logger("rows")


class RowKeeping:
    """Looks after the rows of one site."""

    def __init__(self, site: Site, orders: Orders) -> None:
        """Nothing is done before the first turn."""
        self._site = site
        self._orders = orders
        self._hearing = Hearing(site)
        self._tried: dict[str, float] = {}

    async def turn(self) -> None:
        """One look at every row; what fails is tried again at the next."""
        busy = {task.vpg_id for task in await asyncio.to_thread(self._site.tasks.unfinished) if task.changing}
        rows = [row for row in await asyncio.to_thread(self._site.vpgs.listed) if row.phase == "active"]
        quiet = [row.vpg for row in rows if row.vpg.id not in busy and row.vpg.recovery is None]
        protections = await self._protections([vpg for vpg in quiet if vpg.recovery_site_id == self._site.id])
        standing = {alert.key for alert in await asyncio.to_thread(self._site.alerts.all)}
        await asyncio.gather(*(self._keep(vpg, protections, standing) for vpg in quiet))
        await self.pay(busy)

    async def _protections(self, vpgs: list[Vpg]) -> dict[tuple[str, str], dict[str, Any] | None]:
        """{(site, VPG): what that site's appliance says of protecting it}; without what did not answer."""
        ids: dict[str, list[str]] = {self._site.id: [vpg.id for vpg in vpgs]}
        for vpg in vpgs:
            if self._site.peers.connected(vpg.protected_site_id):
                ids.setdefault(vpg.protected_site_id, []).append(vpg.id)
        asked = [(site_id, found) for site_id, found in ids.items() if found]
        said = await asyncio.gather(*(self._hearing.statuses(site_id, found) for site_id, found in asked))
        return {
            (site_id, vpg_id): status["protection"]
            for (site_id, _), told in zip(asked, said, strict=True)
            for vpg_id, status in told["vpgs"].items()
        }

    async def _keep(
        self, vpg: Vpg, protections: dict[tuple[str, str], dict[str, Any] | None], standing: set[str]
    ) -> None:
        try:
            if vpg.recovery_site_id == self._site.id and protections.get((self._site.id, vpg.id)) is not None:
                await self._retire_own_taps(vpg)
            await self._tell_that_both_run(vpg, standing)
            if vpg.owner_site_id != self._site.id or not self._site.peers.connected(self._site.other_site(vpg)):
                return
            if vpg.way_home is None:
                there = (vpg.protected_site_id, vpg.id)
                if there in protections:
                    await self._tell_epoch(vpg, protections[there])
            elif vpg.protected_site_id == self._site.id and vpg.way_home.began:
                await self._hand_over(vpg, vpg.way_home)
            elif vpg.protected_site_id == self._site.id and vpg.way_home.asked:
                await self._begin_way_home(vpg)
        except FarshoreError as error:
            log.info("a row could not be kept yet", vpg=vpg.id, error=str(error))

    async def _ask(self, site_id: str, name: str, **arguments: Any) -> Any:
        return await self._site.appliances.ask(site_id, name, seconds=ASK_SECONDS, **arguments)

    async def _is_still(self, vpg: Vpg) -> bool:
        """Whether the row is the one that was looked at: what follows from an older one may be wrong by now."""
        row = await asyncio.to_thread(self._site.vpgs.get, vpg.id)
        return row is not None and row.vpg == vpg

    async def _retire_own_taps(self, vpg: Vpg) -> None:
        """This site is the recovery site: what it still believes to protect, it does not."""
        if not await self._is_still(vpg):
            return
        await self._site.appliances.order(self._site.id, "retire_protection", within=ORDER_SECONDS, vpg_id=vpg.id)
        fact = f"VPG {vpg.name} runs at the other site (epoch {vpg.epoch}): its protection from here was ended."
        await asyncio.to_thread(self._site.alerts.record, "retired", fact, vpg_id=vpg.id)

    async def _tell_epoch(self, vpg: Vpg, status: dict[str, Any] | None) -> None:
        """After a rollback: the protected site goes on with the epoch that holds now."""
        if (status is None or int(status.get("epoch", vpg.epoch)) < vpg.epoch) and await self._is_still(vpg):
            spec = await asyncio.to_thread(protect_spec, self._site, vpg)
            await self._site.appliances.order(vpg.protected_site_id, "protect_vpg", within=ORDER_SECONDS, spec=spec)

    async def _begin_way_home(self, vpg: Vpg) -> None:
        if time.monotonic() - self._tried.get(vpg.id, float("-inf")) < AGAIN_SECONDS:
            return
        if await self._running_old_vms(vpg):
            return  # a person decides, and asks again; the alert says so
        self._tried[vpg.id] = time.monotonic()
        await self._orders.place(TaskType.UpdateProtectionGroup, vpg.id, self._site.id, {}, WHO)

    async def _hand_over(self, vpg: Vpg, way_home: WayHome) -> None:
        """At the first checkpoint of the sync back the other site owns the VPG, once it has said so."""
        listed = await self._ask(vpg.recovery_site_id, "list_checkpoints", vpg_id=vpg.id, limit=1, newest_first=True)
        if not listed or str(listed[0]["id"]) == SEED_CHECKPOINT:
            return
        row = VpgRow(vpg, "active").raised("active", way_home=None, owner_site_id=vpg.recovery_site_id)
        await self._site.client.call(vpg.recovery_site_id, "put_vpg", {"row": row.to_json()})
        await asyncio.to_thread(self._site.vpgs.put, row)
        await asyncio.to_thread(self._site.alerts.clear, f"both {vpg.id}")
        log.info("the other site owns the VPG", vpg=vpg.id, since=way_home.recovered_checkpoint_ns)

    async def _running_old_vms(self, vpg: Vpg) -> list[str]:
        """Names of old VMs that run where the VPG does not."""
        if vpg.way_home is None:
            return []
        old = set(vpg.way_home.source_vm_ids.values())
        listed = await self._ask(vpg.recovery_site_id, "list_vms")
        return [vm["name"] for vm in listed if vm["vm_id"] in old and vm["power"] not in OFF]

    async def _tell_that_both_run(self, vpg: Vpg, standing: set[str]) -> None:
        key = f"both {vpg.id}"
        names = await self._running_old_vms(vpg)
        if not names:
            if key in standing:
                await asyncio.to_thread(self._site.alerts.clear, key)
            return
        assert vpg.way_home is not None
        since = datetime.fromtimestamp((vpg.way_home.recovered_checkpoint_ns or 0) / 1e9, UTC).isoformat("T", "seconds")
        old, new = [
            await asyncio.to_thread(self._site.site_name, s) for s in (vpg.recovery_site_id, vpg.protected_site_id)
        ]
        fact = (
            f"VM {', '.join(names)} of VPG {vpg.name} runs at site {old}, and as recovered at site {new}: "
            f"both ran since {since}, and what each wrote since then is only there."
        )
        remedy = (
            f"Decide which one counts. To keep {new}'s, power the VM off at {old} and ask to protect back. "
            "Nothing is powered off or written over by itself."
        )
        await asyncio.to_thread(self._site.alerts.raise_alert, key, fact, remedy, level="error", vpg_id=vpg.id)

    async def pay(self, busy: set[str]) -> None:
        """Make the calls that are owed to sites that answer now, each VPG's in their order."""
        stuck: set[str] = set()
        for debt in await asyncio.to_thread(self._site.debts.all):
            own = debt.site_id == self._site.id
            if debt.vpg_id in stuck | busy or not (own or self._site.peers.connected(debt.site_id)):
                continue
            try:
                await self._site.appliances.order(debt.site_id, debt.call, within=ORDER_SECONDS, **debt.arguments)
            except FarshoreError as error:
                stuck.add(debt.vpg_id or debt.key)
                log.info("a call stays owed", call=debt.call, vpg=debt.vpg_id, error=str(error))
                continue
            await asyncio.to_thread(self._site.debts.forgive, debt.key)
