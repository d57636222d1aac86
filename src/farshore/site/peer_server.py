"""The port for other sites: `POST /peer/v1/{call}` with {"args": {...}}, answered {"result": ...} or {"error": {...}}.

Who calls is known from the TLS certificate alone. Two calls of pairing are open to callers without a certificate.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from farshore.errors import BadInput, FarshoreError, NotFound, NotPermitted
from farshore.identity.trust import peer_site_id
from farshore.site.peers import Peers

BODY_BYTES_MAX = 8 << 20
PATH = "/peer/v1/"
_STATUS = {"not_found": 404, "bad_input": 400, "conflict": 409, "not_permitted": 403, "unavailable": 503}

Call = Callable[[str, dict[str, Any]], Awaitable[Any]]
"""A call: the identifier of the calling site (empty for an open call), and the arguments."""
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

log = structlog.get_logger("peer")


class PeerServer:
    """An ASGI application. The server that runs it puts the verified certificate into the scope's state as "peer"."""

    def __init__(self, peers: Peers, calls: dict[str, Call], open_calls: dict[str, Call]) -> None:
        self._peers = peers
        self._calls = calls
        self._open_calls = open_calls

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        status, body = 200, b""
        try:
            result = await self._answer(scope, receive)
            body = json.dumps({"result": result}).encode()
        except FarshoreError as error:
            status, body = _STATUS.get(error.kind, 500), json.dumps({"error": error.to_json()}).encode()
        except Exception as error:  # the last resort: the caller must get an answer, and the log the trace
            log.exception("a peer's call failed", path=scope["path"])
            fault = {"kind": "fault", "fact": f"The call failed: {error!r}.", "remedy": "Look at the manager's log."}
            status, body = 500, json.dumps({"error": fault}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: dict[str, Any], receive: Receive) -> Any:
        name = str(scope["path"]).removeprefix(PATH)
        if scope["method"] != "POST" or not str(scope["path"]).startswith(PATH):
            raise NotFound("There is nothing here.", "Managers of paired sites call POST /peer/v1/CALL.")
        if name in self._open_calls:
            return await self._open_calls[name]("", await self._arguments(receive))
        caller = peer_site_id(scope.get("state", {}).get("peer"))
        if self._peers.find(caller) is None:
            raise NotPermitted(f"Site {caller} is not paired with this one.", "Pair the two sites.")
        if name not in self._calls:
            raise NotFound(f"There is no call {name}.", "Bring both sites to the same version.")
        result = await self._calls[name](caller, await self._arguments(receive))
        self._peers.heard(caller)
        return result

    @staticmethod
    async def _arguments(receive: Receive) -> dict[str, Any]:
        body = bytearray()
        while True:
            message = await receive()
            body += message.get("body", b"")
            if len(body) > BODY_BYTES_MAX:
                raise BadInput("The call is too long.", f"Keep it under {BODY_BYTES_MAX} bytes.")
            if not message.get("more_body"):
                break
        try:
            arguments = json.loads(body)["args"]
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput("The call is not JSON with a member args.", "Bring both sites to one version.") from error
        if not isinstance(arguments, dict):
            raise BadInput("The call's args are no JSON object.", "Bring both sites to one version.")
        return arguments
