"""Calls to another site's manager: JSON over mutual TLS, `POST /peer/v1/{call}`, each with a bound.

The two ways of getting no answer differ [I8]: PeerUnreachable means that nothing was sent, so nothing was begun;
PeerSilent that the call may have arrived.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx

from farshore.errors import Fault, NotPermitted, Unavailable, error_from_json
from farshore.identity.contexts import client_context
from farshore.site.peers import Peer, Peers

ANSWER_SECONDS = 2.0
"""How long a call that an API answer waits for may take."""
_REMEDY = "Look at the link and at the other site's manager, then try again."


class PeerUnreachable(Unavailable):
    """There is no connection to the other site; nothing was begun there."""


class PeerSilent(Unavailable):
    """The other site did not answer in time; whether it got the call is not known."""


class PeerClient:
    """One connection pool to each paired site."""

    def __init__(self, identity_folder: Path, peers: Peers) -> None:
        self._identity = identity_folder
        self._peers = peers
        self._pools: dict[str, tuple[Peer, httpx.AsyncClient]] = {}

    async def _pool(self, peer: Peer) -> httpx.AsyncClient:
        known = self._pools.get(peer.site_id)
        if known is not None:
            if (known[0].peer_address, known[0].paired_ns) == (peer.peer_address, peer.paired_ns):
                return known[1]
            await self.drop(peer.site_id)
        context = await asyncio.to_thread(client_context, self._identity, peer.site_id)
        pool = httpx.AsyncClient(
            base_url=f"https://{peer.peer_address}",
            verify=context,
            trust_env=False,
            limits=httpx.Limits(max_connections=32),
        )
        self._pools[peer.site_id] = (peer, pool)
        return pool

    async def drop(self, site_id: str) -> None:
        """Close the connections to that site."""
        _, pool = self._pools.pop(site_id, (None, None))
        if pool is not None:
            await pool.aclose()

    async def close(self) -> None:
        """Close all connections."""
        for site_id in list(self._pools):
            await self.drop(site_id)

    async def call(self, site_id: str, call: str, arguments: dict[str, Any], seconds: float = ANSWER_SECONDS) -> Any:
        """Call it; the whole call takes at most `seconds`.

        Raises NotFound (not paired), PeerUnreachable, PeerSilent, or the error that the other site answered with.
        """
        peer = await asyncio.to_thread(self._peers.get, site_id)
        pool = await self._pool(peer)
        try:
            async with asyncio.timeout(seconds):
                answer = await self._post(pool, peer, call, arguments, seconds)
        except TimeoutError as error:
            raise PeerSilent(f"Site {peer.name} did not answer within {seconds:g} s.", _REMEDY) from error
        self._peers.heard(site_id)
        return answer

    @staticmethod
    async def _post(pool: httpx.AsyncClient, peer: Peer, call: str, arguments: dict[str, Any], seconds: float) -> Any:
        connect = seconds * 0.9  # ends before the whole does, so that "never sent" is told from "no answer"
        try:
            bounds = httpx.Timeout(seconds, connect=connect, pool=connect)
            reply = await pool.post(f"/peer/v1/{call}", json={"args": arguments}, timeout=bounds)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            fact = f"Site {peer.name} cannot be reached at {peer.peer_address}: {str(error) or 'it timed out'}."
            raise PeerUnreachable(fact, _REMEDY) from error
        except httpx.HTTPError as error:
            raise PeerSilent(f"The connection to site {peer.name} broke: {error!r}.", _REMEDY) from error
        return read_answer(peer.name, reply)


def read_answer(name: str, reply: httpx.Response) -> Any:
    """The result in a reply; raises the error in it."""
    try:
        body = reply.json()
    except ValueError as error:
        raise Fault(f"Site {name} answered {reply.status_code} with something that is not JSON.", _REMEDY) from error
    if isinstance(body, dict) and "error" in body:
        raise error_from_json(body["error"])
    if reply.status_code != 200 or not isinstance(body, dict) or "result" not in body:
        raise NotPermitted(f"Site {name} answered {reply.status_code}.", "Look at the other site's manager log.")
    return body["result"]
