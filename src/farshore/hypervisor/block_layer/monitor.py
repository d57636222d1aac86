"""A QEMU monitor (QMP): commands with a bound each, and events in their true order among the replies.

QEMU writes events and replies of one monitor into one stream. Here an event is handed to `on_event` synchronously, by
the task that reads the stream, before the next message is looked at; a reply wakes its caller later. So when `run`
returns, every event that QEMU sent before that reply has been handled: the vouch rule stands on this (tests/service/
test_monitor.py proves it). `on_event` must therefore be quick, and must not await.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from qemu.qmp import (
    ConnectError,
    EventListener,
    ExecInterruptedError,
    ExecuteError,
    Message,
    QMPClient,
    QMPError,
    Runstate,
    StateError,
)
from qemu.qmp.qmp_client import GreetingError, NegotiationError

from farshore.errors import Fault, Unavailable
from farshore.hypervisor.driver import VmGone

log = logging.getLogger(__name__)

COMMAND_SECONDS = 1.0
CLOSE_SECONDS = 1.0
RETRY_SECONDS = 0.02

Event = Mapping[str, Any]
OnEvent = Callable[[Event], None]


class CommandFailed(Fault):
    """QEMU refused a command, in its own words; `error_class` is QMP's class of the error."""

    def __init__(self, command: str, words: str, error_class: str = "GenericError") -> None:
        super().__init__(f"QEMU refused {command}: {words}.", "")
        self.command = command
        self.words = words
        self.error_class = error_class


class MonitorTimeout(Unavailable):
    """QEMU did not answer in time. The command may still be carried out later."""


class MonitorLost(VmGone):
    """The connection to QEMU is gone. Whether the last command was carried out is not known."""


class _InOrder(EventListener):
    """A listener that keeps nothing: it hands each event on while the reader waits."""

    def __init__(self, on_event: OnEvent) -> None:
        super().__init__()
        self._on_event = on_event

    def accept(self, event: Message) -> bool:
        self._on_event(event)
        return False


def _library_log() -> logging.Logger:
    """The library logs as errors what is raised here as errors, with fact and remedy."""
    quiet = log.getChild("qmp")
    quiet.setLevel(logging.CRITICAL)
    return quiet


def _nothing(_event: Message) -> bool:
    return False


class Monitor:
    """One connection to one monitor socket. QEMU serves one client a socket: a second one waits for its greeting."""

    def __init__(
        self, path: Path, on_event: OnEvent | None = None, on_closed: Callable[[str], None] | None = None
    ) -> None:
        self.path = path
        self._on_event = on_event
        self._on_closed = on_closed
        self._client = QMPClient(path.parent.name)
        self._client.logger = _library_log()
        self._client.events.event_filter = _nothing  # it would keep every event for ever
        self._client.register_listener(_InOrder(self._dispatch))
        self._expected: list[tuple[Callable[[Event], bool], asyncio.Future[Event]]] = []
        self._watch: asyncio.Task[None] | None = None
        self._closing = False

    @property
    def connected(self) -> bool:
        """Whether commands can be sent."""
        return self._client.runstate is Runstate.RUNNING and not self._closing

    async def connect(self, bound_seconds: float = COMMAND_SECONDS) -> None:
        """Connect and negotiate. Raises MonitorLost when nobody listens, MonitorTimeout when nobody answers."""
        try:
            async with asyncio.timeout(bound_seconds):
                await self._connect()
        except TimeoutError:
            raise MonitorTimeout(
                f"The monitor {self.path} did not answer within {bound_seconds:g} s.",
                "QEMU hangs, or another client holds this monitor.",
            ) from None
        except ConnectError as error:
            raise MonitorLost(
                f"The monitor {self.path} cannot be reached: {error}.", "The VM's process has ended."
            ) from error
        self._watch = asyncio.create_task(self._watch_end(), name=f"monitor {self.path}")

    async def _connect(self) -> None:
        """Connect; again if the greeting is not first: QEMU may still have had an event for the client before us."""
        while True:
            try:
                await self._client.connect(str(self.path))
            except ConnectError as error:
                if not isinstance(error.exc, GreetingError | NegotiationError):
                    raise
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    async def run(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        bound_seconds: float = COMMAND_SECONDS,
        out_of_band: bool = False,
    ) -> Any:
        """Run one command and return QEMU's answer. Raises CommandFailed, MonitorTimeout, MonitorLost."""
        try:
            async with asyncio.timeout(bound_seconds):
                return await self._client.execute(command, arguments, oob=out_of_band)
        except ExecuteError as error:
            raise CommandFailed(command, str(error), error.error_class) from error
        except TimeoutError:
            raise MonitorTimeout(
                f"QEMU did not answer {command} within {bound_seconds:g} s.", "It hangs, or its host is overloaded."
            ) from None
        except (ExecInterruptedError, StateError, QMPError, OSError, EOFError) as error:
            raise MonitorLost(
                f"The connection to QEMU ended during {command}: {error}.", "The VM's process has ended."
            ) from error

    async def run_together(
        self, commands: Sequence[tuple[str, Mapping[str, Any]]], *, bound_seconds: float = COMMAND_SECONDS
    ) -> list[Any]:
        """Send all commands before the first answer comes: QEMU carries them out in order even if we die meanwhile.

        Returns an answer or an exception for each.
        """
        calls = [
            asyncio.ensure_future(self.run(name, arguments, bound_seconds=bound_seconds))
            for name, arguments in commands
        ]
        return list(await asyncio.gather(*calls, return_exceptions=True))

    @contextmanager
    def expect(self, wanted: Callable[[Event], bool]) -> Iterator[asyncio.Future[Event]]:
        """A future for the first event from now on that is `wanted`; it fails with MonitorLost if the connection ends.

        To be entered before the command that causes the event.
        """
        future: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        entry = (wanted, future)
        self._expected.append(entry)
        try:
            yield future
        finally:
            self._expected.remove(entry)
            if future.done() and not future.cancelled():
                future.exception()  # an answer that nobody waited for is no error
            future.cancel()

    async def close(self) -> None:
        """Give the connection up; `on_closed` is not called."""
        self._closing = True
        if self._watch is None:
            return
        self._watch.cancel()
        await asyncio.gather(self._watch, return_exceptions=True)
        self._watch = None
        await self._disconnect()

    def _dispatch(self, event: Event) -> None:
        for wanted, future in self._expected:
            if not future.done() and wanted(event):
                future.set_result(event)
        if self._on_event is not None:
            self._on_event(event)

    async def _watch_end(self) -> None:
        while self._client.runstate is Runstate.RUNNING:
            await self._client.runstate_changed()
        reason = await self._disconnect()
        for _, future in self._expected:
            if not future.done():
                future.set_exception(
                    MonitorLost(f"The connection to QEMU ended: {reason}.", "The VM's process has ended.")
                )
        if self._on_closed is not None and not self._closing:
            self._on_closed(reason)

    async def _disconnect(self) -> str:
        """Collect what ended the connection, in words."""
        if self._client.runstate is Runstate.IDLE:
            return "closed"
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._client.disconnect()
        except EOFError:
            return "QEMU hung up"
        except TimeoutError:
            return "QEMU hangs"
        except (OSError, QMPError) as error:
            return str(error) or type(error).__name__
        return "closed"
