"""A carrier: a child process of the watcher with a control channel; it may die at any time, and its owner is told."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from farshore.appliance.lines import LINE_BYTES_MAX, LineChannel
from farshore.errors import Unavailable

START_SECONDS_MAX = 20.0
KILLED_SECONDS_MAX = 5.0
"""How long is waited for the end of what was killed: in a system call that hangs it may outlive even that."""
CANCEL_AGAIN_SECONDS = 1.0


def carrier_environment() -> dict[str, str]:
    """The environment of carriers: numpy's libraries must not make threads that nobody uses."""
    return {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


async def end_tasks(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel, again and again: a `wait_for` whose answer comes at the same moment swallows the cancellation."""
    while alive := {task for task in tasks if not task.done()}:
        for task in alive:
            task.cancel()
        await asyncio.wait(alive, timeout=CANCEL_AGAIN_SECONDS)


class Carrier:
    """One running carrier."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, channel: LineChannel) -> None:
        """Made by `start`."""
        self.name = name
        self.process = process
        self.channel = channel

    @classmethod
    async def start(
        cls,
        name: str,
        module: str,
        arguments: Sequence[str],
        *,
        log: Path,
        pass_fds: Sequence[int] = (),
        on_event: Callable[[dict[str, Any]], None] | None = None,
        on_end: Callable[[], None] | None = None,
    ) -> Carrier:
        """Start `python -m module arguments --control-fd N`. Its output goes to `log`, appended."""
        ours, theirs = socket.socketpair()
        with theirs, open(log, "ab") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                module,
                *arguments,
                "--control-fd",
                str(theirs.fileno()),
                pass_fds=(*pass_fds, theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=carrier_environment(),
                start_new_session=True,
            )
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=LINE_BYTES_MAX)
        return cls(name, process, LineChannel(name, reader, writer, on_event, on_end))

    @property
    def pid(self) -> int:
        """The process."""
        return self.process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process runs and its channel is open."""
        return self.process.returncode is None and self.channel.is_open

    async def call(self, call: str, timeout_seconds: float = 5.0, /, **args: Any) -> Any:
        """Ask the carrier."""
        return await self.channel.call(call, timeout_seconds, **args)

    def kill(self) -> None:
        """Kill -9; the owner hears of it by the channel's end."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()

    async def stop(self, grace_seconds: float = 3.0) -> None:
        """End it: close its channel (it then finishes what it has in hand), kill it when it does not go."""
        await self.channel.close()
        try:
            await asyncio.wait_for(self.process.wait(), grace_seconds)
        except TimeoutError:
            await self.end_by_force()

    async def end_by_force(self) -> None:
        """Kill -9, and wait for its end, but not for ever."""
        self.kill()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), KILLED_SECONDS_MAX)

    async def wait_ready(self, ready: asyncio.Event) -> None:
        """Wait for its word that it is up. Raises Unavailable when it dies or takes too long."""
        ended = asyncio.ensure_future(self.process.wait())
        waiting = asyncio.ensure_future(ready.wait())
        try:
            await asyncio.wait({ended, waiting}, timeout=START_SECONDS_MAX, return_when=asyncio.FIRST_COMPLETED)
            if not ready.is_set():
                self.kill()
                raise Unavailable(f"{self.name} did not come up.", "Look into its log; it is tried again by itself.")
        finally:
            ended.cancel()
            waiting.cancel()
