"""Halting the guest of a QEMU: its shutdown becomes a pause, or it is stopped where it stands.

A guest that has shut down, or was asked to and may still do so, boots when it is revived; one that was only stopped
goes on where it stood.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from farshore.errors import Unavailable
from farshore.hypervisor.block_layer.halting import ASKED, FORCED, HaltNote, power_of
from farshore.hypervisor.block_layer.monitor import Event, Monitor
from farshore.hypervisor.qemu.guest_agent import ask_to_shut_down

STOP_SECONDS = 5.0
"""Stopping waits for the guest's requests that are on their way."""
RESET_SECONDS = 5.0


class GuestHalter:
    """See block_layer.halting.Halter. `agent`: the host's end of the guest agent's channel, None without one."""

    def __init__(self, monitor: Monitor, note: HaltNote, agent: Path | None) -> None:
        self._monitor = monitor
        self._note = note
        self._agent = agent

    async def halt(self, force: bool) -> bool:
        """See VmHandle."""
        if await self.halted():
            return True
        if force:
            # Noted first: a stopped guest without a note would be one that its owner has paused.
            self._note.add(FORCED)
            await self._monitor.run("stop", bound_seconds=STOP_SECONDS)
        elif not self._note.asked_lately():
            await self._monitor.run("set-action", {"shutdown": "pause"})
            self._note.add(ASKED)
            if self._agent is not None:
                await ask_to_shut_down(self._agent)
            await self._monitor.run("system_powerdown")
        return await self.halted()

    async def halted(self) -> bool:
        """See VmHandle."""
        return power_of(await self._monitor.run("query-status"), self._note) == "halted"

    async def revive(self) -> None:
        """See VmHandle."""
        told = await self._monitor.run("query-status")
        words = self._note.words()
        if not told["running"] and (words or told["status"] == "shutdown"):
            if told["status"] == "shutdown" or ASKED in words:
                await self._reset()
            await self._monitor.run("cont")
        await self._monitor.run("set-action", {"shutdown": "poweroff"})
        self._note.forget()

    async def _reset(self) -> None:
        def was_reset(event: Event) -> bool:
            return bool(event["event"] == "RESET")

        with self._monitor.expect(was_reset) as reset:
            await self._monitor.run("system_reset")
            try:
                await asyncio.wait_for(reset, RESET_SECONDS)
            except TimeoutError:
                raise Unavailable("The guest could not be reset in time.", "It is tried again.") from None
