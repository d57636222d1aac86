"""The outermost layer: an error that nobody foresaw is logged with its trace and answered as any other.

Starlette's own would raise it again after the answer, and the server then cuts a connection that clients keep.
"""

from __future__ import annotations

import logging

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from farshore.api.wire.reply import reply_error

log = logging.getLogger("farshore.api")


class LastResort:
    """The layer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; answer 500 if that fails before an answer has begun."""
        begun = False

        async def watch(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception as error:
            if begun or scope["type"] != "http":
                raise
            log.exception("a request failed: %s %s", scope["method"], scope["path"])
            text = f"The request failed: {type(error).__name__}. Look into the manager's log."
            await reply_error(Request(scope), 500, text)(scope, receive, send)
