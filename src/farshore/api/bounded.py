"""Bodies are bounded before anything reads them: an ASGI layer. What is longer is refused with 413, unread."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from farshore.api.wire.reply import reply_error
from farshore.errors import TooLarge

BODY_BYTES_MAX = 4 << 20
FORM_BYTES_MAX = 64 << 10
"""Of a body that somebody sends who is not signed in."""
_SIGN_IN = ("/auth/", "/v1/session/add")
_REMEDY = "Send less at once."


class Bounded:
    """The layer. Paths are as they came: before they are put into the routes' own case."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, its body counted."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = FORM_BYTES_MAX if scope["path"].lower().startswith(_SIGN_IN) else BODY_BYTES_MAX
        fact = f"The body is longer than {limit} bytes."
        if _announced(scope) > limit:
            # Closing tells the server not to wait for the rest.
            refusal = reply_error(Request(scope), 413, f"{fact} {_REMEDY}", {"Connection": "close"})
            await refusal(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise TooLarge(fact, _REMEDY)
            return message

        await self._app(scope, counted, send)


def _announced(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:20])
    return 0
