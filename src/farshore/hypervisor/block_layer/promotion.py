"""A recovered disk comes off its scratch and view onto a plain file, while the guest works.

The order, soaked under load on every version of qualification.py: open the plain file; begin a bitmap on it, before
anything writes to it; put it under the scratch in the view's place (it holds what the view shows); close the view;
commit the scratch into it, and when that has caught up with the guest, move the guest over; drop the scratch. Each step
looks first what is there, so that another process of ours goes on wherever the last one was killed. The job's own end
is `job-complete`, of this very job; a job that fails by itself leaves the guest on its scratch, and can be begun again.
Never a forced cancel here either.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from farshore.errors import BadInput, NotFound, Unavailable
from farshore.hypervisor.block_layer import bitmaps, names
from farshore.hypervisor.block_layer.blockdevs import check_base, file_blockdev, overlay_blockdev
from farshore.hypervisor.block_layer.graph import BlockGraph, read_graph
from farshore.hypervisor.block_layer.monitor import CommandFailed, Event, Monitor
from farshore.hypervisor.block_layer.pivot_mark import Pivot, read_mark, write_mark
from farshore.hypervisor.block_layer.tapped import Seats
from farshore.hypervisor.block_layer.written_out import written_out
from farshore.hypervisor.driver import OnProgress

OPEN_SECONDS = 5.0
REOPEN_SECONDS = 10.0
"""It waits for the guest's requests that are on their way, some of which read from the view."""
LOOK_SECONDS = 0.1
PIVOT_SECONDS = 30.0
NODE_BUSY_SECONDS = 3.0
RETRY_SECONDS = 0.02


