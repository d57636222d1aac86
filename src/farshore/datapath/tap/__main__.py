"""The tap's process: `python -m farshore.datapath.tap`, started by the watcher with its shared memory and sockets.

It ends when the watcher does (its control socket closes), when its loop hangs (a kernel timer that the loop re-arms),
and on SIGTERM. It opens no file after its start.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from farshore.datapath.segment.window import Window
from farshore.datapath.tap.heartbeat import KIND_TAP, Board
from farshore.datapath.tap.pace import Pace
from farshore.datapath.tap.station import Station, serve
from farshore.errors import BadInput, FarshoreError

TICK_SECONDS = 0.1
HANG_SECONDS = 1.5


def parse_arguments() -> argparse.Namespace:
    """The watcher's orders."""
    parser = argparse.ArgumentParser(prog="farshore.datapath.tap", description=__doc__)
    parser.add_argument("--window-fd", type=int, required=True)
    parser.add_argument("--wake-fd", type=int, required=True)
    parser.add_argument("--control-fd", type=int, required=True)
    parser.add_argument("--board-fd", type=int, default=-1)
    parser.add_argument("--slot", type=int, default=0)
    parser.add_argument("--socket", required=True)
    parser.add_argument("--sync-socket", required=True)
    parser.add_argument("--exports", required=True, help='JSON: {"name": [volume number, size in bytes]}')
    return parser.parse_args()


def answer(station: Station, request: dict[str, Any]) -> dict[str, Any]:
    """Carry out one order of the watcher. Errors are told, never raised."""
    calls: dict[str, Callable[..., dict[str, Any]]] = {
        "begin": station.begin,
        "cut": station.cut,
        "vouch": station.vouch,
        "void": station.void,
        "control": station.control,
        "seal": station.seal,
        "drop": station.drop,
        "status": station.status,
    }
    try:
        call = calls.get(str(request.get("call")))
        if call is None:
            raise BadInput(f"The tap has no call {request.get('call')!r}.")
        return {"id": request.get("id"), "result": call(**request.get("args", {}))}
    except FarshoreError as error:
        return {"id": request.get("id"), "error": error.to_json()}


async def heartbeat(station: Station, board: Board | None, slot: int) -> None:
    """Beat, re-arm the kernel's timer, and do what is due. A tap that is slow lets go of its disks."""
    pace, due = Pace(), time.monotonic()
    while True:
        signal.setitimer(signal.ITIMER_REAL, HANG_SECONDS)
        if board is not None:
            board.beat(slot)
        now = time.monotonic()
        slow_seconds = pace.note(now, now - due)
        if slow_seconds is not None:
            station.let_go(slow_seconds)
        station.tick()
        due = time.monotonic() + TICK_SECONDS
        await asyncio.sleep(TICK_SECONDS)


async def main() -> int:
    """Serve until the watcher is gone."""
    arguments = parse_arguments()
    os.set_blocking(arguments.control_fd, False)
    control = socket.socket(fileno=arguments.control_fd)
    reader, writer = await asyncio.open_unix_connection(sock=control, limit=4 << 20)

    def notify(event: dict[str, Any]) -> None:
        if not writer.is_closing():
            writer.write(json.dumps(event).encode() + b"\n")

    exports = {name: (int(value[0]), int(value[1])) for name, value in json.loads(arguments.exports).items()}
    station = Station(Window(arguments.window_fd), arguments.wake_fd, exports, notify)
    board = Board(arguments.board_fd) if arguments.board_fd >= 0 else None
    if board is not None:
        board.register(arguments.slot, KIND_TAP)
    servers = await serve(station, arguments.socket, arguments.sync_socket)
    beating = asyncio.create_task(heartbeat(station, board, arguments.slot))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, reader.feed_eof)
    notify({"event": "ready", "pid": os.getpid()})
    gc.freeze()
    with contextlib.suppress(ConnectionError):  # a watcher that was killed
        while line := await reader.readline():
            notify(answer(station, json.loads(line)))
            if beating.done():
                break
    for server in servers:
        server.close()
    station.drop([], "the tap ends")
    beating.cancel()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
