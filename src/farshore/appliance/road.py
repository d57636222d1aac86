"""The carriers of one protected VPG: window, tap and sender; started, watched, and started again when they die.

The window (shared memory) is this process's: tap and sender may come and go on it. A new window is a new session of
the stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from farshore.appliance.carrier import Carrier
from farshore.datapath.segment.window import Window
from farshore.datapath.stream.destination import Destination
from farshore.datapath.tap.heartbeat import Board
from farshore.errors import Unavailable
from farshore.model.appliance_specs import ProtectSpec

SENDER_ANSWER_SECONDS = 3.0
PING_AGE_SECONDS_MAX = 0.3


@dataclass(slots=True)
class Surroundings:
    """Where a VPG's carriers live: folders, identity, and the board of heartbeats."""

    site_folder: Path
    run_folder: Path
    site_id: str
    board: Board
    board_fd: int
    take_slot: Callable[[], int]
    give_slot: Callable[[int], None]

    def log(self, name: str) -> Path:
        """The log file of a carrier."""
        return self.site_folder / "log" / f"{name}.log"


@dataclass(slots=True)
class Link:
    """What the sender last said of its connection; connecting: it has said nothing yet, and will within seconds."""

    state: str = "connecting"
    code: str = ""
    reason: str = ""
    journal_id: str = ""


