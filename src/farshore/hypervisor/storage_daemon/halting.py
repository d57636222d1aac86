"""Halting a storage daemon: whoever writes to its disks can reach them no more. The disks themselves stay."""

from __future__ import annotations

import asyncio

from farshore.errors import Unavailable
from farshore.hypervisor.block_layer import names
from farshore.hypervisor.block_layer.graph import read_graph
from farshore.hypervisor.block_layer.halting import ASKED, FORCED, HaltNote
from farshore.hypervisor.block_layer.monitor import CommandFailed, Event, Monitor
from farshore.hypervisor.block_layer.tapped import Seats
from farshore.model.vm import VmDefinition

CLOSE_SECONDS = 5.0
"""Removing an export waits for the requests that are on their way."""


def export_arguments(disk_id: str, node: str) -> dict[str, object]:
    """The writable export of a disk, as the monitor takes it."""
    return {"type": "nbd", "id": names.device(disk_id), "node-name": node, "name": disk_id, "writable": True}


class ExportHalter:
    """See block_layer.halting.Halter. Asked, the disks go if nobody has them open: all of them or none."""

    def __init__(self, monitor: Monitor, seats: Seats, definition: VmDefinition, note: HaltNote) -> None:
        self._monitor = monitor
        self._seats = seats
        self._disk_ids = [disk.id for disk in definition.disks]
        self._note = note

    async def halt(self, force: bool) -> bool:
        """See VmHandle."""
        self._note.add(FORCED if force else ASKED)
        for disk_id in await self._exported():
            if not await self._take_away(disk_id, "hard" if force else "safe"):
                await self.revive()
                return False
        self._note.add(FORCED)
        return True

    async def halted(self) -> bool:
        """See VmHandle."""
        return not await self._exported()

    async def revive(self) -> None:
        """See VmHandle."""
        self._note.forget()
        present = await self._exported()
        graph = await read_graph(self._monitor)
        for disk_id in self._disk_ids:
            node = await self._seats.root(graph, disk_id)
            if disk_id not in present and node is not None:
                await self._monitor.run("block-export-add", export_arguments(disk_id, node))

    async def _exported(self) -> list[str]:
        told = {export["id"] for export in await self._monitor.run("query-block-exports")}
        return [disk_id for disk_id in self._disk_ids if names.device(disk_id) in told]

    async def _take_away(self, disk_id: str, mode: str) -> bool:
        """False when somebody has the disk open and it is not to be taken by force."""
        export = names.device(disk_id)

        def deleted(event: Event) -> bool:
            return bool(event["event"] == "BLOCK_EXPORT_DELETED" and event["data"].get("id") == export)

        with self._monitor.expect(deleted) as end:
            try:
                await self._monitor.run("block-export-del", {"id": export, "mode": mode})
                await asyncio.wait_for(end, CLOSE_SECONDS)
            except CommandFailed:
                return disk_id not in await self._exported()
            except TimeoutError:
                raise Unavailable(f"The disk {disk_id} cannot be taken away from its user yet.", "Ask again.") from None
        return True
