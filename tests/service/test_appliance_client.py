"""The appliance's client when it gives up in the middle of connecting, at whichever moment."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from farshore.appliance.appliance import Appliance
from farshore.appliance.client import ApplianceClient
from farshore.appliance.port import AppliancePort
from farshore.identity.certificates import create_identity
from farshore.identity.contexts import client_context, server_context

SITE = "11111111-1111-4111-8111-111111111111"
MOMENTS = 60
"""Turns of the loop: more than a connection and its handshake take here."""


async def ping() -> str:
    """The one call."""
    return "here"


async def give_up_at_every_moment(folder: Path) -> list[int]:
    """The moments after which a new client gets no answer."""
    own = SimpleNamespace(calls=lambda: {"ping": ping}, config=SimpleNamespace(site_id=SITE))
    port = AppliancePort(cast("Appliance", own), server_context(folder, require_client=True), lambda _: None)
    port.listen("127.0.0.1", 0)
    assert port._listener is not None
    number = port._listener.getsockname()[1]
    serving = asyncio.create_task(port.serve())
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
