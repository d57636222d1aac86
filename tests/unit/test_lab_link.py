"""The link between a lab's sites, with real sockets: it passes, cuts and stalls what goes through it."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from farshore.errors import BadInput, Unavailable
from farshore.lab.link import SLOW_BYTES_PER_SECOND, Forward, Link, ask_link

HOST = "127.0.0.1"
Scene = Callable[[Link, int], Awaitable[None]]


async def _free_port() -> int:
    server = await asyncio.start_server(lambda _r, _w: None, HOST, 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port


def _play(scene: Scene) -> None:
    """Run `scene` with a link that is up, in front of a server that sends back what it gets."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(65536):
                writer.write(chunk)
                await writer.drain()
        except ConnectionError:
            return
        finally:
            writer.close()

    async def play() -> None:
        server = await asyncio.start_server(echo, HOST, 0)
        port = await _free_port()
        link = Link([Forward(HOST, port, HOST, server.sockets[0].getsockname()[1])])
        await link.set_mode("up")
        try:
            async with asyncio.timeout(20):
                await scene(link, port)
        finally:
            await link.set_mode("down")
            server.close()

    asyncio.run(play())


def test_bytes_pass_both_ways_and_an_end_is_passed_on():
    """More than the buffers hold goes through whole, and closing one side ends the other in order."""

    async def scene(link: Link, port: int) -> None:
        reader, writer = await asyncio.open_connection(HOST, port)
        sent = os.urandom(4 << 20)
        writer.write(sent)
        writer.write_eof()
        assert await reader.read(-1) == sent
        assert link.passed_bytes == 2 * len(sent)
        writer.close()

    _play(scene)


def test_down_resets_what_is_open_and_refuses_what_is_new():
    """As when the cable is cut and the far router says so."""

    async def scene(link: Link, port: int) -> None:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        await link.set_mode("down")
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(HOST, port)
        assert link.status()["connections"] == 0

    _play(scene)


def test_a_link_that_was_down_takes_connections_again_when_up():
    """The same ports serve again at once."""

    async def scene(link: Link, port: int) -> None:
        await link.set_mode("down")
        await link.set_mode("up")
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"again")
        assert await reader.readexactly(5) == b"again"
        writer.close()

    _play(scene)


def test_stall_accepts_and_passes_nothing_until_it_is_up_again():
    """As a line that loses everything without a word: old and new connections hang, then go on where they were."""

    async def scene(link: Link, port: int) -> None:
        old_reader, old_writer = await asyncio.open_connection(HOST, port)
        old_writer.write(b"1")
        assert await old_reader.readexactly(1) == b"1"
        await link.set_mode("stall")
        new_reader, new_writer = await asyncio.open_connection(HOST, port)
        old_writer.write(b"2")
        new_writer.write(b"3")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.gather(old_reader.read(1), new_reader.read(1)), 0.3)
        await link.set_mode("up")
        assert await old_reader.readexactly(1) == b"2"
        assert await new_reader.readexactly(1) == b"3"
        old_writer.close()
        new_writer.close()

    _play(scene)


def test_a_slow_link_passes_everything_and_takes_its_time():
    """A whole MiB there and back over 2 MiB a second takes a second at the least, and nothing is lost."""

    async def scene(link: Link, port: int) -> None:
        await link.set_mode("slow")
        data = os.urandom(1 << 20)
        reader, writer = await asyncio.open_connection(HOST, port)
        begun = time.monotonic()
        writer.write(data)
        assert await reader.readexactly(len(data)) == data
        assert time.monotonic() - begun >= 2 * len(data) / SLOW_BYTES_PER_SECOND
        writer.close()

    _play(scene)


def test_a_target_that_is_gone_ends_the_connection():
    """The link does not hang on to a connection whose far end refuses."""

    async def scene(link: Link, _port: int) -> None:
        link.forwards[0] = Forward(HOST, await _free_port(), HOST, await _free_port())
        await link.set_mode("down")
        await link.set_mode("up")
        reader, writer = await asyncio.open_connection(HOST, link.forwards[0].port)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()

    _play(scene)


@pytest.mark.parametrize("text", ["", "a:1", "a:1=b", "a:x=b:2", ":1=b:2"])
def test_a_forward_that_cannot_be_read_is_refused(text: str):
    """Only HOST:PORT=HOST:PORT is one."""
    with pytest.raises(BadInput):
        Forward.parse(text)


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path leaves room for a socket's name."""
    folder = Path(tempfile.mkdtemp(prefix="fs", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


def test_the_process_obeys_its_control_socket_and_leaves_nothing(short_folder: Path):
    """It goes up, down and stalls as told, says what it does not know, and after `stop` process and socket are gone."""
    control = short_folder / "link.sock"
    port = asyncio.run(_free_port())
    command = [
        sys.executable,
        "-m",
        "farshore.lab.link",
        "--control",
        str(control),
        "--forward",
        f"{HOST}:{port}={HOST}:1",
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, env=environment) as process:
        deadline = time.monotonic() + 15
        while not control.exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert ask_link(control, "status")["mode"] == "up"
        assert ask_link(control, "down")["mode"] == "down"
        assert ask_link(control, "stall")["mode"] == "stall"
        with pytest.raises(Unavailable, match="unknown order"):
            ask_link(control, "sideways")
        ask_link(control, "stop")
        assert process.wait(10) == 0
    assert not control.exists()
    with pytest.raises(Unavailable):
        ask_link(control, "status")
