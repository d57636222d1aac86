"""Running the sync reader of a VPG: exports on the hypervisor's side, a reader process, progress."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from farshore.appliance.carrier import carrier_environment
from farshore.errors import Fault
from farshore.hypervisor.driver import VmHandle
from farshore.model.vpg import Volume


@dataclass(slots=True)
class SyncProgress:
    """How far a sync is. `kind`: initial or bitmap (of the volumes that are synced by it, the farther-reaching one)."""

    kind: str
    total_bytes: int = 0
    done_bytes: int = 0
    sent_bytes: int = 0

    def to_json(self) -> dict[str, Any]:
        """As it is shown."""
        return {
            "kind": self.kind,
            "done_bytes": self.done_bytes,
            "total_bytes": self.total_bytes,
            "sent_bytes": self.sent_bytes,
        }


@dataclass(slots=True)
class SyncRun:
    """One run of the reader over some volumes."""

    tap_sync_socket: Path
    log: Path
    progress: SyncProgress
    volumes: list[dict[str, Any]] = field(default_factory=list)

    async def add(self, volume: Volume, handle: VmHandle, with_bitmap: bool) -> None:
        """Export a volume's disk for reading. Raises what the driver raises."""
        export = await handle.open_sync_export(volume.disk_id, with_bitmap)
        self.volumes.append(
            {
                "number": volume.number,
                "size_bytes": volume.size_bytes,
                "socket": str(export.socket),
                "export": export.export,
                "bitmap_context": export.bitmap_context,
            }
        )

    async def run(self) -> None:
        """Read all volumes into the stream; returns when the last read is in. Raises Fault when the reader fails."""
        with open(self.log, "ab") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "farshore.datapath.sync",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=output,
                env=carrier_environment(),
                start_new_session=True,
            )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            order = {"tap": str(self.tap_sync_socket), "volumes": self.volumes}
            process.stdin.write(json.dumps(order).encode() + b"\n")
            finished = False
            while line := await process.stdout.readline():
                said = json.loads(line)
                self.progress.done_bytes = int(said["done_bytes"])
                self.progress.total_bytes = int(said["total_bytes"])
                self.progress.sent_bytes = int(said["sent_bytes"])
                finished = bool(said.get("finished"))
            if await process.wait() != 0 or not finished:
                raise Fault(
                    "The sync reader ended before it was done.", f"It is started again by itself; see {self.log}."
                )
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()


async def close_exports(handles: Mapping[str, VmHandle]) -> None:
    """Close the sync exports of all VMs."""
    for handle in handles.values():
        await handle.close_sync_exports()


def kind_of(initial: Sequence[int]) -> str:
    """The name of a sync in which those volumes are read whole."""
    return "initial" if initial else "bitmap"
