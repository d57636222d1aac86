"""One round's sync: exports on the hypervisor's side, a reader process, progress.

Nothing is read before the other site has acknowledged the round's beginning, and so all that was sealed before it
(datapath/sync/comparing.py says why). Then it is known, too, which journal answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from farshore.appliance.carrier import carrier_environment
from farshore.appliance.durable_state import ProtectionState, SyncKind
from farshore.appliance.road import Road, Surroundings
from farshore.datapath.stream.destination import HashPeer
from farshore.errors import Fault, Unavailable
from farshore.hypervisor.driver import VmHandle

ACKNOWLEDGED_POLL_SECONDS = 0.02


@dataclass(slots=True)
class SyncProgress:
    """How far a sync is. `kind`: of the kinds by which its volumes are synced, the one that costs most."""

    kind: SyncKind
    total_bytes: int = 0
    done_bytes: int = 0
    read_bytes: int = 0
    hash_bytes: int = 0
    sent_bytes: int = 0

    def to_json(self) -> dict[str, Any]:
        """As it is shown."""
        return asdict(self)


class RoundSync:
    """The sync of one round. `kinds`: how each volume is synced, by its number. `say` is told what it waits for."""

    def __init__(
        self,
        road: Road,
        around: Surroundings,
        handles: Mapping[str, VmHandle],
        kinds: Mapping[int, SyncKind],
        say: Callable[[str], None],
    ) -> None:
        """All disks are attached."""
        self.spec = road.spec
        self.road = road
        self.around = around
        self.handles = handles
        self.kinds = kinds
        self.say = say
        self.progress = SyncProgress(kind_of(kinds.values()))
        self._begun_at = 0
        self._reading_since_ns = 0
        self._log = around.log(f"sync-{road.short}")

    def record(self, name: str) -> dict[str, Any]:
        """The control record that begins or ends it in the stream."""
        return {"type": name, "kind": self.progress.kind, "volumes": [v.number for v in self.spec.volumes]}

    async def wait_for_the_other_site(self, memory: ProtectionState) -> None:
        """Wait until it has all that was sealed up to this round's beginning.

        Raises Unavailable when its journal is another one than `memory` has in mind.
        """
        self._begun_at = int((await self.road.ask_tap("seal"))["sequence"])
        link = self.road.link
        while self.road.window.acknowledged < self._begun_at or link.state != "connected" or not link.journal_id:
            self.say(f"waiting until the other site has all that was sent before (link {link.code or link.state})")
            if link.state == "refused" and link.code in ("gap", "old_session"):
                raise Unavailable(f"The other site does not take this session ({link.code}).", "A new one begins.")
            await asyncio.sleep(ACKNOWLEDGED_POLL_SECONDS)
        self.say("")
        if link.journal_id != memory.journal_id and not self._stands_any_journal():
            raise Unavailable("The journal at the other site is another one than before.", "The sync begins anew.")
        memory.begin_with(link.journal_id)

    def _stands_any_journal(self) -> bool:
        copies = self.spec.copies_are_there
        return all(kind == "initial" or (kind == "delta" and copies) for kind in self.kinds.values())

    async def read(self) -> None:
        """Read all volumes into the stream; returns when the last read is in. Raises Fault when the reader fails."""
        self._reading_since_ns = time.time_ns()
        order: dict[str, Any] = {"tap": str(self.road.sync_socket), "volumes": await self._exports()}
        if "delta" in self.kinds.values():
            order["hashes"] = self._hashes()
        with open(self._log, "ab") as output:
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
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps(order).encode() + b"\n")
            finished = await self._follow(process)
            if await process.wait() != 0 or not finished:
                raise Fault(
                    "The sync reader ended before it was done.", f"It is started again by itself; see {self._log}."
                )
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        self.say("")

    async def _exports(self) -> list[dict[str, Any]]:
        """Each volume as the reader is told of it. Raises what the driver raises."""
        volumes = []
        for volume in self.spec.volumes:
            kind = self.kinds[volume.number]
            export = await self.handles[volume.vm_id].open_sync_export(volume.disk_id, kind == "bitmap")
            volumes.append(
                {
                    "number": volume.number,
                    "size_bytes": volume.size_bytes,
                    "socket": str(export.socket),
                    "export": export.export,
                    "bitmap_context": export.bitmap_context,
                    "compare": kind == "delta",
                }
            )
        return volumes

    def _hashes(self) -> dict[str, Any]:
        spec = self.spec
        peer = HashPeer(
            vpg_id=spec.vpg_id,
            epoch=spec.epoch,
            session=self.road.window.session,
            sequence=self._begun_at,
            journal_id=self.road.link.journal_id,
            host=spec.peer_host,
            port=spec.peer_port,
        )
        identity = self.around.site_folder / "identity"
        return {"peer": asdict(peer), "identity": str(identity), "peer_site": spec.peer_site_id}

    async def _follow(self, process: asyncio.subprocess.Process) -> bool:
        """Take the reader's lines; whether it said that it has finished."""
        assert process.stdout is not None
        finished = False
        progress = self.progress
        while line := await process.stdout.readline():
            said = json.loads(line)
            progress.done_bytes, progress.total_bytes = int(said["done_bytes"]), int(said["total_bytes"])
            progress.read_bytes, progress.hash_bytes = int(said["read_bytes"]), int(said["hash_bytes"])
            progress.sent_bytes = int(said["sent_bytes"])
            self.say(str(said["reason"]))
            finished = bool(said["finished"])
        return finished

    def final_figures(self) -> dict[str, Any]:
        """What is kept of it once it is done."""
        return {**self.progress.to_json(), "began_ns": self._reading_since_ns, "ended_ns": time.time_ns()}


async def close_exports(handles: Mapping[str, VmHandle]) -> None:
    """Close the sync exports of all VMs."""
    for handle in handles.values():
        await handle.close_sync_exports()


def kind_of(kinds: Iterable[SyncKind]) -> SyncKind:
    """The one name for a sync of several volumes: the kind that costs most."""
    present = set(kinds)
    return "initial" if "initial" in present else "delta" if "delta" in present else "bitmap"
