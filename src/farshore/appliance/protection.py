"""One VPG's protection on this host: attach, sync, cut and vouch, and all over again when something breaks.

    starting -> attaching -> syncing -> protecting
        ^                                   |
        +---------- interrupted <-----------+        (also from attaching and syncing)

A round goes from attaching to the first break. A break is: a disk left the stream, the tap or a VM's process ended,
the window is full. After it nothing is cut until all disks are attached and synced again; the dirty bitmaps hold what
the stream missed. `stopped` is the end (by order); refused links and waiting are told in `reason`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

from farshore.appliance.carrier import end_tasks
from farshore.appliance.checkpointing import Checkpointing
from farshore.appliance.durable_state import ProtectionState, SyncKind
from farshore.appliance.pauses import Pauses
from farshore.appliance.road import Road, Surroundings, export_name
from farshore.appliance.syncing import RoundSync, SyncProgress, close_exports
from farshore.errors import Conflict, FarshoreError, Unavailable
from farshore.hypervisor.driver import TapDisk, VmHandle
from farshore.hypervisor.registry import Hypervisors
from farshore.model.appliance_specs import ProtectSpec
from farshore.model.vpg import Volume

DETACH_SECONDS_MAX = 15.0
"""By then a VM's taps are off, or it is tried once more with a killed tap and then left: its bitmaps still count."""
CLOSE_SECONDS_MAX = 5.0
END_SECONDS_MAX = 50.0
"""After that the appliance is free for other calls again, and whoever asks for the end again goes on with it."""


class Interrupted(Unavailable):
    """The stream broke: a new round begins."""


