"""JSON lines both ways over one connection: calls with an answer each, and events.

request {"id", "call", "args"} -> {"id", "result"} or {"id", "error": {"kind", "fact", "remedy"}}; an event has no id.
What is in flight when the connection ends fails with Unavailable: whether the call took effect is then not known.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import Callable
from typing import Any

from farshore.errors import Unavailable, error_from_json

LINE_BYTES_MAX = 64 << 20


class LineChannel:
    """The calling end. `on_event` gets what comes without an id; `on_end` is called once when the connection ends."""

    def __init__(
        self,
        name: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        on_event: Callable[[dict[str, Any]], None] | None = None,
        on_end: Callable[[], None] | None = None,
    ) -> None:
        """`name` says in errors who did not answer."""
        self.name = name
        self._reader = reader
        self._writer = writer
        self._on_event = on_event
        self._on_end = on_end
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self.is_open = True
        self._task = asyncio.get_running_loop().create_task(self._read())

    async def call(self, call: str, timeout_seconds: float = 5.0, /, **args: Any) -> Any:
        """The result of a call. Raises the error that was told, or Unavailable (no answer in time, connection gone)."""
        if not self.is_open:
            raise Unavailable(f"{self.name} is not connected.", "It is started again by itself; try again in a moment.")
        identifier = next(self._ids)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[identifier] = future
        try:
            self._writer.write(json.dumps({"id": identifier, "call": call, "args": args}).encode() + b"\n")
            return await asyncio.wait_for(future, timeout_seconds)
        except TimeoutError:
            raise Unavailable(
                f"{self.name} did not answer {call} within {timeout_seconds:g} s.", "Try again."
            ) from None
        except OSError as error:
            raise Unavailable(f"{self.name} cannot be reached: {error}.", "Try again in a moment.") from error
        finally:
            self._waiting.pop(identifier, None)

    def forget_end(self) -> None:
        """Do not call `on_end`: the end is wanted."""
        self._on_end = None

    async def close(self) -> None:
        """End the connection."""
        self._writer.close()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError, OSError):
            await self._task
        self._ended()

    async def _read(self) -> None:
        try:
            while line := await self._reader.readline():
                message = json.loads(line)
                identifier = message.get("id")
                if identifier is None:
                    if self._on_event is not None:
                        self._on_event(message)
                    continue
                future = self._waiting.get(identifier)
                if future is None or future.done():
                    continue
                if "error" in message:
                    future.set_exception(error_from_json(message["error"]))
                else:
                    future.set_result(message.get("result"))
        except (OSError, ValueError):
            self._writer.close()
        finally:
            self._ended()

    def _ended(self) -> None:
        if not self.is_open:
            return
        self.is_open = False
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(Unavailable(f"{self.name} ended before it answered.", "Try again in a moment."))
        if self._on_end is not None:
            self._on_end()
