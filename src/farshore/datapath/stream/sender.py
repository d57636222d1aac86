"""The sender: takes published segments from the window, seals them, sends them, and frees what was acknowledged.

One thread does all on one TLS connection (OpenSSL's objects are not safe for two). A broken link is tried again with
a pause that doubles from 0.1 to 2 s; the window holds what was not acknowledged, so nothing is lost while it has
room. A refusal is told to the watcher, which decides; the sender goes on asking every `REFUSED_PAUSE_SECONDS`.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from farshore.datapath.segment.seal import seal
from farshore.datapath.segment.window import Window
from farshore.datapath.stream.destination import Destination
from farshore.datapath.stream.messages import (
    ACKNOWLEDGED,
    FRAME,
    LINE_BYTES_MAX,
    PING,
    PING_SECONDS,
    REFUSED,
    SILENCE_SECONDS,
    Refusal,
    pack_line,
    parse_line,
    stream_preamble,
)
from farshore.errors import FarshoreError

_log = logging.getLogger(__name__)

PAUSE_SECONDS_FIRST = 0.1
PAUSE_SECONDS_MAX = 2.0
REFUSED_PAUSE_SECONDS = 1.0
UNACKNOWLEDGED_IN_FLIGHT_MAX = 64


class LinkDown(Exception):
    """The connection failed; it will be tried again."""


class LinkRefused(Exception):
    """The other side does not take this stream now: `code` says why."""

    def __init__(self, code: str, fact: str) -> None:
        super().__init__(fact)
        self.code = code


class Sender:
    """Sends one window. `tell` carries changes of the link to the watcher: state, code, reason."""

    def __init__(
        self,
        window: Window,
        wake_fd: int,
        destination: Destination,
        context: ssl.SSLContext,
        tell: Callable[[dict[str, Any]], None],
    ) -> None:
        """`context` trusts the expected site only (identity.client_context)."""
        self.window = window
        self.wake_fd = wake_fd
        self.destination = destination
        self.context = context
        self.tell = tell
        self.state = "down"
        self.code = ""
        self.journal_id = ""
        self._vpg = UUID(destination.vpg_id).bytes
        self._incoming = bytearray()
        self._heard_at = 0.0
        self._spoke_at = 0.0
        self._sent = 0

    def run(self) -> None:
        """Send for ever."""
        pause = PAUSE_SECONDS_FIRST
        while True:
            began = time.monotonic()
            try:
                self._session()
            except LinkRefused as refusal:
                self._change("refused", refusal.code, str(refusal))
                time.sleep(REFUSED_PAUSE_SECONDS)
                continue
            except (OSError, LinkDown, FarshoreError) as error:
                self._change("down", "link", str(error) or type(error).__name__)
            if time.monotonic() - began > 10:
                pause = PAUSE_SECONDS_FIRST
            time.sleep(pause)
            pause = min(2 * pause, PAUSE_SECONDS_MAX)

    def _change(self, state: str, code: str = "", reason: str = "") -> None:
        if (state, code) != (self.state, self.code):
            self.state = state
            self.code = code
            if state == "refused":
                _log.warning("the other site refused the stream (%s): %s", code, reason)
            else:
                _log.info("the link to the other site is %s%s", state, f": {reason}" if reason else "")
            self.tell({"event": "link", **self.status(), "reason": reason})

    def status(self) -> dict[str, Any]:
        """The link's state (down, connected, refused), why, whose journal answers, and how far has been sent."""
        return {"state": self.state, "code": self.code, "journal_id": self.journal_id, "sent": self._sent}

    def _session(self) -> None:
        destination = self.destination
        with socket.create_connection((destination.host, destination.port), SILENCE_SECONDS) as plain:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.sendall(stream_preamble(destination.vpg_id))
            with self.context.wrap_socket(plain, server_hostname=destination.host) as link:
                link.settimeout(SILENCE_SECONDS)
                self._greet(link)
                self._change("connected")
                self._pump(link)

    def _greet(self, link: ssl.SSLSocket) -> None:
        destination = self.destination
        window = self.window
        link.sendall(
            pack_line(
                {
                    "vpg": destination.vpg_id,
                    "epoch": destination.epoch,
                    "session": window.session,
                    "first_sequence": window.acknowledged + 1,
                    "site_id": destination.site_id,
                }
            )
        )
        self._incoming = bytearray()
        while b"\n" not in self._incoming:
            data = link.recv(4096)
            if not data or len(self._incoming) > LINE_BYTES_MAX:
                raise LinkDown("the other site closed the connection in the greeting")
            self._incoming += data
        line, _, rest = bytes(self._incoming).partition(b"\n")
        self._incoming = bytearray(rest)
        welcome = parse_line(line)
        if not welcome.get("ok"):
            raise LinkRefused(str(welcome.get("code", "unknown")), str(welcome.get("fact", "refused")))
        durable = int(welcome["durable_sequence"])
        self.journal_id = str(welcome.get("journal_id", ""))
        if durable < window.acknowledged or durable > window.published:
            raise LinkRefused(
                "gap", f"The other site has {durable}, here are {window.acknowledged + 1} to {window.published}."
            )
        window.acknowledge(durable)
        self._sent = durable
        self._heard_at = self._spoke_at = time.monotonic()

    def _pump(self, link: ssl.SSLSocket) -> None:
        window = self.window
        while True:
            while self._sent < window.published and self._sent - window.acknowledged < UNACKNOWLEDGED_IN_FLIGHT_MAX:
                self._send_next(link)
                self._take_answers(link, 0)
            now = time.monotonic()
            if now - self._heard_at > SILENCE_SECONDS:
                raise LinkDown(f"the other site said nothing for {SILENCE_SECONDS:.0f} s")
            if now - self._spoke_at > PING_SECONDS:
                link.sendall(PING)
                self._spoke_at = now
            self._take_answers(link, PING_SECONDS / 4)

    def _send_next(self, link: ssl.SSLSocket) -> None:
        window = self.window
        descriptor = window.descriptor(self._sent + 1)
        body, positions, runs, control = window.contents(descriptor)
        header, index, told, data = seal(
            vpg=self._vpg,
            epoch=self.destination.epoch,
            session=window.session,
            sequence=descriptor.number,
            body=body,
            positions=positions,
            runs=runs,
            control=control,
            first_ns=descriptor.first_ns,
            last_ns=descriptor.last_ns,
            flags=descriptor.flags,
        )
        link.sendall(b"".join((header, index, told)))
        if len(data):
            link.sendall(data)
        self._sent = descriptor.number
        self._spoke_at = time.monotonic()

    def _take_answers(self, link: ssl.SSLSocket, wait_seconds: float) -> None:
        if not link.pending():
            ready, _, _ = select.select([link.fileno(), self.wake_fd], [], [], wait_seconds)
            if self.wake_fd in ready:
                os.eventfd_read(self.wake_fd)
            if link.fileno() not in ready:
                return
        data = link.recv(65536)
        if not data:
            raise LinkDown("the other site closed the connection")
        self._heard_at = time.monotonic()
        self._incoming += data
        while len(self._incoming) >= FRAME.size:
            kind, code, sequence = FRAME.unpack_from(self._incoming)
            del self._incoming[: FRAME.size]
            if kind == ACKNOWLEDGED:
                if sequence > self.window.published:
                    raise LinkDown("the other site acknowledged what was never sent")
                if sequence > self.window.acknowledged:
                    self.window.acknowledge(sequence)
            elif kind == REFUSED:
                raise LinkRefused(
                    Refusal(code).code, f"The other site refused segment {sequence}: {Refusal(code).code}."
                )