class Promoter:
    """Promotes the disks of one process of a VM. Calls must not overlap (VmHandle's lock sees to it)."""

    def __init__(self, monitor: Monitor, seats: Seats) -> None:
        self._monitor = monitor
        self._seats = seats

    async def promote(self, disk_id: str, base: Path, progress: OnProgress) -> None:
        """See VmHandle."""
        overlay, plain = names.disk_node(disk_id), names.base_node(disk_id)
        with self._expect(disk_id, "BLOCK_JOB_READY", "BLOCK_JOB_COMPLETED") as told:
            # The job first: one of an earlier process of ours that is gone by then has moved the guest, or never will.
            job, graph = await asyncio.gather(self._job(disk_id), read_graph(self._monitor))
            root = await self._seats.root(graph, disk_id)
            if root is None:
                raise NotFound(f"The VM has no device for the disk {disk_id} any more.", "It was unplugged.")
            size_bytes, top = graph.sizes[root], graph.under_ours(root, disk_id)
            if plain not in graph and "backing" not in graph.children.get(overlay, {}):
                _demand_on(top, base, graph)
            elif top != plain:
                if root in (names.shim_node(disk_id), names.filter_node(disk_id)):
                    raise Unavailable(f"The disk {disk_id} is tapped.", "Detach it first.")
                scratch = _scratch(disk_id, graph)
                with written_out(base):
                    if job is None:
                        await self._begin(disk_id, base, scratch, graph)
                    follows = await self._catch_up(disk_id, told, job, progress)
                if follows:
                    await self._move_over(disk_id, scratch)
                graph = await self._demand_moved(disk_id, follows)
        await self._drop_scratch(disk_id, graph)
        progress(size_bytes, size_bytes)

    async def _begin(self, disk_id: str, base: Path, scratch: Path, graph: BlockGraph) -> None:
        """What is not done yet up to the job's start."""
        overlay, plain, view = names.disk_node(disk_id), names.base_node(disk_id), names.view_node(disk_id)
        await asyncio.to_thread(check_base, base, disk_id, graph.sizes[overlay])
        if read_mark(scratch) is not Pivot.NOT_ORDERED:  # of a job that failed at its end
            await asyncio.to_thread(write_mark, scratch, Pivot.NOT_ORDERED)
        if plain in graph:
            _demand_on(plain, base, graph)
        else:
            await self._monitor.run("blockdev-add", file_blockdev(plain, "raw", base), bound_seconds=OPEN_SECONDS)
        if names.UNSHIPPED not in graph.bitmaps.get(plain, {}):
            await bitmaps.transact(self._monitor, [bitmaps.add(plain, names.UNSHIPPED)])
        edges = graph.children[overlay]
        if edges.get("backing") != plain:
            options = overlay_blockdev(disk_id, edges["file"], backing=plain)
            await self._monitor.run("blockdev-reopen", {"options": [options]}, bound_seconds=REOPEN_SECONDS)
        if view in graph:
            await self._delete(view)
        await self._monitor.run("block-commit", _commit_arguments(disk_id), bound_seconds=OPEN_SECONDS)

    async def _catch_up(
        self, disk_id: str, told: asyncio.Future[Event], job: dict[str, Any] | None, progress: OnProgress
    ) -> bool:
        """Wait until the job has written everything that was there, and follows the guest; False if it is gone."""
        while job is None or not job["ready"]:
            if job is not None:
                progress(int(job["offset"]), int(job["len"]))
            await asyncio.wait([told], timeout=LOOK_SECONDS)
            if told.done():
                return bool(told.result()["event"] == "BLOCK_JOB_READY")
            job = await self._job(disk_id)
            if job is None:
                return False
        return True

    async def _move_over(self, disk_id: str, scratch: Path) -> None:
        """Let the guest see the plain file. From here on the mark says that the scratch may be the older one."""
        with self._expect(disk_id, "BLOCK_JOB_COMPLETED") as end:
            await asyncio.to_thread(write_mark, scratch, Pivot.ORDERED)
            try:
                await self._monitor.run("job-complete", {"id": names.commit_job(disk_id)})
            except CommandFailed:
                if await self._job(disk_id) is None:
                    return
                await asyncio.sleep(RETRY_SECONDS)  # it may have been ordered by an earlier process of ours
            deadline = asyncio.get_running_loop().time() + PIVOT_SECONDS
            while not (await asyncio.wait([end], timeout=LOOK_SECONDS))[0] and await self._job(disk_id):
                if asyncio.get_running_loop().time() > deadline:
                    raise Unavailable(
                        f"The scratch of {disk_id} does not catch up with its guest.", "It is tried again."
                    )

    async def _demand_moved(self, disk_id: str, followed: bool) -> BlockGraph:
        """What QEMU looks like once the guest is on the plain file. Raises Unavailable if it is not."""
        graph = await read_graph(self._monitor)
        if await self._seats.root(graph, disk_id) == names.base_node(disk_id):
            return graph
        if followed:
            raise Unavailable(f"The disk {disk_id} could not be moved onto its plain file.", "It is tried again.")
        raise Unavailable(
            f"The scratch of {disk_id} could not be written into its plain file.", "Look at the room left."
        )

    async def _drop_scratch(self, disk_id: str, graph: BlockGraph) -> None:
        """The guest is on the plain file: say so durably, then let the scratch and the view go."""
        overlay = names.disk_node(disk_id)
        if names.base_node(disk_id) not in graph or overlay not in graph:
            return
        scratch = _scratch(disk_id, graph)
        if read_mark(scratch) is not Pivot.DONE:
            await asyncio.to_thread(write_mark, scratch, Pivot.DONE)
        await self._delete(overlay)

    def _expect(self, disk_id: str, *events: str) -> AbstractContextManager[asyncio.Future[Event]]:
        """The first of these events that is about the disk's job."""
        job = names.commit_job(disk_id)
        return self._monitor.expect(lambda event: event["event"] in events and event["data"].get("device") == job)

    async def _job(self, disk_id: str) -> dict[str, Any] | None:
        jobs: list[dict[str, Any]] = await self._monitor.run("query-block-jobs")
        return next((job for job in jobs if job["device"] == names.commit_job(disk_id)), None)

    async def _delete(self, node: str) -> None:
        """Remove a node; one that is gone is fine, one that a job holds for a moment more is tried again."""
        deadline = asyncio.get_running_loop().time() + NODE_BUSY_SECONDS
        while True:
            try:
                await self._monitor.run("blockdev-del", {"node-name": node})
                return
            except CommandFailed:
                if node not in await read_graph(self._monitor):
                    return
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(RETRY_SECONDS)


def _demand_on(node: str, base: Path, graph: BlockGraph) -> None:
    """Raises BadInput unless that node is of this very file."""
    path = graph.file_of(node)
    if path is None or path.resolve() != base.resolve():
        raise BadInput(f"The disk is on {path}, not on {base}.", "It was promoted elsewhere.")


def _scratch(disk_id: str, graph: BlockGraph) -> Path:
    """The file of a disk's scratch. Raises NotFound."""
    path = graph.file_of(names.disk_node(disk_id))
    if path is None:
        raise NotFound(f"QEMU has no file under {names.disk_node(disk_id)}.", "It is looked for again.")
    return path


def _commit_arguments(disk_id: str) -> dict[str, Any]:
    overlay, plain = names.disk_node(disk_id), names.base_node(disk_id)
    return {"job-id": names.commit_job(disk_id), "device": overlay, "base-node": plain}
