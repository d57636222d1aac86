"""Views that stay open: one process a volume, which outlives this one, and is started again when it dies or hangs.

What is open is kept in `appliance/views/<operation>.json`, written before the first view is started; which process
serves a view, before that begins: if this one is killed in between, that one ends. A recovered VM's disk waits for
its view (QEMU reconnects), so a view's death is a short stall there.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farshore.appliance.carrier import carrier_environment
from farshore.appliance.road import Surroundings
from farshore.datapath.tap.heartbeat import process_start_time
from farshore.errors import Unavailable
from farshore.model.files import remove_durably, write_durably

WATCH_SECONDS = 0.5
START_SECONDS_MAX = 20.0
ANSWER_SECONDS = 1.5
GREETING_BYTES = 18
AT_ONCE = max(2, os.cpu_count() or 1)


@dataclass(slots=True)
class View:
    """One open view: a volume of a VPG at a checkpoint, exported on a socket."""

    operation: str
    vpg_id: str
    checkpoint: int
    volume: int
    socket: Path
    pid: int = 0
    started: int = 0

    def is_alive(self) -> bool:
        """Whether its process runs."""
        return self.pid > 0 and process_start_time(self.pid) == self.started


class ViewKeeper:
    """All open views of a site."""

    def __init__(self, around: Surroundings) -> None:
        """Nothing is started before `resume`."""
        self.around = around
        self.folder = around.site_folder / "appliance" / "views"
        self._views: dict[str, list[View]] = {}
        self._lock = asyncio.Lock()

    async def resume(self) -> None:
        """Take up what was open before this process: views that live are kept, others started again."""
        for path in sorted(self.folder.glob("*.json")):
            data = json.loads(path.read_text())
            self._views[path.stem] = [View(**{**v, "socket": Path(v["socket"])}) for v in data]
        await self._mend()

    async def watch(self) -> None:
        """Start again what died, kill what hangs. Runs until cancelled."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            await self._mend()

    async def open(self, operation: str, vpg_id: str, checkpoint: int, volumes: list[int]) -> dict[int, dict[str, Any]]:
        """Open views of these volumes; the same again is the same. Returns socket and export by volume number."""
        async with self._lock:
            if operation not in self._views:
                short = operation[:8]
                views = [
                    View(operation, vpg_id, checkpoint, n, self.around.run_folder / f"view-{short}-{n}.nbd")
                    for n in volumes
                ]
                self._views[operation] = views
                self._save(operation)
            await self._ensure_all(self._views[operation])
            return {v.volume: {"socket": str(v.socket), "export": str(v.volume)} for v in self._views[operation]}

    def processes(self, operation: str) -> list[tuple[int, int]]:
        """(pid, start time) of each of the operation's views."""
        return [(view.pid, view.started) for view in self._views.get(operation, [])]

    async def ensure(self, operation: str) -> None:
        """Start again which of the operation's views do not answer. Raises Unavailable when one does not come up."""
        async with self._lock:
            await self._ensure_all(self._views.get(operation, []))

    async def close(self, operation: str) -> None:
        """Close the operation's views; none is fine."""
        async with self._lock:
            for view in self._views.pop(operation, []):
                await self._end(view)
            remove_durably(self.folder / f"{operation}.json")

    async def close_volume(self, operation: str, volume: int) -> None:
        """Close the operation's view of one volume, for good; none is fine."""
        async with self._lock:
            closing = [view for view in self._views.get(operation, []) if view.volume == volume]
            if not closing:
                return
            self._views[operation] = [view for view in self._views[operation] if view.volume != volume]
            self._save(operation)  # before its end: a restart in between must not start it again
            for view in closing:
                await self._end(view)

    def _save(self, operation: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        data = [
            {"operation": v.operation, "vpg_id": v.vpg_id, "checkpoint": v.checkpoint, "volume": v.volume,
             "socket": str(v.socket), "pid": v.pid, "started": v.started}
            for v in self._views[operation]
        ]  # fmt: skip
        write_durably(self.folder / f"{operation}.json", json.dumps(data).encode())

    async def _mend(self) -> None:
        async with self._lock:
            with contextlib.suppress(Unavailable):
                await self._ensure_all([view for views in self._views.values() for view in views])

    async def _ensure_all(self, views: list[View]) -> None:
        """Some side by side: most of a start is Python's own. Raises Unavailable once all were tried."""
        free = asyncio.Semaphore(AT_ONCE)

        async def ensure(view: View) -> None:
            async with free:
                await self._ensure(view)

        for outcome in await asyncio.gather(*map(ensure, views), return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def _ensure(self, view: View) -> None:
        if view.is_alive():
            if await asyncio.to_thread(_answers, view.socket):
                return
            await self._end(view)
        journal = self.around.site_folder / "journal" / view.vpg_id
        with open(self.around.log(f"view-{view.operation[:8]}"), "ab") as log:
            process = subprocess.Popen(  # it shall outlive this process, so not asyncio's
                [sys.executable, "-m", "farshore.datapath.view", "--journal", os.fspath(journal), "--checkpoint",
                 str(view.checkpoint), "--volume", str(view.volume), "--socket", os.fspath(view.socket),
                 "--when-told"],
                stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True, env=carrier_environment(),
            )  # fmt: skip
        view.pid, view.started = process.pid, process_start_time(process.pid) or 0
        _children[process.pid] = process
        self._save(view.operation)
        _tell(process)
        deadline = asyncio.get_running_loop().time() + START_SECONDS_MAX
        while not await asyncio.to_thread(_answers, view.socket):
            if process.poll() is not None or asyncio.get_running_loop().time() > deadline:
                raise Unavailable(
                    f"The view of volume {view.volume} at checkpoint {view.checkpoint} did not come up.",
                    f"Look into {self.around.log(f'view-{view.operation[:8]}')}.",
                )
            await asyncio.sleep(0.03)

    async def _end(self, view: View) -> None:
        if view.is_alive():
            os.kill(view.pid, signal.SIGCONT)
            os.kill(view.pid, signal.SIGTERM)
            deadline = asyncio.get_running_loop().time() + ANSWER_SECONDS
            while view.is_alive() and asyncio.get_running_loop().time() < deadline:
                await asyncio.sleep(0.02)
            if view.is_alive():
                os.kill(view.pid, signal.SIGKILL)
        child = _children.pop(view.pid, None)
        if child is not None:
            await asyncio.to_thread(child.wait)
        view.pid = 0
        view.socket.unlink(missing_ok=True)


_children: dict[int, subprocess.Popen[bytes]] = {}


def _tell(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin:  # dead already: whoever waits for its answer says so
        process.stdin.write(b"!")


def _answers(path: Path) -> bool:
    """Whether an NBD server greets on the socket within the bound."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(ANSWER_SECONDS)
        try:
            probe.connect(os.fspath(path))
            return probe.recv(GREETING_BYTES)[:8] == b"NBDMAGIC"
        except OSError:
            return False
