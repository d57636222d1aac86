"""The turns of a protected VPG: cut a marker, vouch for it, rotate the bitmaps, let go of what the other site has.

A marker counts only with the vouch: after the cut every mirror job was asked for, was there, was the same, and no
error had come before the answer. A bitmap generation is let go only when the other site has acknowledged all that the
tap had at the start of the generation after the next one, and a vouch came after that start: until then, old ones are
merged into `unshipped`.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping
from typing import Any

from farshore.appliance.durable_state import ProtectionState
from farshore.appliance.road import Road
from farshore.errors import Conflict, FarshoreError, Unavailable
from farshore.hypervisor.driver import VmHandle
from farshore.model.appliance_specs import ProtectSpec

GENERATIONS_KEPT_MAX = 6


class Checkpointing:
    """From the end of a sync to the next break."""

    def __init__(
        self,
        spec: ProtectSpec,
        road: Road,
        handles: Mapping[str, VmHandle],
        memory: ProtectionState,
        generation_seconds: float,
    ) -> None:
        """All disks are attached, and synced but for what the stream holds."""
        self.spec = spec
        self.road = road
        self.handles = handles
        self.memory = memory
        self.generation_seconds = generation_seconds
        self.last_marker: dict[str, Any] | None = None
        self.last_vouched: dict[str, Any] | None = None
        self._turn = asyncio.Lock()
        self._cut_at = 0.0
        self._rotated_at = time.monotonic()
        self._starts: dict[str, list[tuple[int, int]]] = {vm_id: [] for vm_id in handles}
        self._unshipped: dict[str, int] = {}
        self._sync_vouched_at: int | None = None
        self._sync_dropped = False
        self._cuts: dict[str, dict[str, Any]] = {}

    async def next_turn(self) -> None:
        """Wait until something is due, and do it. Raises when the stream is broken."""
        now = time.monotonic()
        due = min(self._cut_at + self.spec.interval_seconds, self._rotated_at + self.generation_seconds)
        await asyncio.sleep(min(max(due - now, 0.0), 0.25))
        if self.road.link.state == "refused":
            if self.road.link.code in ("gap", "old_session"):
                raise Unavailable(
                    f"The other site refused the stream ({self.road.link.code}).", "A new session begins."
                )
            if self.road.link.code == "old_epoch":
                return
        now = time.monotonic()
        if now >= self._cut_at + self.spec.interval_seconds:
            await self.cut(tag=None, task=None)
        if now >= self._rotated_at + self.generation_seconds:
            await self._rotate()
        await self._forget_the_sync()

    async def cut(self, tag: str | None, task: str | None) -> dict[str, Any]:
        """Cut a marker and vouch for it; once per task. Raises Conflict or TapLost when it does not hold."""
        async with self._turn:
            if task is not None and task in self._cuts:
                return self._cuts[task]
            marker_id = uuid.uuid4().hex
            marker = {"id": marker_id, "tag": tag, "task": task, "volumes": [v.number for v in self.spec.volumes]}
            made: dict[str, Any] = await self.road.ask_tap("cut", marker=marker)
            self._cut_at = time.monotonic()
            self.last_marker = made
            try:
                for handle in self.handles.values():
                    await handle.vouch()
                vouched = await self.road.ask_tap("vouch", marker_id=marker_id)
            except FarshoreError as error:
                await self._void(marker_id, str(error))
                raise
            self.last_vouched = made
            if self._sync_vouched_at is None:
                self._sync_vouched_at = int(vouched["sequence"])
            await self._let_go()
            result = {"marker_id": marker_id, "time_ns": made["time_ns"]}
            if task is not None:
                self._cuts[task] = result
            return result

    async def _void(self, marker_id: str, reason: str) -> None:
        try:
            await self.road.ask_tap("void", marker_id=marker_id, reason=reason)
        except FarshoreError as error:
            raise Conflict(
                f"{reason} It could not be made void: {error.fact}", "It has no vouch, so it does not count."
            ) from error

    async def _rotate(self) -> None:
        async with self._turn:
            for vm_id, handle in self.handles.items():
                await self.road.ping_tap()
                number = await handle.begin_generation()
                sealed = await self.road.ask_tap("seal")
                self._starts[vm_id].append((number, int(sealed["sequence"])))
            self._rotated_at = time.monotonic()

    async def _let_go(self) -> None:
        """Called right after a vouch: every start that is known by now lies before it."""
        acknowledged = self.road.window.acknowledged
        for vm_id, handle in self.handles.items():
            starts = self._starts[vm_id]
            covered = [number for number, sequence in starts if sequence <= acknowledged]
            if covered and covered[-1] >= 2:
                await self.road.ping_tap()
                await handle.drop_generations(covered[-1] - 2)
                starts[:] = [(n, s) for n, s in starts if n > covered[-1]]
            if len(starts) > GENERATIONS_KEPT_MAX:
                newest, sequence = starts[-1]
                await self.road.ping_tap()
                await handle.merge_generations(newest - 2)
                self._unshipped[vm_id] = sequence
                starts[:] = starts[-2:]
            if vm_id in self._unshipped and self._unshipped[vm_id] <= acknowledged:
                await self.road.ping_tap()
                await handle.drop_unshipped()
                del self._unshipped[vm_id]

    async def _forget_the_sync(self) -> None:
        """The first checkpoint after the sync is acknowledged: only what the generations count can be missing there."""
        if self._sync_dropped or self._sync_vouched_at is None or self.road.window.acknowledged < self._sync_vouched_at:
            return
        async with self._turn:
            self.memory.synced = {vm_id: handle.instance for vm_id, handle in self.handles.items()}
            self.memory.journal_id = self.road.link.journal_id
            self.memory.save()
            for handle in self.handles.values():
                await self.road.ping_tap()
                await handle.drop_sync_set()
            self._sync_dropped = True
