"""The journal of one VPG at its recovery site: a carrier that is started again when it dies or hangs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import time
from pathlib import Path
from typing import Any

from farshore.appliance.carrier import Carrier, end_tasks
from farshore.appliance.orphans import end_forerunner
from farshore.appliance.road import Surroundings
from farshore.errors import FarshoreError, Unavailable
from farshore.model.appliance_specs import KeepSpec
from farshore.model.files import sync_directory, write_durably

WATCH_SECONDS = 1.0
ANSWER_SECONDS = 5.0
PAUSE_SECONDS_MAX = 5.0
QUICK_SECONDS = 0.8
KEPT_SECONDS = 1.5
"""How old a status may be that is given for one of many; each is asked for once in `WATCH_SECONDS` anyway."""
MODULE = "farshore.datapath.journal_carrier"
_WORDS = {"stream": b"c", "hashes": b"h"}
"""What a connection is for, as the carrier is told."""


class VpgJournal:
    """Owner of one journal carrier."""

    def __init__(self, spec: KeepSpec, around: Surroundings) -> None:
        """The journal's folder is made at the start of the carrier."""
        self.spec = spec
        self.around = around
        self.carrier: Carrier | None = None
        self._connections: socket.socket | None = None
        self._status: tuple[float, dict[str, Any]] = (float("-inf"), {})
        self._task: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()

    @property
    def folder(self) -> Path:
        """Where the journal's files are."""
        return self.around.site_folder / "journal" / self.spec.vpg_id

    def start(self) -> None:
        """Keep from now on."""
        self._task = asyncio.get_running_loop().create_task(self._watch())

    async def stop(self) -> None:
        """End the carrier; the files stay."""
        if self._task is not None:
            await end_tasks([self._task])
        async with self._changing:
            await self._end()

    async def take(self, spec: KeepSpec) -> bool:
        """Have the carrier that runs take a higher epoch or another history; False when it must be started again.

        A journal that has ended is begun anew only at a start. Other volumes are what the stream says they are.
        """
        taken = {"epoch": self.spec.epoch, "history_seconds": self.spec.history_seconds, "volumes": self.spec.volumes}
        rest = spec.model_copy(update=taken)
        if rest != self.spec or spec.epoch < self.spec.epoch or self.carrier is None or not self.carrier.is_alive:
            return False
        try:
            if (await self.carrier.call("status", ANSWER_SECONDS)).get("retired", True):
                return False
            await self.carrier.call("raise_epoch", ANSWER_SECONDS, epoch=spec.epoch)
            await self.carrier.call("configure", ANSWER_SECONDS, history_seconds=spec.history_seconds)
        except FarshoreError:
            return False
        self.spec = spec
        return True

    async def forget(self) -> None:
        """End the carrier and remove the journal, its replica and all checkpoints."""
        await self.stop()
        await asyncio.to_thread(shutil.rmtree, self.folder, True)
        if self.folder.parent.exists():
            sync_directory(self.folder.parent)

    async def call(self, call: str, timeout_seconds: float = ANSWER_SECONDS, /, **args: Any) -> Any:
        """Ask the journal; waits up to the bound for a carrier that is just being started."""
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        while self.carrier is None or not self.carrier.is_alive:
            if asyncio.get_running_loop().time() > deadline:
                raise Unavailable(
                    f"The journal of VPG {self.spec.vpg_id} is not up.", "It is started by itself; look into its log."
                )
            await asyncio.sleep(0.05)
        return await self.carrier.call(call, timeout_seconds, **args)

    async def status(self, *, fresh: bool) -> dict[str, Any] | None:
        """How the journal stands, of this moment or of a second ago; None when it does not answer at once."""
        at, status = self._status
        if not fresh and time.monotonic() - at < KEPT_SECONDS and self.carrier is not None and self.carrier.is_alive:
            return status
        try:
            return self._noted(await self.call("status", QUICK_SECONDS))
        except FarshoreError:
            return None

    def _noted(self, status: dict[str, Any]) -> dict[str, Any]:
        self._status = (time.monotonic(), status)
        return status

    def hand_over(self, connection: socket.socket, kind: str) -> None:
        """Pass an accepted connection (stream or hashes) to the carrier. Raises Unavailable when there is none."""
        if self._connections is None or self.carrier is None or not self.carrier.is_alive:
            raise Unavailable(f"The journal of VPG {self.spec.vpg_id} is not up.", "The sender tries again by itself.")
        socket.send_fds(self._connections, [_WORDS[kind]], [connection.fileno()])

    async def _watch(self) -> None:
        pause = 0.1
        while True:
            if self.carrier is None or not self.carrier.is_alive:
                async with self._changing:
                    await self._end()
                    with contextlib.suppress(FarshoreError, OSError):
                        await self._begin()
                await asyncio.sleep(pause)
                pause = min(2 * pause, PAUSE_SECONDS_MAX)
                continue
            await asyncio.sleep(WATCH_SECONDS)
            try:
                self._noted(await self.carrier.call("status", ANSWER_SECONDS))
                pause = 0.1
            except Unavailable:
                await self.carrier.end_by_force()

    async def _begin(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        await end_forerunner(self.folder, MODULE)
        spec_path = self.folder / "spec.json"
        identity = self.around.site_folder / "identity"
        spec = self.spec.model_copy(update={"identity_dir": os.fspath(identity)})
        write_durably(spec_path, json.dumps(spec.model_dump(mode="json")).encode())
        ours, theirs = socket.socketpair()
        with theirs:
            self.carrier = await Carrier.start(
                f"the journal of VPG {self.spec.vpg_id}",
                MODULE,
                [
                    "--dir",
                    os.fspath(self.folder),
                    "--spec",
                    os.fspath(spec_path),
                    "--connections-fd",
                    str(theirs.fileno()),
                ],
                log=self.around.log(f"journal-{self.spec.vpg_id[:8]}"),
                pass_fds=(theirs.fileno(),),
            )
        ours.setblocking(False)
        self._connections = ours

    async def _end(self) -> None:
        if self._connections is not None:
            self._connections.close()
            self._connections = None
        if self.carrier is not None:
            await self.carrier.stop()
            self.carrier = None