@dataclass(slots=True)
class Road:
    """One VPG's window, tap and sender. `on_lost` is called with a reason when a disk or the tap leaves the stream."""

    spec: ProtectSpec
    around: Surroundings
    session: int
    on_lost: Callable[[str], None]
    link: Link = field(default_factory=Link)
    tap: Carrier | None = None
    sender: Carrier | None = None
    is_slow: bool = False
    """Whether the tap has let its disks go since it kept them waiting."""
    _fds: list[int] = field(default_factory=list)
    _window: Window | None = None
    _slot: int = 0
    _tap_ready: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def window(self) -> Window:
        """The shared memory of the present session."""
        assert self._window is not None
        return self._window

    @property
    def has_window(self) -> bool:
        """Whether the session's memory is there."""
        return self._window is not None

    @property
    def short(self) -> str:
        """The VPG's short name in sockets and logs."""
        return self.spec.vpg_id[:8]

    @property
    def tap_socket(self) -> Path:
        """Where QEMU's mirrors connect."""
        return self.around.run_folder / f"tap-{self.short}.nbd"

    @property
    def sync_socket(self) -> Path:
        """Where sync readers connect."""
        return self.around.run_folder / f"tap-{self.short}.sync"

    def exports(self) -> dict[str, tuple[int, int]]:
        """The tap's exports: name -> (volume number, size in bytes)."""
        return {export_name(v.number): (v.number, v.size_bytes) for v in self.spec.volumes}

    async def ensure(self) -> None:
        """Have a window, a tap and a sender. Raises Unavailable when one does not come up."""
        if self._window is None:
            self._window, window_fd = Window.create(self.spec.window_bytes, self.session)
            self._fds = [window_fd, os.eventfd(0, os.EFD_NONBLOCK)]
        if self.sender is None or not self.sender.is_alive:
            await self._start_sender()
        if self.tap is None or not self.tap.is_alive:
            await self._start_tap()

    async def _start_sender(self) -> None:
        spec = self.spec
        destination = Destination(spec.vpg_id, spec.epoch, self.around.site_id, spec.peer_host, spec.peer_port)
        window_fd, wake_fd = self._fds
        self.sender = await Carrier.start(
            f"the sender of VPG {spec.vpg_name}",
            "farshore.datapath.stream.sender_process",
            [
                "--window-fd",
                str(window_fd),
                "--wake-fd",
                str(wake_fd),
                "--identity",
                str(self.around.site_folder / "identity"),
                "--peer-site",
                spec.peer_site_id,
                "--destination",
                json.dumps(asdict(destination)),
            ],
            log=self.around.log(f"sender-{self.short}"),
            pass_fds=(window_fd, wake_fd),
            on_event=self._sender_event,
        )

    async def _start_tap(self) -> None:
        self._tap_ready = asyncio.Event()
        for path in (self.tap_socket, self.sync_socket):
            path.unlink(missing_ok=True)
        if self._slot:
            self.around.give_slot(self._slot)
        self._slot = self.around.take_slot()
        window_fd, wake_fd = self._fds
        self.tap = await Carrier.start(
            f"the tap of VPG {self.spec.vpg_name}",
            "farshore.datapath.tap",
            [
                "--window-fd",
                str(window_fd),
                "--wake-fd",
                str(wake_fd),
                "--board-fd",
                str(self.around.board_fd),
                "--slot",
                str(self._slot),
                "--socket",
                str(self.tap_socket),
                "--sync-socket",
                str(self.sync_socket),
                "--exports",
                json.dumps(self.exports()),
            ],
            log=self.around.log(f"tap-{self.short}"),
            pass_fds=(window_fd, wake_fd, self.around.board_fd),
            on_event=self._tap_event,
            on_end=lambda: self.on_lost("the tap ended"),
        )
        await self.tap.wait_ready(self._tap_ready)

    def _tap_event(self, event: dict[str, Any]) -> None:
        if event.get("event") == "ready":
            self._tap_ready.set()
        elif event.get("event") == "slow":
            self.is_slow = True
        elif event.get("event") == "lost":
            self.on_lost(f"{event.get('export')}: {event.get('reason')}")

    def _sender_event(self, event: dict[str, Any]) -> None:
        if event.get("event") == "link":
            self.link.state = str(event.get("state"))
            self.link.code = str(event.get("code", ""))
            self.link.reason = str(event.get("reason", ""))
            before, self.link.journal_id = self.link.journal_id, str(event.get("journal_id") or self.link.journal_id)
            if before not in ("", self.link.journal_id):
                self.on_lost("the journal at the other site is another one than before")

    async def ask_tap(self, call: str, /, **args: Any) -> Any:
        """Ask the tap; half a second is its bound. Raises what the tap raises, or Unavailable."""
        if self.tap is None:
            raise Unavailable(f"The tap of VPG {self.spec.vpg_name} is not there.", "It is started by itself.")
        return await self.tap.call(call, 1.0, **args)

    async def ping_tap(self) -> None:
        """Before any command that drains: is the tap's loop well? Raises Unavailable when not."""
        age = self.around.board.age_seconds(self._slot)
        if age is None or age > PING_AGE_SECONDS_MAX:
            await self.ask_tap("status")

    async def watch_sender(self) -> None:
        """Kill and restart a sender that does not answer (it was stopped, or hangs). Runs until cancelled."""
        while True:
            await asyncio.sleep(1.0)
            sender = self.sender
            if sender is None:
                continue
            try:
                await sender.call("status", SENDER_ANSWER_SECONDS)
            except Unavailable:
                self.link.state = "down"
                await sender.end_by_force()
                with contextlib.suppress(Unavailable, OSError):
                    await self._start_sender()

    def kill_tap(self) -> None:
        """Kill the tap: the guests go on within milliseconds, the bitmaps count."""
        if self.tap is not None:
            self.tap.kill()

    async def stop_tap(self) -> None:
        """End the tap for good; its slot is given back."""
        if self.tap is not None:
            self.tap.channel.forget_end()
            await self.tap.stop()
            self.tap = None
        if self._slot:
            self.around.give_slot(self._slot)
            self._slot = 0
        for path in (self.tap_socket, self.sync_socket):
            path.unlink(missing_ok=True)

    async def stop(self) -> None:
        """End both carriers and let the window go."""
        await self.stop_tap()
        if self.sender is not None:
            await self.sender.stop()
            self.sender = None
        for fd in self._fds:
            os.close(fd)
        self._fds = []
        self._window = None

    async def renew(self) -> None:
        """Begin a new session on a new window: what was not acknowledged is left to the bitmaps."""
        await self.stop()
        self.session = max(self.session + 1, time.time_ns())
        self.link = Link(state="down" if self.link.state == "down" else "connecting")


def export_name(volume_number: int) -> str:
    """The tap's export of a volume."""
    return f"v{volume_number}"
