"""Each change that somebody asked for is written down: who, from where, what, and what was answered.

An ASGI layer. The event is durable before the answer goes out, so who got an answer stands in the events. What only
reads leaves none, nor does what comes from nobody: it cannot change anything.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from farshore.api.services import Services
from farshore.model.access import AuditRecord

NOTED = "farshore.audit"
TEXT_CHARACTERS_MAX = 500
_READING = frozenset({"GET", "HEAD", "OPTIONS"})

log = logging.getLogger("farshore.api")


@dataclass
class Noted:
    """What is known of a request so far; the layers inside fill it. `who` empty: nobody, or nothing to write down."""

    who: str = ""
    vpg_id: str = ""
    refusal: str = ""
    task_id: str = ""


def noted(request: Request) -> Noted:
    """What is known of this request; of one that only reads it is looked at by nobody."""
    found = request.scope.get(NOTED)
    return found if isinstance(found, Noted) else Noted()


class Audit:
    """The layer."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; write down what was answered before it goes out."""
        if scope["type"] != "http" or scope["method"] in _READING:
            await self._app(scope, receive, send)
            return
        known = Noted()

        async def write_down(message: Message) -> None:
            if message["type"] == "http.response.start":
                await self._write(scope, known, int(message["status"]))
            await send(message)

        try:
            await self._app({**scope, NOTED: known}, receive, write_down)
        except Exception as error:
            known.refusal = f"The request failed: {type(error).__name__}."
            await self._write(scope, known, 500)
            raise

    async def _write(self, scope: Scope, known: Noted, status: int) -> None:
        if not known.who:
            return
        result = str(status) + (f": {known.refusal}" if known.refusal else "")
        if known.task_id:
            result += f", task {known.task_id}"
        record = AuditRecord(
            who=known.who,
            origin=address_of(scope),
            text=_written(f"{scope['method']} {scope['path']}"),
            result=_written(result),
            vpg_id=_written(known.vpg_id),
        )
        known.who = ""  # once
        try:
            await self._services.audit("audit", record)
        except Exception:  # the change is made: its answer must not be lost with the event
            log.exception("a change could not be written into the events: %s", record)


def _written(text: str) -> str:
    """The text as it can be stored: bounded, without halves of characters, in one line."""
    whole = text[:TEXT_CHARACTERS_MAX].encode(errors="replace").decode()
    return "".join(one if one.isprintable() else "?" for one in whole)


def address_of(scope: Scope) -> str:
    """The address that a request came from."""
    client = scope.get("client")
    return str(client[0]) if client else ""
