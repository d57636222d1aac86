"""What a manager does from time to time: greet peers, compare rows, follow tasks, end what was released, alert."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from farshore.errors import FarshoreError
from farshore.manager.clock_watch import ClockWatch
from farshore.manager.countdown import Countdown
from farshore.manager.old_pins import OldPins
from farshore.manager.old_records import OldRecords
from farshore.manager.row_keeping import RowKeeping
from farshore.model.vpg_states import VpgStatus, VpgSubStatus
from farshore.operations.orders import Orders, follow_all
from farshore.site.kinds import note_kind
from farshore.site.pairing import describe
from farshore.site.peers import Peer
from farshore.site.release import tell_released
from farshore.site.site import Site
from farshore.site.vpg_views import Judged, VpgViews
from farshore.site.vpgs import VpgRow, digest

GREET_SECONDS = 2.0
CLOCK_SECONDS = 2.0
FOLLOW_SECONDS = 1.0
EXCHANGE_SECONDS = 10.0
RELEASE_SECONDS = 5.0
ALERT_SECONDS = 10.0
COUNT_SECONDS = 1.0
KEEP_SECONDS = 2.0
PINS_SECONDS = 60.0
RECORDS_SECONDS = 600.0
"""The last two are shortened to what the settings say that they look for."""
VPG_KEY = "vpg "
"""What the keys of these alerts begin with."""
_GOOD = {
    VpgStatus.Initializing,
    VpgStatus.MeetingSLA,
    VpgStatus.Deleting,
    VpgStatus.FailingOver,
    VpgStatus.Moving,
}
_ALARMING = {
    VpgSubStatus.JournalStorageError,
    VpgSubStatus.RecoveryStorageError,
    VpgSubStatus.VmNotProtectedError,
    VpgSubStatus.DisconnectedFromPeer,
    VpgSubStatus.DisconnectedFromPeerNoRecoveryPoints,
}

log = structlog.get_logger("timers")


class Timers:
    """The manager's loops; each survives whatever one round of it runs into."""

    def __init__(self, site: Site, orders: Orders, views: VpgViews) -> None:
        self._site = site
        self._orders = orders
        self._views = views
        self._clocks = ClockWatch(site)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin all loops."""
        settings = self._site.config.settings
        loops: list[tuple[float, Callable[[], Awaitable[None]]]] = [
            (GREET_SECONDS, self.greet_peers),
            (CLOCK_SECONDS, self._clocks.turn),
            (FOLLOW_SECONDS, self.follow_tasks),
            (EXCHANGE_SECONDS, self.exchange_rows),
            (RELEASE_SECONDS, self.tell_released),
            (ALERT_SECONDS, self.look_at_vpgs),
            (COUNT_SECONDS, Countdown(self._site, self._orders).turn),
            (KEEP_SECONDS, RowKeeping(self._site, self._orders).turn),
            (min(PINS_SECONDS, settings.forget_pins_seconds), OldPins(self._site).turn),
            (min(RECORDS_SECONDS, settings.keep_records_seconds), OldRecords(self._site).turn),
        ]
        self._tasks = [asyncio.create_task(self._every(seconds, turn)) for seconds, turn in loops]

    async def stop(self) -> None:
        """End all loops."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @staticmethod
    async def _every(seconds: float, turn: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await turn()
            except Exception:  # a loop that ends would be missed only when it is needed
                log.exception("a timer's turn failed", turn=turn.__qualname__)
            await asyncio.sleep(seconds)

    async def greet_peers(self) -> None:
        """Say hello to every peer, so that each site knows whether the other is there."""
        peers = await asyncio.to_thread(self._site.peers.all)
        await asyncio.gather(*(self._greet(peer) for peer in peers))

    async def _greet(self, peer: Peer) -> None:
        key = f"peer {peer.site_id}"
        asked_ns = self._clocks.now_ns()
        try:
            told = await self._site.client.call(peer.site_id, "hello", describe(self._site.config))
        except FarshoreError as error:
            if not self._site.peers.connected(peer.site_id):
                fact, remedy = f"Site {peer.name} does not answer: {error.fact}", error.remedy
                await asyncio.to_thread(self._site.alerts.raise_alert, key, fact, remedy)
        else:
            await asyncio.to_thread(self._site.alerts.clear, key)
            await asyncio.to_thread(note_kind, self._site, peer.site_id, told)
            await self._clocks.compare(peer, told, asked_ns)

    async def follow_tasks(self) -> None:
        """Ask how tasks stand that were passed on."""
        await follow_all(self._orders, self._site)

    async def exchange_rows(self) -> None:
        """Compare the rows of VPGs with each peer: of each the higher rank wins at both."""
        rows = await asyncio.to_thread(self._site.vpgs.listed)
        for peer in await asyncio.to_thread(self._site.peers.all):
            if not self._site.peers.connected(peer.site_id):
                continue
            shared = [r for r in rows if self._site.other_site(r.vpg) == peer.site_id]
            try:
                if await self._site.client.call(peer.site_id, "has_same_rows", {"digest": digest(shared)}):
                    continue
                arguments = {"rows": [row.to_json() for row in shared]}
                told = await self._site.client.call(peer.site_id, "exchange_rows", arguments)
            except FarshoreError as error:
                log.info("rows were not compared", site=peer.site_id, error=str(error))
                continue
            known = {row.vpg.id for row in shared}
            for row in (VpgRow.from_json(data) for data in told):
                if row.vpg.id in known:
                    await asyncio.to_thread(self._site.vpgs.put, row)

    async def tell_released(self) -> None:
        """Tell the other site of VPGs that this one is done with."""
        busy = {task.vpg_id for task in await asyncio.to_thread(self._site.tasks.unfinished)}
        for row in await asyncio.to_thread(self._site.vpgs.all):
            if row.phase == "released" and row.vpg.id not in busy:
                try:
                    await tell_released(self._site, row.vpg)
                except FarshoreError as error:
                    log.info("the other site was not told yet", vpg=row.vpg.id, error=str(error))

    async def look_at_vpgs(self) -> None:
        """Raise and clear the alerts of the VPGs that this site owns."""
        rows = await asyncio.to_thread(self._site.vpgs.listed)
        judged = await self._views.judge([row for row in rows if row.vpg.owner_site_id == self._site.id])
        await asyncio.to_thread(self._tell, {row.vpg.id for row in rows}, judged)

    def _tell(self, vpg_ids: set[str], judged: Sequence[Judged]) -> None:
        """Those of VPGs that are another site's by now are cleared too."""
        alarming = {each.vpg.id: each for each in judged if not _is_well(each)}
        for alert in self._site.alerts.all():
            vpg_id = alert.key.removeprefix(VPG_KEY)
            if alert.key.startswith(VPG_KEY) and vpg_id in vpg_ids and vpg_id not in alarming:
                self._site.alerts.clear(alert.key)
        for vpg_id, each in alarming.items():
            words = f"VPG {each.vpg.name} is {each.status.name} ({each.substatus.name.rstrip('_')}). {each.reason}"
            self._site.alerts.raise_alert(VPG_KEY + vpg_id, words, "Look at the VPG and its sites.", vpg_id=vpg_id)


def _is_well(judged: Judged) -> bool:
    return judged.status in _GOOD and judged.substatus not in _ALARMING
