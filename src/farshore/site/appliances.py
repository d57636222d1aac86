"""The way to the appliance of either site: this site's own, or the other's through its manager. One face for both."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Protocol

from farshore.errors import Unavailable
from farshore.site.peer_client import ANSWER_SECONDS, PeerClient

CALL_SECONDS = 60.0
RETRY_SECONDS = 0.5


class Appliance(Protocol):
    """What `farshore.appliance.client.ApplianceClient` offers, and a test's stand-in."""

    async def call(self, call: str, timeout_seconds: float = CALL_SECONDS, /, **args: Any) -> Any:
        """Make a call; raises the FarshoreError that it was answered with, or Unavailable."""


class PeerAppliance:
    """The other site's appliance, asked through that site's manager."""

    def __init__(self, client: PeerClient, site_id: str) -> None:
        self._client = client
        self._site_id = site_id

    async def call(self, call: str, timeout_seconds: float = CALL_SECONDS, /, **args: Any) -> Any:
        """As `Appliance.call`."""
        request = {"call": call, "args": args, "seconds": timeout_seconds}
        return await self._client.call(self._site_id, "appliance", request, timeout_seconds)


class Appliances:
    """The appliances of this site and of its peers, each call bounded."""

    def __init__(self, site_id: str, own: Appliance, client: PeerClient) -> None:
        self._site_id = site_id
        self._own = own
        self._client = client

    def at(self, site_id: str) -> Appliance:
        """The appliance of that site."""
        return self._own if site_id == self._site_id else PeerAppliance(self._client, site_id)

    async def ask(self, site_id: str, name: str, *, seconds: float = ANSWER_SECONDS, **arguments: Any) -> Any:
        """One call that must be answered within `seconds`. Raises Unavailable."""
        try:
            async with asyncio.timeout(seconds):
                return await self.at(site_id).call(name, seconds, **arguments)
        except TimeoutError as error:
            fact = f"The appliance of site {site_id} did not answer {name} within {seconds:g} s."
            raise Unavailable(fact, "Look at that site's watcher log.") from error

    async def order(self, site_id: str, name: str, *, within: float = 30.0, **arguments: Any) -> Any:
        """A call of an operation: repeated until the appliance can be reached, for `within` seconds.

        All calls of an appliance are safe to repeat. Raises Unavailable, or what the call was answered with.
        """
        deadline = time.monotonic() + within
        while True:
            left = deadline - time.monotonic()
            try:
                return await self.ask(site_id, name, seconds=max(0.5, min(left, CALL_SECONDS)), **arguments)
            except Unavailable:
                if deadline - time.monotonic() < RETRY_SECONDS:
                    raise
            await asyncio.sleep(RETRY_SECONDS)
