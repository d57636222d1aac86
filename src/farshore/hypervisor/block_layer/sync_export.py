"""Read-only NBD exports of tapped disks, for a sync: below the tap, so that a reader sees what the guest sees.

The exported node is the one that carries the bitmaps: the shim, or the disk's own node where there is none. (The node
that was under a shim at first would be wrong: after the owner's snapshot an overlay is in between, and an export of the
node below it, opened then, would put old data into the stream after newer ones.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from farshore.errors import NotFound, Unavailable, Unsupported
from farshore.hypervisor.block_layer import names
from farshore.hypervisor.block_layer.graph import read_graph
from farshore.hypervisor.block_layer.monitor import CommandFailed, Event
from farshore.hypervisor.block_layer.tapped import TapState
from farshore.hypervisor.driver import SyncExport

CLOSE_SECONDS = 2.0


class NbdServer(Protocol):
    """The NBD server inside the VM's process, of which QEMU has one."""

    socket: Path

    async def start(self) -> None:
        """Let it listen; one that is ours and listens is fine. Raises Unavailable."""
        ...

    async def stop(self) -> None:
        """Let it listen no more, if it was started for a sync."""
        ...


class SyncExports:
    """The sync exports of one process of a VM."""

    def __init__(self, state: TapState, server: NbdServer) -> None:
        self._state = state
        self._server = server

    async def open(self, disk_id: str, with_bitmap: bool) -> SyncExport:
        """Export one tapped disk. Raises NotFound, Unsupported, Unavailable."""
        disk = self._state.disk(disk_id)
        if not self._state.qualification.may_export(self._state.seats.iothread(disk_id)):
            raise Unsupported(
                f"The disk {disk_id} has an iothread, and QEMU {self._state.qualification.version} would abort when a "
                "reader of its NBD export leaves.",
                "Take the iothread off this disk, or use QEMU 9 or later.",
            )
        if with_bitmap and names.SYNC not in (await read_graph(self._state.monitor)).bitmaps.get(disk.carrier, {}):
            raise NotFound(f"The disk {disk_id} has no frozen sync set.", "Freeze one first.")
        await self._server.start()
        export = names.sync_export(disk_id)
        await self._close([export])
        arguments = {"type": "nbd", "id": export, "name": export, "node-name": disk.carrier, "writable": False}
        if with_bitmap:
            arguments["bitmaps"] = [names.SYNC]
        try:
            await self._state.monitor.run("block-export-add", arguments)
        except CommandFailed as error:
            raise Unavailable(
                f"The disk {disk_id} could not be exported: {error.words}", "It is tried again."
            ) from error
        context = f"qemu:dirty-bitmap:{names.SYNC}" if with_bitmap else None
        return SyncExport(self._server.socket, export, context, disk.size_bytes)

    async def close(self) -> None:
        """Close all sync exports, also those that an earlier watcher left; their readers are hung up on."""
        told = await self._state.monitor.run("query-block-exports")
        await self._close([export["id"] for export in told if export["id"].startswith(names.SYNC_EXPORT_PREFIX)])
        await self._server.stop()

    async def _close(self, exports: list[str]) -> None:
        for export in exports:
            with self._state.monitor.expect(_deletion_of(export)) as deleted:
                try:
                    await self._state.monitor.run("block-export-del", {"id": export, "mode": "hard"})
                    await asyncio.wait_for(deleted, CLOSE_SECONDS)
                except CommandFailed:
                    continue  # there is none
                except TimeoutError:
                    raise Unavailable(f"The sync export {export} does not close.", "It is tried again.") from None


def _deletion_of(export: str) -> Callable[[Event], bool]:
    def wanted(event: Event) -> bool:
        return bool(event["event"] == "BLOCK_EXPORT_DELETED" and event["data"].get("id") == export)

    return wanted
