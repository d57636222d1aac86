"""Pairing and unpairing as tasks: both are answered within seconds, however long the other site takes.

A pairing that has ended within `ANSWER_SECONDS` is answered with what it came to; one that takes longer goes on, and
its task tells. It is short and safe to repeat with the same token, so it does not outlive the manager: its task is
failed at the next start.
"""

from __future__ import annotations

import asyncio

from farshore.errors import Conflict, FarshoreError
from farshore.identity.token import PairingToken
from farshore.model.task import TaskType, new_task_id
from farshore.site.site import Site
from farshore.site.tasks import TaskRow

ANSWER_SECONDS = 2.0


class SitePairing:
    """The pairings that one site has asked for."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._running: set[asyncio.Task[None]] = set()

    async def _begin(self, kind: TaskType, who: str) -> str:
        task = TaskRow(new_task_id(self._site.id), kind.value, self._site.id, who=who)
        await asyncio.to_thread(self._site.tasks.begin, task)
        return task.id

    async def pair(self, host: str, port: int, token: str, who: str) -> str:
        """Pair; the task's identifier. Raises what refuses it within `ANSWER_SECONDS`; then the task has failed."""
        PairingToken.parse(token)
        task_id = await self._begin(TaskType.PairSite, who)
        joining = asyncio.create_task(self._join(task_id, host, port, token), name=f"pairing {task_id}")
        self._running.add(joining)
        joining.add_done_callback(self._ended)
        done, _ = await asyncio.wait([joining], timeout=ANSWER_SECONDS)
        if done:
            joining.result()
        return task_id

    def _ended(self, joining: asyncio.Task[None]) -> None:
        self._running.discard(joining)
        if not joining.cancelled():
            joining.exception()  # looked at: the task has it as its reason

    async def _join(self, task_id: str, host: str, port: int, token: str) -> None:
        try:
            peer = await self._site.pairing.join(host, port, token)
        except Exception as error:
            reason = str(error) if isinstance(error, FarshoreError) else f"A fault of Farshore: {error!r}"
            await asyncio.to_thread(self._site.tasks.fail, task_id, reason)
            raise
        await asyncio.to_thread(self._site.tasks.complete, task_id, f"Paired with site {peer.name}.")

    async def unpair(self, site_id: str, who: str) -> str:
        """Trust that site no longer; works with it dead. NotFound, Conflict while a VPG needs it."""
        await asyncio.to_thread(self._site.peers.get, site_id)
        for row in await asyncio.to_thread(self._site.vpgs.listed):
            if site_id in (row.vpg.protected_site_id, row.vpg.recovery_site_id):
                raise Conflict(f"VPG {row.vpg.name} needs that site.", "Delete the VPG first (by force if it is dead).")
        task_id = await self._begin(TaskType.UnpairSite, who)
        try:
            await self._site.pairing.leave(site_id)
        except FarshoreError as error:
            await asyncio.to_thread(self._site.tasks.fail, task_id, str(error))
            raise
        await asyncio.to_thread(self._site.tasks.complete, task_id, "The sites are paired no longer.")
        return task_id
