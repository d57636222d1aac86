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
from pathlib import Path
from typing import Any

from farshore.errors import BadInput, NotFound, Unavailable
from farshore.hypervisor.block_layer import bitmaps, names
from farshore.hypervisor.block_layer.blockdevs import file_blockdev, overlay_blockdev
from farshore.hypervisor.block_layer.graph import BlockGraph, read_graph
from farshore.hypervisor.block_layer.monitor import CommandFailed, Event, Monitor
from farshore.hypervisor.block_layer.pivot_mark import Pivot, read_mark, write_mark
from farshore.hypervisor.block_layer.tapped import Seats
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
        graph = await read_graph(self._monitor)
        root = await self._seats.root(graph, disk_id)
        if root is None:
            raise NotFound(f"The VM has no device for the disk {disk_id} any more.", "It was unplugged.")
        overlay, plain = names.disk_node(disk_id), names.base_node(disk_id)
        top = graph.under_ours(root, disk_id)
        if plain not in graph and "backing" not in graph.children.get(overlay, {}):
            await self._demand_on(top, base, graph)
        elif top != plain:
            if root in (names.shim_node(disk_id), names.filter_node(disk_id)):
                raise Unavailable(f"The disk {disk_id} is tapped.", "Detach it first.")
            scratch = await self._file_of(overlay, graph)
            if not await self._job(disk_id):
                await self._open_plain(disk_id, base, graph)
                await self._swap_backing(disk_id)
                await self._delete(names.view_node(disk_id))
                await self._monitor.run("block-commit", _commit_arguments(disk_id), bound_seconds=OPEN_SECONDS)
            await self._catch_up(disk_id, progress)
            await self._move_over(disk_id, scratch)
        await self._drop_scratch(disk_id)
        progress(graph.sizes[root], graph.sizes[root])

    async def _open_plain(self, disk_id: str, base: Path, graph: BlockGraph) -> None:
        node = names.base_node(disk_id)
        if node not in graph:
            await self._monitor.run("blockdev-add", file_blockdev(node, "raw", base), bound_seconds=OPEN_SECONDS)
            graph = await read_graph(self._monitor)
        if graph.sizes[node] != graph.sizes[names.disk_node(disk_id)]:
            await self._delete(node)
            raise BadInput(
                f"{base} has {graph.sizes[node]} bytes, the disk {disk_id} {graph.sizes[names.disk_node(disk_id)]}.",
                "It is not this disk's file.",
            )
        await self._demand_on(node, base, graph)
        if names.UNSHIPPED not in graph.bitmaps.get(node, {}):
            await bitmaps.transact(self._monitor, [bitmaps.add(node, names.UNSHIPPED)])

    async def _swap_backing(self, disk_id: str) -> None:
        overlay, plain = names.disk_node(disk_id), names.base_node(disk_id)
        edges = (await read_graph(self._monitor)).children[overlay]
        if edges.get("backing") != plain:
            options = overlay_blockdev(disk_id, edges["file"], backing=plain)
            await self._monitor.run("blockdev-reopen", {"options": [options]}, bound_seconds=REOPEN_SECONDS)

    async def _catch_up(self, disk_id: str, progress: OnProgress) -> None:
        """Wait until the job has written everything that was there, and follows the guest."""
        name = names.commit_job(disk_id)

        def follows(event: Event) -> bool:
            return bool(event["event"] == "BLOCK_JOB_READY" and event["data"].get("device") == name)

        with self._monitor.expect(follows) as following:
            while job := await self._job(disk_id):
                progress(int(job["offset"]), int(job["len"]))
                if job["ready"]:
                    return
                await asyncio.wait([following], timeout=LOOK_SECONDS)
        graph = await read_graph(self._monitor)
        if await self._seats.root(graph, disk_id) != names.base_node(disk_id):
            raise Unavailable(
                f"The scratch of {disk_id} could not be written into its plain file.", "Look at the room left."
            )

    async def _move_over(self, disk_id: str, scratch: Path) -> None:
        """Let the guest see the plain file. From here on the mark says that the scratch may be the older one."""
        job = names.commit_job(disk_id)

        def ended(event: Event) -> bool:
            return bool(event["event"] == "BLOCK_JOB_COMPLETED" and event["data"].get("device") == job)

        with self._monitor.expect(ended) as end:
            if await self._job(disk_id):
                await asyncio.to_thread(write_mark, scratch, Pivot.ORDERED)
                try:
                    await self._monitor.run("job-complete", {"id": job})
                except CommandFailed:
                    if await self._job(disk_id):  # it may have been ordered by an earlier process of ours
                        await asyncio.sleep(RETRY_SECONDS)
                await self._wait_end(disk_id, end)
        graph = await read_graph(self._monitor)
        if await self._seats.root(graph, disk_id) != names.base_node(disk_id):
            raise Unavailable(f"The disk {disk_id} could not be moved onto its plain file.", "It is tried again.")

    async def _wait_end(self, disk_id: str, end: asyncio.Future[Event]) -> None:
        deadline = asyncio.get_running_loop().time() + PIVOT_SECONDS
        while await self._job(disk_id):
            await asyncio.wait([end], timeout=LOOK_SECONDS)
            if asyncio.get_running_loop().time() > deadline:
                raise Unavailable(f"The scratch of {disk_id} does not catch up with its guest.", "It is tried again.")

    async def _drop_scratch(self, disk_id: str) -> None:
        """The guest is on the plain file: say so durably, then let the scratch and the view go."""
        overlay = names.disk_node(disk_id)
        graph = await read_graph(self._monitor)
        if names.base_node(disk_id) not in graph or overlay not in graph:
            return
        scratch = await self._file_of(overlay, graph)
        if read_mark(scratch) is not Pivot.DONE:
            await asyncio.to_thread(write_mark, scratch, Pivot.DONE)
        await self._delete(overlay)

    async def _demand_on(self, node: str, base: Path, graph: BlockGraph) -> None:
        """Raises BadInput unless that node is of this very file."""
        path = await self._file_of(node, graph)
        if path.resolve() != base.resolve():
            raise BadInput(f"The disk is on {path}, not on {base}.", "It was promoted elsewhere.")

    async def _file_of(self, image: str, graph: BlockGraph) -> Path:
        """The file under an image's node: the image itself may be told of with all of its options."""
        file = graph.children.get(image, {}).get("file")
        for told in await self._monitor.run("query-named-block-nodes", {"flat": True}):
            if told["node-name"] == file:
                return Path(told["file"])
        raise NotFound(f"QEMU has no file under {image}.", "It is looked for again.")

    async def _job(self, disk_id: str) -> dict[str, Any] | None:
        jobs: list[dict[str, Any]] = await self._monitor.run("query-block-jobs")
        return next((job for job in jobs if job["device"] == names.commit_job(disk_id)), None)

    async def _delete(self, node: str) -> None:
        """Remove a node; one that is gone is fine, one that a job holds for a moment more is tried again."""
        deadline = asyncio.get_running_loop().time() + NODE_BUSY_SECONDS
        while node in await read_graph(self._monitor):
            try:
                await self._monitor.run("blockdev-del", {"node-name": node})
                return
            except CommandFailed:
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(RETRY_SECONDS)


def _commit_arguments(disk_id: str) -> dict[str, Any]:
    overlay, plain = names.disk_node(disk_id), names.base_node(disk_id)
    return {"job-id": names.commit_job(disk_id), "device": overlay, "base-node": plain}
