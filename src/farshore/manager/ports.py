"""The manager's two listening ports, in one event loop: clients on one, paired sites (mutual TLS) on the other."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from farshore.errors import Unavailable

GRACEFUL_SECONDS = 2
HEAD_BYTES_MAX = 64 << 10
"""Of a request's line and headers."""
WHOLE_SECONDS_MAX = 60.0
"""A request must have come whole in this time; a connection must have brought its first one."""


class BoundedProtocol(HttpToolsProtocol):
    """A connection whose requests are bounded before they are one: the head in bytes, the whole in time.

    Bodies are bounded by the applications. Who is slow or sends without end loses the connection, and no more.
    """

    _head_bytes = 0
    _in_head = True
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(  # type: ignore[override]  # the library says Transport too, where asyncio says BaseTransport
        self, transport: asyncio.Transport
    ) -> None:
        """A TLS connection is up; the first request must come whole in time."""
        super().connection_made(transport)
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is down."""
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Some bytes came."""
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
            self.send_400_response(f"The head of a request is longer than {HEAD_BYTES_MAX} bytes.")

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._arm()

    def on_headers_complete(self) -> None:
        """Its head is whole."""
        self._in_head, self._head_bytes = False, 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """It is whole."""
        self._in_head, self._head_bytes = True, 0
        self._disarm()
        super().on_message_complete()

    def _arm(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(WHOLE_SECONDS_MAX, self.transport.close)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class PeerProtocol(BoundedProtocol):
    """Puts the verified certificate of the other end into the request's state (ASGI has no word for it yet)."""

    def connection_made(  # type: ignore[override]  # the library says Transport too, where asyncio says BaseTransport
        self, transport: asyncio.Transport
    ) -> None:
        """A TLS connection is up."""
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        self.app_state = {**self.app_state, "peer": tls.getpeercert() if tls else None}


class _Server(uvicorn.Server):
    """A server that leaves the signals to the manager, which has two of them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None are captured."""
        yield


def bind(host: str, port: int, purpose: str) -> socket.socket:
    """Take the port. Raises Unavailable naming port and remedy."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # asyncio sets it only on sockets that name their protocol; without it a reply in two parts takes 40 ms more
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listening.bind((host, port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            fact = f"Port {port} on {host} ({purpose}) is taken by another program."
            remedy = f"See which with: ss -ltnp 'sport = :{port}'; end it, or set another port in site.json."
        else:
            fact = f"Port {port} on {host} ({purpose}) cannot be opened: {error.strerror}."
            remedy = "Set a host and port of this machine in site.json."
        raise Unavailable(fact, remedy) from error
    listening.setblocking(False)
    return listening


def server(app: Any, context: ssl.SSLContext, *, peers: bool) -> uvicorn.Server:
    """A server for one of the ports."""
    config = uvicorn.Config(
        app,
        ssl_context_factory=lambda _config, _default: context,
        http=PeerProtocol if peers else BoundedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
    )
    return _Server(config)
