"""The one place that puts taps on a VM's disks and takes them off. WHAT IS DONE WRONGLY HERE KILLS GUESTS.

Every step and its order was soaked hundreds of times under load (docs/architecture.md has the table). Never here, nor
anywhere: a forced cancel (heap corruption with writes in flight), `job-complete` (it pivots the guest onto the tap),
a shim where qualification.py does not allow one, attaching beside the owner's running job before QEMU 9.

Attaching is done in rounds over all disks, so that what can be refused is refused before a device is touched: clear
what an earlier watcher left; connect to the tap and compare sizes; shims; one transaction that begins a generation and
adopts what older bitmaps hold; mirrors. Taking off goes the other way, and also cleans up after any round that failed.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from farshore.errors import BadInput, FarshoreError, Unavailable
from farshore.hypervisor.block_layer import bitmaps, names
from farshore.hypervisor.block_layer.graph import Bitmap, BlockGraph, read_graph
from farshore.hypervisor.block_layer.monitor import CommandFailed, Event
from farshore.hypervisor.block_layer.qualification import Manner
from farshore.hypervisor.block_layer.tapped import TappedDisk, TapState
from farshore.hypervisor.driver import Attached, AttachRefused, TapDisk

log = logging.getLogger(__name__)

TAP_OPEN_SECONDS = 1
TAP_OPEN_BOUND_SECONDS = 2.5
JOB_READY_SECONDS = 1.0
JOB_END_SECONDS = 3.0
NODE_BUSY_SECONDS = 1.5
"""A job that has failed holds its nodes for up to 50 ms more."""
RETRY_SECONDS = 0.02
HAND_OVER_TRIES = 5

_ENDS = ("BLOCK_JOB_COMPLETED", "BLOCK_JOB_CANCELLED")
_TOLD = (*_ENDS, "BLOCK_JOB_READY", "BLOCK_JOB_ERROR")


@dataclass
class _Work:
    """A disk on its way to being attached."""

    tap: TapDisk
    manner: Manner
    top: str
    carrier: str
    size_bytes: int
    unbroken: bool

    @property
    def disk_id(self) -> str:
        return self.tap.disk_id


class Attacher:
    """Attaches and detaches the disks of one process of a VM. Calls must not overlap (VmHandle's lock sees to it)."""

    def __init__(self, state: TapState, disk_ids: Sequence[str]) -> None:
        self._state = state
        self._monitor = state.monitor
        self._disk_ids = tuple(disk_ids)

    async def attach(self, taps: Sequence[TapDisk]) -> dict[str, Attached]:
        """Tap these disks, or raise AttachRefused with the guest as it was. Raises BadInput."""
        wanted = {tap.disk_id for tap in taps}
        if len(wanted) != len(taps) or not wanted <= set(self._disk_ids):
            raise BadInput(
                "The disks to tap must be the VM's own, each once.", f"Its disks: {', '.join(self._disk_ids)}."
            )
        if set(self._state.disks) - wanted:
            raise BadInput("Other disks of this VM are tapped.", "Detach first, or name all of them.")
        counted = set(self._disk_ids)
        try:
            await self._refuse_beside_jobs()
            await self._clear_old_taps(wanted)
            works = [await self._look(tap) for tap in taps]
            counted -= {work.disk_id for work in works if not work.unbroken}
            for work in works:
                await self._open_tap(work)
            for work in works:
                await self._put_shim(work)
            await self._begin_bitmaps(works)
            for work in works:
                await self._mirror(work)
        except BaseException as error:
            await self._undo(counted)
            if isinstance(error, AttachRefused) or not isinstance(error, FarshoreError):
                raise
            raise AttachRefused(f"The disks were not attached: {error.fact}", error.remedy) from error
        return {work.disk_id: Attached(work.disk_id, work.manner.word, work.unbroken) for work in works}

    async def detach(self, keep_bitmaps: bool) -> None:
        """Take all taps off, also those that an earlier watcher left. Raises Unavailable: kill the tap, call again."""
        await self._refuse_beside_jobs()
        await self._take_off(set(self._disk_ids) if keep_bitmaps else set())

    # -- attach, round by round

    async def _refuse_beside_jobs(self) -> None:
        if self._state.qualification.may_attach_beside_jobs:
            return
        foreign = [job["device"] for job in await self._jobs() if not job["device"].startswith(names.JOB_PREFIX)]
        if foreign:
            raise AttachRefused(
                f"Another job runs on this VM ({', '.join(foreign)}), and this QEMU may not be touched beside one.",
                "Wait for the job to end.",
            )

    async def _clear_old_taps(self, disk_ids: set[str]) -> None:
        """End the jobs and connections of an earlier attach; its shim and bitmaps stay in place."""
        for job in await self._jobs():
            if any(job["device"].startswith(names.job_prefix(disk_id)) for disk_id in disk_ids):
                await self._end_job(job["device"])
        for disk_id in disk_ids:
            self._state.disks.pop(disk_id, None)
        graph = await read_graph(self._monitor)
        for disk_id in disk_ids & {disk_id for disk_id in self._disk_ids if names.tap_node(disk_id) in graph}:
            await self._delete_node(names.tap_node(disk_id))

    async def _look(self, tap: TapDisk) -> _Work:
        graph = await read_graph(self._monitor)
        root = await self._state.seats.root(graph, tap.disk_id)
        if root is None:
            raise AttachRefused(f"The VM has no device for the disk {tap.disk_id} any more.", "It was unplugged.")
        top = graph.under_ours(root, tap.disk_id)
        manner = self._state.qualification.manner(self._state.seats.iothread(tap.disk_id))
        carrier = names.shim_node(tap.disk_id) if manner is Manner.SHIM else top
        unbroken = any(bitmap.recording for node in {root, top} for bitmap in graph.bitmaps.get(node, {}).values())
        return _Work(tap, manner, top, carrier, graph.sizes[top], unbroken)

    async def _open_tap(self, work: _Work) -> None:
        node = names.tap_node(work.disk_id)
        arguments = {
            "driver": "nbd",
            "node-name": node,
            "export": work.tap.export,
            "server": {"type": "unix", "path": str(work.tap.socket)},
            "open-timeout": TAP_OPEN_SECONDS,
            # With a delay QEMU would go on with a restarted tap in silence, though the old one's memory is lost.
            "reconnect-delay": 0,
        }
        await self._monitor.run("blockdev-add", arguments, bound_seconds=TAP_OPEN_BOUND_SECONDS)
        size = (await read_graph(self._monitor)).sizes[node]
        if size != work.size_bytes:
            # QEMU would call the mirror a success and end it at once.
            raise AttachRefused(
                f"The disk {work.disk_id} has {work.size_bytes} bytes, its tap {size}.",
                "The volume's size has changed: update the VPG.",
            )

    async def _put_shim(self, work: _Work) -> None:
        if work.manner is not Manner.SHIM:
            return
        shim = names.shim_node(work.disk_id)
        graph = await read_graph(self._monitor)
        root = await self._state.seats.root(graph, work.disk_id)
        if root == shim:
            return
        if shim in graph:  # a watcher died between handing the device back and removing it
            await self._delete_node(shim)
        await self._monitor.run("blockdev-add", {"driver": "raw", "node-name": shim, "file": root, "discard": "unmap"})
        await self._state.seats.hand_over(work.disk_id, shim)

    async def _begin_bitmaps(self, works: list[_Work]) -> None:
        """One transaction over all disks: a new generation, and all that older bitmaps hold into `unshipped`."""
        graph = await read_graph(self._monitor)
        number = max(self._state.generation, bitmaps.highest_generation(graph)) + 1
        actions: list[bitmaps.Action] = [bitmaps.add(work.carrier, names.generation(number)) for work in works]
        for work in works:
            actions += _adopt(graph, work)
        await bitmaps.transact(self._monitor, actions)
        self._state.generation = number

    async def _mirror(self, work: _Work) -> None:
        job = names.job(work.disk_id, secrets.token_hex(4))
        arguments = {
            "job-id": job,
            "device": work.carrier,
            "target": names.tap_node(work.disk_id),
            "sync": "none",
            "copy-mode": "write-blocking",
            "filter-node-name": names.filter_node(work.disk_id),
            "on-target-error": "report",
        }

        def about_this_job(event: Event) -> bool:
            return event["event"] in _TOLD and event["data"].get("device") == job

        # Known from before the command on, so that no event about it is missed.
        self._state.disks[work.disk_id] = TappedDisk(work.disk_id, work.manner, work.carrier, job, work.size_bytes)
        with self._monitor.expect(about_this_job) as told:
            if work.manner is Manner.DIRECT_PAUSED and await self._state.seats.running():
                await self._start_paused(arguments)
            else:
                await self._monitor.run("blockdev-mirror", arguments)
            try:
                event = await asyncio.wait_for(told, JOB_READY_SECONDS)
            except TimeoutError:
                raise AttachRefused(
                    f"The mirror of {work.disk_id} was not ready in time.", "Look at the tap's log."
                ) from None
        if event["event"] != "BLOCK_JOB_READY":
            raise AttachRefused(
                f"The mirror of {work.disk_id} ended at once: {event['data'].get('error', event['event'])}.",
                "Look at the tap's log.",
            )
        await self._wait_in_step(job)

    async def _start_paused(self, arguments: dict[str, Any]) -> None:
        """Pause the guest, set the mirror, let it run: sent as one, so that QEMU goes on even if we die meanwhile."""
        self._state.note_pause()
        try:
            answers = await self._monitor.run_together([("stop", {}), ("blockdev-mirror", arguments), ("cont", {})])
        finally:
            self._state.forget_pause()
        for answer in reversed(answers):
            if isinstance(answer, BaseException):
                raise answer

    async def _wait_in_step(self, job: str) -> None:
        """QEMU 9 and later tell when a mirror has really begun to forward; earlier ones do so when they are ready."""
        for _ in range(int(JOB_READY_SECONDS / RETRY_SECONDS)):
            if all(found.get("actively-synced") is not False for found in await self._jobs() if found["device"] == job):
                return
            await asyncio.sleep(RETRY_SECONDS)
        raise AttachRefused("The mirror did not come into step in time.", "Look at the tap's log.")

    async def _undo(self, counted: set[str]) -> None:
        """Take off what a refused attach put on; only disks that had bitmaps before keep them."""
        try:
            await self._take_off(counted)
        except FarshoreError as error:
            # The next attach or detach clears what is left; the first error is the one to tell.
            log.warning("what a refused attach had done could not be undone: %s", error)

    # -- taking off

    async def _take_off(self, keep_bitmaps_of: set[str]) -> None:
        for disk in self._state.disks.values():
            disk.leaving = True
        await self._carry_bitmaps_over(keep_bitmaps_of)
        for job in await self._jobs():
            if job["device"].startswith(names.JOB_PREFIX):
                await self._end_job(job["device"])
        for disk_id in self._disk_ids:
            await self._take_shim_off(disk_id)
        graph = await read_graph(self._monitor)
        for disk_id in self._disk_ids:
            if names.tap_node(disk_id) in graph:
                await self._delete_node(names.tap_node(disk_id))
        await self._forget_bitmaps(graph, keep_bitmaps_of)
        self._state.disks.clear()

    async def _forget_bitmaps(self, graph: BlockGraph, keep_of: set[str]) -> None:
        kept: set[str] = set()
        for disk_id in keep_of:
            root = await self._state.seats.root(graph, disk_id)
            kept.update(graph.layers(root) if root is not None else ())
        found = [bitmap for node, present in graph.bitmaps.items() if node not in kept for bitmap in present.values()]
        await bitmaps.transact(self._monitor, [bitmaps.remove(bitmap.node, bitmap.name) for bitmap in found])

    async def _carry_bitmaps_over(self, disk_ids: set[str]) -> None:
        """Let every layer of each disk's chain count from now on, and hold all that is held for the disk.

        Whatever the owner does to the chain then, the layer that comes out on top knows everything, if it is one of
        these: after a commit for one the overlay is gone with its bitmap, and what was below it is on top.
        """
        graph = await read_graph(self._monitor)
        actions: list[bitmaps.Action] = []
        for disk_id in disk_ids:
            root = await self._state.seats.root(graph, disk_id)
            if root is not None:
                actions += _carry_over(graph, disk_id, graph.under_ours(root, disk_id), disk_id in self._state.disks)
        await bitmaps.transact(self._monitor, actions)

    async def _take_shim_off(self, disk_id: str) -> None:
        """Give the device the node below the shim; a job of the owner may change that one between look and set."""
        shim = names.shim_node(disk_id)
        refused: CommandFailed | None = None
        for _ in range(HAND_OVER_TRIES):
            graph = await read_graph(self._monitor)
            if shim not in graph:
                return
            below = graph.below(shim)
            if await self._state.seats.root(graph, disk_id) != shim or below is None:
                await self._delete_node(shim)
                return
            try:
                await self._state.seats.hand_over(disk_id, below)
            except CommandFailed as error:
                refused = error
                await asyncio.sleep(RETRY_SECONDS)
        raise Unavailable(
            f"The shim of {disk_id} could not be taken off: {refused}", "It is tried again at the next detach."
        )

    async def _end_job(self, job: str) -> None:
        """Cancel softly and wait for the end of *that* job: the owner's jobs send the same events."""

        def ended(event: Event) -> bool:
            return event["event"] in _ENDS and event["data"].get("device") == job

        with self._monitor.expect(ended) as end:
            try:
                await self._monitor.run("block-job-cancel", {"device": job, "force": False})
                await asyncio.wait_for(end, JOB_END_SECONDS)
            except CommandFailed:
                if any(found["device"] == job for found in await self._jobs()):
                    raise
            except TimeoutError:
                raise Unavailable(
                    f"The mirror job {job} does not end: its tap hangs.", "Kill the tap and detach again."
                ) from None

    async def _delete_node(self, node: str) -> None:
        """Remove a node of ours; one that is gone is fine, one that is busy is tried again."""
        for left in range(int(NODE_BUSY_SECONDS / RETRY_SECONDS), 0, -1):
            try:
                await self._monitor.run("blockdev-del", {"node-name": node})
            except CommandFailed:
                if node not in await read_graph(self._monitor):
                    return
                if left == 1:
                    raise
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    async def _jobs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self._monitor.run("query-block-jobs")
        return found


def _carry_over(graph: BlockGraph, disk_id: str, top: str, tapped: bool) -> list[bitmaps.Action]:
    """What makes the layers from `top` down count, and gives each what the shim's and the top's bitmaps hold."""
    held = [bitmap for node in (names.shim_node(disk_id), top) for bitmap in graph.bitmaps.get(node, {}).values()]
    if not (held or tapped):
        return []
    actions: list[bitmaps.Action] = []
    for layer in graph.layers(top):
        own = graph.bitmaps.get(layer, {})
        if graph.sizes[layer] != graph.sizes[top]:
            # Bitmaps of two sizes cannot be merged. One that knows only a part must not vouch for the disk.
            actions += [bitmaps.remove(layer, name) for name in own]
            continue
        if not any(bitmap.recording for bitmap in own.values()):
            made = names.UNSHIPPED in own
            actions.append(bitmaps.enable(layer, names.UNSHIPPED) if made else bitmaps.add(layer, names.UNSHIPPED))
        elif names.UNSHIPPED not in own:
            actions.append(bitmaps.add(layer, names.UNSHIPPED))
        others = [bitmap for bitmap in held if bitmap.node != layer]
        if others:
            actions.append(bitmaps.merge(layer, names.UNSHIPPED, others))
    return actions


def _adopt(graph: BlockGraph, work: _Work) -> list[bitmaps.Action]:
    """What brings the bitmaps of an earlier attach, wherever they are, into the carrier's `unshipped`."""
    nodes = dict.fromkeys([names.shim_node(work.disk_id), *graph.layers(work.top)])
    here = graph.bitmaps.get(work.carrier, {})
    fitting: list[Bitmap] = []
    actions: list[bitmaps.Action] = []
    for bitmap in [bitmap for node in nodes for bitmap in graph.bitmaps.get(node, {}).values()]:
        if bitmap.node == work.carrier and bitmap.name == names.UNSHIPPED:
            if bitmap.recording:
                actions.append(bitmaps.disable(bitmap.node, bitmap.name))
        elif graph.sizes[bitmap.node] == work.size_bytes:
            fitting.append(bitmap)
        else:  # bitmaps of two sizes cannot be merged; an empty one need not be
            work.unbroken = work.unbroken and bitmap.dirty_bytes == 0
            actions.append(bitmaps.remove(bitmap.node, bitmap.name))
    return actions + bitmaps.fold(work.carrier, names.UNSHIPPED, fitting, exists=names.UNSHIPPED in here)
