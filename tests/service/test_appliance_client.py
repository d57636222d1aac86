"""The appliance's client and port when a connection ends early: a later one gets its number, and must be heard."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from farshore.appliance.appliance import Appliance
from farshore.appliance.client import ApplianceClient
from farshore.appliance.port import AppliancePort
from farshore.errors import FarshoreError
from farshore.identity.certificates import create_identity
from farshore.identity.contexts import client_context, server_context
from farshore.identity.folder import Identity
from farshore.identity.new_trust import trust_peer

SITE = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-222222222222"
REFUSALS = 5
MOMENTS = 60
"""Turns of the loop: more than a connection and its handshake take here."""


async def ping() -> str:
    """The one call."""
    return "here"


def listening(folder: Path) -> tuple[int, asyncio.Task[None]]:
    """A port's number, and what serves it."""
    own = SimpleNamespace(calls=lambda: {"ping": ping}, config=SimpleNamespace(site_id=SITE))
    port = AppliancePort(cast("Appliance", own), server_context(folder, require_client=True), lambda _: None)
    port.listen("127.0.0.1", 0)
    assert port._listener is not None
    return port._listener.getsockname()[1], asyncio.create_task(port.serve())


async def give_up_at_every_moment(folder: Path) -> list[int]:
    """The moments after which a new client gets no answer."""
    number, serving = listening(folder)
    context, unanswered = client_context(folder, SITE), []
    for moment in range(MOMENTS):
        given_up = ApplianceClient("127.0.0.1", number, context)
        connecting = asyncio.create_task(given_up.call("ping"))
        for _ in range(moment):
            await asyncio.sleep(0)
        connecting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await connecting
        client = ApplianceClient("127.0.0.1", number, context)
        try:
            async with asyncio.timeout(20):
                assert await client.call("ping") == "here"
        except (Exception, TimeoutError):  # noqa: BLE001 - whatever it is, it is told by its moment
            unanswered.append(moment)
        await client.close()
        await given_up.close()
    serving.cancel()
    return unanswered


def test_one_that_gives_up_leaves_the_next_one_its_number(tmp_path: Path) -> None:
    """Closed under its transport, a connection left its number to the next one, which was then never heard again."""
    create_identity(tmp_path / "identity", SITE, ["127.0.0.1"])
    assert asyncio.run(give_up_at_every_moment(tmp_path / "identity")) == []


async def refuse_again_and_again(own: Path, other: Path) -> int:
    """How often this site's own client is answered, each time after another site's was refused."""
    number, serving = listening(own)
    strangers = []
    for answered in range(REFUSALS):
        stranger = ApplianceClient("127.0.0.1", number, client_context(other, SITE))
        strangers.append(stranger)
        with contextlib.suppress(FarshoreError):
            await stranger.call("ping", 0.2)
        client = ApplianceClient("127.0.0.1", number, client_context(own, SITE))
        try:
            await client.call("ping", 5.0)
        except FarshoreError:
            return answered
        await client.close()
    for stranger in strangers:
        await stranger.close()
    serving.cancel()
    return REFUSALS


def test_a_site_that_is_refused_leaves_the_next_one_its_number(tmp_path: Path) -> None:
    """A paired site's manager may not give orders to this appliance; refusing it costs this site's own nothing."""
    own, other = tmp_path / "own", tmp_path / "other"
    create_identity(own, SITE, ["127.0.0.1"])
    create_identity(other, OTHER, ["127.0.0.1"])
    trust_peer(own, OTHER, Identity(other).ca_pem())
    trust_peer(other, SITE, Identity(own).ca_pem())
    assert asyncio.run(refuse_again_and_again(own, other)) == REFUSALS
