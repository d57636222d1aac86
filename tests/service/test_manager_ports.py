"""The two ports of a manager: a taken port is said in words; the peer port shows who calls; the end is quick."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from farshore.errors import Unavailable
from farshore.identity.certificates import create_identity
from farshore.identity.contexts import client_context, pairing_context, server_context
from farshore.identity.folder import Identity
from farshore.identity.new_trust import trust_peer
from farshore.identity.trust import peer_site_id
from farshore.manager.ports import GRACEFUL_SECONDS, bind, server
from tests.service.made_up_site import NORTH, SOUTH, serving

STRANGER = "33333333-3333-4333-8333-333333333333"


async def who(scope: dict[str, Any], _receive: Any, send: Any) -> None:
    """Answers with the caller's site, or null; `/slow` never answers."""
    if scope["path"] == "/slow":
        await asyncio.sleep(60)
    peer = scope.get("state", {}).get("peer")
    body = json.dumps(peer_site_id(peer) if peer else None).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": body})


def sites(folder: Path) -> tuple[Identity, Identity, Identity]:
    """North and south, which trust each other, and a stranger, who trusts north."""
    north, south, stranger = (
        create_identity(folder / site_id, site_id, ["127.0.0.1"]) for site_id in (NORTH, SOUTH, STRANGER)
    )
    trust_peer(north.folder, SOUTH, south.ca_pem())
    trust_peer(south.folder, NORTH, north.ca_pem())
    trust_peer(stranger.folder, NORTH, north.ca_pem())
    return north, south, stranger


def test_what_is_accepted_sends_at_once() -> None:
    """Without TCP_NODELAY a reply whose second part waits for an acknowledgement comes 40 ms late, at every call."""
    with bind("127.0.0.1", 0, "api") as listening, socket.create_connection(listening.getsockname()):
        listening.setblocking(True)
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_the_peer_port_shows_whose_certificate_it_is_and_cuts_strangers_off(tmp_path: Path) -> None:
    """A paired site is named to the application; a stranger's certificate and none at all never reach it."""
    north, south, stranger = sites(tmp_path)

    async def run() -> None:
        context = server_context(north.folder, require_client=True)
        async with serving(server(who, context, peers=True), bind("127.0.0.1", 0, "peers")) as port:
            url = f"https://127.0.0.1:{port}/"
            async with httpx.AsyncClient(verify=client_context(south.folder, NORTH), trust_env=False) as client:
                for _ in range(2):  # the second goes over the same connection
                    assert (await client.get(url)).json() == SOUTH
            for other in (client_context(stranger.folder, NORTH), pairing_context(north.ca_pem())):
                async with httpx.AsyncClient(verify=other, trust_env=False) as client:
                    with pytest.raises(httpx.TransportError):
                        await client.get(url)

    asyncio.run(run())


def test_the_peer_port_may_let_those_in_who_show_no_certificate(tmp_path: Path) -> None:
    """For pairing; the application sees that there is none."""
    north, _, stranger = sites(tmp_path)

    async def run() -> None:
        context = server_context(north.folder, require_client=False, admit_without=True)
        async with serving(server(who, context, peers=True), bind("127.0.0.1", 0, "peers")) as port:
            url = f"https://127.0.0.1:{port}/"
            async with httpx.AsyncClient(verify=pairing_context(north.ca_pem()), trust_env=False) as client:
                assert (await client.get(url)).json() is None
            async with httpx.AsyncClient(verify=client_context(stranger.folder, NORTH), trust_env=False) as client:
                with pytest.raises(httpx.TransportError):
                    await client.get(url)

    asyncio.run(run())


def test_a_request_that_does_not_end_does_not_hold_the_shutdown(tmp_path: Path) -> None:
    """Two seconds, then it is cut."""
    north, south, _ = sites(tmp_path)

    async def run() -> float:
        context = server_context(north.folder, require_client=True)
        async with httpx.AsyncClient(verify=client_context(south.folder, NORTH), trust_env=False) as client:
            async with serving(server(who, context, peers=True), bind("127.0.0.1", 0, "peers")) as port:
                slow = asyncio.create_task(client.get(f"https://127.0.0.1:{port}/slow", timeout=30))
                assert (await client.get(f"https://127.0.0.1:{port}/")).json() == SOUTH
                began = time.monotonic()
            spent = time.monotonic() - began
            assert (await asyncio.gather(slow, return_exceptions=True))[0] is not None
        return spent

    assert asyncio.run(run()) < GRACEFUL_SECONDS + 2


def test_a_taken_port_is_said_in_words() -> None:
    """With what can be done."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable, match=rf"Port {port} on 127.0.0.1 \(API\) is taken") as error:
            bind("127.0.0.1", port, "API")
        assert "site.json" in error.value.remedy


def test_an_address_of_another_machine_is_said_in_words() -> None:
    """Neither a trace nor silence."""
    with pytest.raises(Unavailable, match=r"on 192.0.2.1 \(API\) cannot be opened"):
        bind("192.0.2.1", 0, "API")