class VpgProtection:
    """The state machine of one VPG. Start with `start`, end with `stop`."""

    def __init__(
        self,
        spec: ProtectSpec,
        around: Surroundings,
        hypervisors: Hypervisors,
        state: ProtectionState,
        generation_seconds: float,
    ) -> None:
        """`state` is what was known when this VPG was last protected here."""
        self.spec = spec
        self.hypervisors = hypervisors
        self.around = around
        self.memory = state
        self.state = "starting"
        self.reason = ""
        self.is_ending = False
        self.progress: SyncProgress | None = None
        self.handles: dict[str, VmHandle] = {}
        self.checkpointing: Checkpointing | None = None
        self._generation_seconds = generation_seconds
        self._opening = asyncio.Lock()
        self._lost = asyncio.Event()
        self._lost_reason = ""
        self._resumed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        session = max(self.memory.last_session + 1, time.time_ns())
        self.road = Road(spec, around, session, self._note_lost)

    # -- from outside

    def start(self) -> None:
        """Begin to protect."""
        self._tasks = [
            asyncio.get_running_loop().create_task(self._run()),
            asyncio.get_running_loop().create_task(self.road.watch_sender()),
        ]

    async def stop(self, keep_bitmaps: bool) -> None:
        """Take the taps off and end the carriers; the guests go on.

        Raises Unavailable when it has not ended in time: nothing is protected any more, and it can be called again.
        """
        self.is_ending = True
        try:
            async with asyncio.timeout(END_SECONDS_MAX):
                await end_tasks(self._tasks)
                self.state, self.reason = "stopped", "by order"
                await self._detach_all(keep_bitmaps)
                await self.road.stop()
        except TimeoutError:
            self.road.kill_tap()
            fact = f"The protection of VPG {self.spec.vpg_name} has not ended within {END_SECONDS_MAX:g} s."
            raise Unavailable(fact, "Try again; if that does not help, start the site's watcher again.") from None

    def take(self, spec: ProtectSpec) -> bool:
        """Go on with another name or interval, without a break; False when it must be begun anew."""
        rest = spec.model_copy(update={"vpg_name": self.spec.vpg_name, "interval_seconds": self.spec.interval_seconds})
        if rest != self.spec or self.is_ending:
            return False
        self.spec = self.road.spec = spec
        if self.checkpointing is not None:
            self.checkpointing.spec = spec
        return True

    def pause(self) -> None:
        """Let the disks go until `resume`; the bitmaps count on. Durable. Raises OSError."""
        self.memory.paused = True
        self.memory.save()
        self._resumed.clear()
        self._note_lost("replication was paused")

    def resume(self) -> None:
        """Take the disks again. Durable. Raises OSError."""
        self.memory.paused = False
        self.memory.save()
        self._resumed.set()

    def force_sync(self, task: str) -> None:
        """Compare all disks with what the other site has; asked again for the same task it is one. Raises OSError."""
        if self.memory.forced != task:
            self.memory.forced = task
            self.memory.save()
            self._note_lost("a sync by hashes was asked for")

    @contextlib.asynccontextmanager
    async def borrowed(self, vm_id: str) -> AsyncIterator[VmHandle]:
        """The connection to a VM of this VPG, for a short use from outside: a process has only one for us.

        Raises NotFound, VmGone, Unavailable.
        """
        async with self._opening:
            present = self.handles.get(vm_id)
            handle = present or await self.hypervisors.open_vm(vm_id)
            try:
                yield handle
            finally:
                if present is None:
                    await handle.close()

    async def cut_checkpoint(self, tag: str, task: str) -> dict[str, Any]:
        """Cut and vouch a tagged marker now. Raises Conflict when the stream is not whole at the moment."""
        checkpointing = self.checkpointing
        if self.state != "protecting" or checkpointing is None:
            raise Conflict(
                f"VPG {self.spec.vpg_name} cannot be cut now: it is {self.state} ({self.reason or 'no reason told'}).",
                "Wait until it is protecting again.",
            )
        return await checkpointing.cut(tag=tag, task=task)

    def status(self) -> dict[str, Any]:
        """What is happening (see the contract of protection_status in client.py)."""
        window = self.road.window if self.road.has_window else None
        return {
            "vpg_id": self.spec.vpg_id,
            "epoch": self.spec.epoch,
            "state": self.state,
            "reason": self.reason,
            "paused": self.memory.paused,
            "volumes": len(self.spec.volumes),
            "sync": self.progress.to_json() if self.progress else None,
            "last_sync": self.memory.last_sync,
            "link": self.road.link.state if self.road.link.state != "refused" else self.road.link.code or "refused",
            "link_reason": self.road.link.reason,
            "unacknowledged_bytes": window.unacknowledged_bytes() if window else 0,
            "received_bytes": window.received_bytes if window else 0,
            "last_marker": self.checkpointing.last_marker if self.checkpointing else None,
            "last_vouched": self.checkpointing.last_vouched if self.checkpointing else None,
            "session": self.road.session,
            "holes": len(self.memory.holes),
        }

    # -- the rounds

    async def _run(self) -> None:
        pauses = Pauses()
        while True:
            await self._while_paused()
            began, self.road.is_slow = time.monotonic(), False
            try:
                await self._round()
            except (FarshoreError, OSError) as error:
                self._note_hole(str(error))
                self.state, self.reason = "interrupted", str(error)
            except Exception as error:
                self._note_hole(repr(error))
                self.state, self.reason = "interrupted", f"a fault of Farshore: {error!r}"
                raise
            finally:
                self.progress = None
                self.checkpointing = None
            await self._detach_all(keep_bitmaps=True)
            await asyncio.sleep(pauses.after(time.monotonic() - began, slow=self.road.is_slow))

    async def _while_paused(self) -> None:
        while self.memory.paused:
            self.state, self.reason = "paused", "A person has paused it; the bitmaps count what is written."
            await self._resumed.wait()

    async def _round(self) -> None:
        await self.road.ensure()
        self.memory.last_session = self.road.session
        self.memory.save()
        await self._wait_for_room()
        self.state, self.reason = "attaching", ""
        self._lost.clear()
        if self.memory.paused:
            raise Interrupted("Replication was paused.", "Resume it.")
        sync = RoundSync(self.road, self.around, self.handles, await self._attach_all(), self._say)
        await self.road.ask_tap("begin", control=[*self._what_is_protected(), sync.record("sync_begin")])
        await self._sync(sync)
        checkpointing = Checkpointing(self.spec, self.road, self.handles, self.memory, self._generation_seconds)
        self.checkpointing = checkpointing
        self.state, self.reason = "protecting", ""
        await self._until_lost(checkpointing)

    async def _wait_for_room(self) -> None:
        while self.road.window.unacknowledged_bytes() * 4 > self.road.window.regions_bytes:
            self.state = "interrupted"
            self.reason = f"waiting until the other site has caught up (link {self.road.link.state})"
            self._check_session()
            await asyncio.sleep(0.2)
        self._check_session()

    def _check_session(self) -> None:
        if self.road.link.state == "refused" and self.road.link.code in ("gap", "old_session"):
            raise Interrupted(
                f"The other site does not take this session ({self.road.link.code}).", "A new one begins."
            )

    async def _attach_all(self) -> dict[int, SyncKind]:
        """Attach every disk; returns how each volume, by its number, is to be synced."""
        kinds: dict[int, SyncKind] = {}
        for vm_id in self.spec.vm_ids:
            await self.road.ping_tap()
            async with self._opening:
                handle = await self.hypervisors.open_vm(vm_id)
                self.handles[vm_id] = handle
            handle.on_lost = lambda disk_id, reason, vm=vm_id: self._note_lost(f"{vm}.{disk_id}: {reason}")
            volumes = self._volumes_of(vm_id)
            disks = [TapDisk(v.disk_id, self.road.tap_socket, export_name(v.number)) for v in volumes]
            attached = await handle.attach(disks)
            for volume in volumes:
                unbroken = attached[volume.disk_id].bitmaps_unbroken
                kinds[volume.number] = self.memory.kind_for(
                    vm_id,
                    handle.instance,
                    self.road.link.journal_id,
                    unbroken=unbroken,
                    copies=self.spec.copies_are_there,
                )
        return kinds

    def _volumes_of(self, vm_id: str) -> list[Volume]:
        return [v for v in self.spec.volumes if v.vm_id == vm_id]

    def _what_is_protected(self) -> list[dict[str, Any]]:
        definitions = [
            {"type": "definition", "vm": self.hypervisors.definition(vm_id).model_dump(mode="json")}
            for vm_id in self.spec.vm_ids
        ]
        return [{"type": "volumes", "volumes": [v.model_dump(mode="json") for v in self.spec.volumes]}, *definitions]

    def _say(self, reason: str) -> None:
        self.reason = reason

    async def _sync(self, sync: RoundSync) -> None:
        self.state = "syncing"
        self.progress = sync.progress
        await self._unless_lost(sync.wait_for_the_other_site(self.memory))
        for handle in self.handles.values():
            await self.road.ping_tap()
            await handle.freeze_for_sync()
        await self._unless_lost(sync.read())
        await close_exports(self.handles)
        for handle in self.handles.values():  # drains: what was in flight while we read has reached the tap
            await self.road.ping_tap()
            await handle.begin_generation()
        await self.road.ask_tap("control", records=[sync.record("sync_end")])
        self.memory.last_sync = sync.final_figures() | {"forced": self._compared(sync)}
        self.memory.save()
        self.progress = None

    def _compared(self, sync: RoundSync) -> str:
        """The order for a comparison that this sync has carried out, or that an earlier one had."""
        before = str((self.memory.last_sync or {}).get("forced", ""))
        return self.memory.forced if all(kind != "bitmap" for kind in sync.kinds.values()) else before

    async def _until_lost(self, checkpointing: Checkpointing) -> None:
        while True:
            await self._unless_lost(checkpointing.next_turn())

    async def _unless_lost(self, work: Any) -> None:
        """Do it, unless the stream breaks first. Raises Interrupted then."""
        working = asyncio.ensure_future(work)
        losing = asyncio.ensure_future(self._lost.wait())
        try:
            await asyncio.wait({working, losing}, return_when=asyncio.FIRST_COMPLETED)
            if self._lost.is_set():
                raise Interrupted(
                    f"A disk left the stream: {self._lost_reason}.", "It is attached and synced again by itself."
                )
            working.result()
        finally:
            for future in (working, losing):
                if not future.done():
                    future.cancel()
                with contextlib.suppress(asyncio.CancelledError, FarshoreError, OSError):
                    await future

    def _note_lost(self, reason: str) -> None:
        if not self._lost.is_set():
            self._lost_reason = reason
            self._lost.set()

    def _note_hole(self, reason: str) -> None:
        if self.state in ("protecting", "syncing"):
            self.memory.holes.append({"time_ns": time.time_ns(), "reason": reason, "id": uuid.uuid4().hex})
            self.memory.save()

    async def _detach_all(self, keep_bitmaps: bool) -> None:
        """Take the taps off; a tap that hangs is killed first, so that no drain waits for it."""
        async with self._opening:
            for handle in self.handles.values():
                await self._detach(handle, keep_bitmaps)
            self.handles = {}
        if self.road.link.state == "refused" and self.road.link.code in ("gap", "old_session"):
            if self.road.link.code == "gap":
                self.memory.synced = {}
                self.memory.save()
            await self.road.renew()

    async def _detach(self, handle: VmHandle, keep_bitmaps: bool) -> None:
        handle.on_lost = None
        try:
            await self.road.ping_tap()
        except FarshoreError:
            self.road.kill_tap()
        try:
            async with asyncio.timeout(DETACH_SECONDS_MAX):
                await handle.detach(keep_bitmaps)
        except (FarshoreError, TimeoutError) as error:
            self.reason = f"{self.reason} ({str(error) or 'the taps did not go off in time'})"
            self.road.kill_tap()
            with contextlib.suppress(FarshoreError, TimeoutError):
                async with asyncio.timeout(DETACH_SECONDS_MAX):
                    await handle.detach(keep_bitmaps)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS_MAX):
                await handle.close()
