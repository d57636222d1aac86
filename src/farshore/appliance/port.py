"""The appliance's one TCP port: the first line, in clear, says whether a manager or another site calls, and for what.

A stream's connection, or one that asks for hashes, is handed to its VPG's journal as it is, before TLS. A control
connection does TLS here, must show this site's own certificate, and then speaks JSON lines (`lines`).
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from typing import Any

from farshore.appliance.appliance import Appliance
from farshore.appliance.lines import LINE_BYTES_MAX
from farshore.datapath.stream.messages import PREAMBLE_BYTES_MAX, parse_preamble
from farshore.errors import BadInput, FarshoreError, Fault, NotPermitted
from farshore.identity.trust import peer_site_id

PREAMBLE_SECONDS_MAX = 5.0
CONNECTIONS_MAX = 256


class AppliancePort:
    """Accepts, looks at the first line, and hands over."""

    def __init__(self, appliance: Appliance, context: ssl.SSLContext, log: Any) -> None:
        """`context` asks for the client's certificate."""
        self.appliance = appliance
        self.context = context
        self.log = log
        self._listener: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def listen(self, host: str, port: int) -> None:
        """Bind. Raises OSError."""
        self._listener = socket.create_server((host, port), backlog=128, reuse_port=False)
        self._listener.setblocking(False)
        self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # those that it accepts have it too

    async def serve(self) -> None:
        """Accept until cancelled."""
        loop = asyncio.get_running_loop()
        assert self._listener is not None
        while True:
            connection, _ = await loop.sock_accept(self._listener)
            connection.setblocking(False)
            if len(self._tasks) >= CONNECTIONS_MAX:
                connection.close()
                continue
            task = loop.create_task(self._take(connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _take(self, connection: socket.socket) -> None:
        try:
            line = await asyncio.wait_for(_first_line(connection), PREAMBLE_SECONDS_MAX)
            kind, vpg_id = parse_preamble(line)
            if kind in ("stream", "hashes"):
                self.appliance.journal(vpg_id).hand_over(connection, kind)
                connection.close()
                return
        except (FarshoreError, OSError, TimeoutError) as error:
            self.log(f"a connection was closed: {error}")
            connection.close()
            return
        try:
            await self._control(connection)
        except (FarshoreError, OSError) as error:
            # Its transport closes it. Closed under it, its number would be another connection's at once.
            self.log(f"a connection was closed: {error}")

    async def _control(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=LINE_BYTES_MAX)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, connection, ssl=self.context)
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        try:
            site_id = peer_site_id(writer.get_extra_info("peercert") or {})
            if site_id != self.appliance.config.site_id:
                raise NotPermitted(
                    f"Site {site_id} may not give orders to this appliance.", "Only its own manager may."
                )
            await self._answer_all(reader, writer)
        finally:
            writer.close()

    async def _answer_all(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        calls = self.appliance.calls()
        running: set[asyncio.Task[None]] = set()

        async def answer(request: dict[str, Any]) -> None:
            reply: dict[str, Any] = {"id": request.get("id")}
            try:
                call = calls.get(str(request.get("call")))
                if call is None:
                    raise BadInput(
                        f"The appliance has no call {request.get('call')!r}.", "Do both programs have one version?"
                    )
                reply["result"] = await call(**request.get("args", {}))
            except FarshoreError as error:
                reply["error"] = error.to_json()
            except Exception as error:
                self.log(f"{request.get('call')}: {error!r}")
                reply["error"] = Fault(
                    f"The appliance failed at {request.get('call')}: {error!r}.", "See its log."
                ).to_json()
            writer.write(json.dumps(reply).encode() + b"\n")

        while line := await reader.readline():
            task = asyncio.get_running_loop().create_task(answer(json.loads(line)))
            running.add(task)
            task.add_done_callback(running.discard)


async def _first_line(connection: socket.socket) -> bytes:
    """The first line, and not one byte more than it. Raises BadInput when there is none."""
    loop = asyncio.get_running_loop()
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = await loop.sock_recv(connection, 1)
        if not byte or len(line) >= PREAMBLE_BYTES_MAX:
            raise BadInput("The connection did not begin as Farshore's do.", "Is the port of an appliance meant?")
        line += byte
    return bytes(line)
