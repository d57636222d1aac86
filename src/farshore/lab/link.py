"""The line between two sites of a lab: TCP forwarders in front of each site's peer and appliance port.

Each site tells the other to reach it at the link, so that this process can be the line that fails:

    up      bytes pass both ways
    down    all connections are reset, and new ones refused
    stall   connections stay and new ones are accepted, but no byte passes; with `up` they go on where they were
    slow    bytes pass both ways, 2 MiB a second in all

It is asked over a unix socket, a line each: `up`, `down`, `stall`, `slow`, `status` or `stop`; the answer is a
line of JSON.

    python -m farshore.lab.link --control SOCKET --forward LISTEN_HOST:PORT=TARGET_HOST:PORT ...
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farshore.errors import BadInput, Unavailable

CHUNK_BYTES = 256 << 10
MODES = ("up", "down", "stall", "slow")
SLOW_BYTES_PER_SECOND = 2 << 20


@dataclass(frozen=True)
class Forward:
    """One forwarder: what comes in at `host:port` goes to `target_host:target_port`."""

    host: str
    port: int
    target_host: str
    target_port: int

    @classmethod
    def parse(cls, text: str) -> Forward:
        """From LISTEN_HOST:PORT=TARGET_HOST:PORT. Raises BadInput."""
        listen, equals, target = text.partition("=")
        host, _, port = listen.rpartition(":")
        target_host, _, target_port = target.rpartition(":")
        if not (equals and host and target_host and port.isdigit() and target_port.isdigit()):
            raise BadInput(f"{text} is not HOST:PORT=HOST:PORT.", "")
        return cls(host, int(port), target_host, int(target_port))

    def __str__(self) -> str:
        return f"{self.host}:{self.port}={self.target_host}:{self.target_port}"


class Link:
    """All forwarders of a lab, in one mode."""

    def __init__(self, forwards: list[Forward]) -> None:
        self.forwards = forwards
        self.mode = "down"
        self.passed_bytes = 0
        self._servers: list[asyncio.Server] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._passing = asyncio.Event()
        self._free_at = 0.0
        """When a slow line has carried what it was given (the loop's clock)."""

    async def set_mode(self, mode: str) -> None:
        """Go to one of MODES. Raises OSError when a port cannot be listened on (then it is down)."""
        if mode == "down":
            await self._close()
        else:
            if not self._servers:
                await self._listen()
            if mode == "stall":
                self._passing.clear()
            else:
                self._passing.set()
        self.mode = mode

    def status(self) -> dict[str, Any]:
        """For `lab status`."""
        return {
            "mode": self.mode,
            "connections": len(self._writers),
            "passed_bytes": self.passed_bytes,
            "forwards": [str(forward) for forward in self.forwards],
        }

    async def _listen(self) -> None:
        try:
            for forward in self.forwards:
                server = await asyncio.start_server(
                    self._handler(forward), forward.host, forward.port, limit=CHUNK_BYTES
                )
                self._servers.append(server)
        except OSError:
            await self._close()
            raise

    async def _close(self) -> None:
        self._passing.clear()
        for server in self._servers:
            server.close()
        self._servers = []
        for writer in list(self._writers):
            _reset(writer)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _handler(self, forward: Forward) -> Any:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            try:
                await self._carry(forward, reader, writer)
            finally:
                self._tasks.discard(task)

        return handle

    async def _carry(self, forward: Forward, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection from its acceptance to its end; the end of either side is passed on to the other."""
        self._writers.add(writer)
        onward: asyncio.StreamWriter | None = None
        try:
            await self._passing.wait()
            back, onward = await asyncio.open_connection(forward.target_host, forward.target_port, limit=CHUNK_BYTES)
            self._writers.add(onward)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(reader, onward))
                both.create_task(self._pump(back, writer))
        except* OSError:
            # What broke one side breaks the other, as on a real line; the two ends find out and say so.
            for end in (writer, onward):
                if end is not None:
                    _reset(end)
        finally:
            for end in (writer, onward):
                if end is not None:
                    self._writers.discard(end)
                    end.close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while chunk := await source.read(CHUNK_BYTES):
            await self._passing.wait()
            await self._keep_pace(len(chunk))
            sink.write(chunk)
            self.passed_bytes += len(chunk)
            await sink.drain()
        await self._passing.wait()
        if sink.can_write_eof():
            sink.write_eof()

    async def _keep_pace(self, count: int) -> None:
        """On a slow line: wait as long as `count` bytes take there after all that came before."""
        if self.mode == "slow":
            now = asyncio.get_running_loop().time()
            self._free_at = max(self._free_at, now) + count / SLOW_BYTES_PER_SECOND
            await asyncio.sleep(self._free_at - now)


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection so that the other end sees a reset, not an orderly close."""
    line = writer.get_extra_info("socket")
    if line is not None and not writer.transport.is_closing():
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def serve(forwards: list[Forward], control: Path) -> None:
    """Forward until told to stop (control line, SIGTERM or SIGINT). Raises OSError when a port is taken."""
    link, stop = Link(forwards), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await link.set_mode("up")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        order = (await reader.readline()).decode().strip()
        try:
            reply = await _obey(link, order, stop)
        except OSError as error:
            reply = {"error": str(error), **link.status()}
        writer.write(json.dumps(reply).encode() + b"\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(answer, control)
    try:
        await stop.wait()
    finally:
        server.close()
        await link.set_mode("down")


async def _obey(link: Link, order: str, stop: asyncio.Event) -> dict[str, Any]:
    if order in MODES:
        await link.set_mode(order)
    elif order == "stop":
        stop.set()
    elif order != "status":
        return {"error": f"unknown order {order!r}", **link.status()}
    return link.status()


def ask_link(control: Path, order: str, timeout_seconds: float = 5.0) -> dict[str, Any]:
    """Give the link process an order; its status. Raises Unavailable when it is not there or cannot do it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
        channel.settimeout(timeout_seconds)
        try:
            channel.connect(os.fspath(control))
            channel.sendall(order.encode() + b"\n")
            with channel.makefile("rb") as replies:
                reply: dict[str, Any] = json.loads(replies.readline() or b"{}")
        except OSError as error:
            raise Unavailable(
                f"The lab's link does not answer: {error}.", "Start a new lab: farshore lab up"
            ) from error
    if not reply or "error" in reply:
        reason = reply.get("error", "it has ended")
        raise Unavailable(f"The link could not go {order}: {reason}.", "See link.log in the lab's folder.")
    return reply


def main() -> None:
    """The link process."""
    parser = argparse.ArgumentParser(prog="farshore.lab.link", description="The line between two sites of a lab.")
    parser.add_argument("--control", type=Path, required=True)
    parser.add_argument("--forward", type=Forward.parse, action="append", required=True)
    options = parser.parse_args()
    options.control.unlink(missing_ok=True)
    try:
        asyncio.run(serve(options.forward, options.control))
    finally:
        options.control.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
