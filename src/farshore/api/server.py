"""The two servers of a manager's process and loop: one for clients of the API, one for other sites.

Both get their TLS context and a socket that already listens, so that a port that is taken is said in words before
anything runs, and port 0 can be asked for its number. Start one with `serving(server, sockets)`; end it by leaving that
block, which lets running requests finish for at most two seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from farshore.errors import Conflict, Fault, Unavailable

SHUTDOWN_SECONDS = 2
START_SECONDS = 10.0

Application = Callable[..., Any]


class PeerProtocol(HttpToolsProtocol):
    """HTTP with the caller's verified certificate (as `getpeercert` gives it, or None) in `request.state.peer`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Keep the certificate of this connection for each of its requests."""
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        # uvicorn copies app_state into the scope of each request; there is no other way to get at the connection.
        self.app_state = {**self.app_state, "peer": (tls.getpeercert() or None) if tls else None}


class Server(uvicorn.Server):
    """A server that leaves the process's signals to the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing: the manager stops its servers itself."""
        yield


def client_server(application: Application, context: ssl.SSLContext) -> Server:
    """The API's server (port 9669 by default)."""
    return _server(application, context, "httptools")


def peer_server(application: Application, context: ssl.SSLContext) -> Server:
    """The server for other sites; the context decides who gets in, the application sees the certificate."""
    return _server(application, context, PeerProtocol)


def _server(application: Application, context: ssl.SSLContext, http: Any) -> Server:
    config = uvicorn.Config(
        application,
        http=http,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        ssl_context_factory=lambda _config, _make: context,
    )
    return Server(config)


def listen(host: str, port: int, what: str) -> socket.socket:
    """A listening socket for `what` ("the API"). Raises Conflict when the port is taken, Unavailable for the rest."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, protocol)
    except OSError as error:
        raise Unavailable(
            f"{what} cannot listen on {host}: {error}.", "Name an address of this machine in site.json."
        ) from error
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(2048)
        found.settimeout(0)
    except OSError as error:
        found.close()
        if error.errno == errno.EADDRINUSE:
            raise Conflict(
                f"{what} cannot listen on {host}:{port}: another program does.",
                "End that program, or set another port in site.json.",
            ) from error
        raise Unavailable(
            f"{what} cannot listen on {host}:{port}: {error.strerror}.", "Set another address or port in site.json."
        ) from error
    return found


@contextlib.asynccontextmanager
async def serving(server: Server, listener: socket.socket) -> AsyncIterator[int]:
    """Serve while the block runs; yields the port's number. The socket is closed at the end. Raises Fault."""
    port = int(listener.getsockname()[1])
    task = asyncio.create_task(server.serve(sockets=[listener]), name=f"server on port {port}")
    try:
        async with asyncio.timeout(START_SECONDS):
            while not server.started:
                if task.done():
                    raise Fault(f"The server on port {port} ended at its start.", "Look into the manager's log.")
                await asyncio.sleep(0.01)
        yield port
    finally:
        server.should_exit = True
        await task
        listener.close()
