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


class PeerProtocol(HttpToolsProtocol):
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
        http=PeerProtocol if peers else "httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
    )
    return _Server(config)
