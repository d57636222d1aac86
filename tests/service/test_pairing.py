"""Pairing of two real managers over TLS [I25]: who gets in, and what a lost reply or a wrong token leads to."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from farshore.cli.site_folder import NewSite, init_site
from farshore.errors import FarshoreError, NotPermitted, Unavailable
from farshore.identity.contexts import pairing_context
from farshore.identity.folder import Identity
from farshore.identity.token import PairingToken
from farshore.model.site import SiteConfig
from farshore.site.appliances import Appliance
from farshore.site.persistence import open_database
from farshore.site.persistence.tables import pairing_token
from farshore.site.site import database_path, open_site
from tests.managers import USER, RunningManager, free_ports


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningManager, RunningManager]]:
    """Two sites with running managers, not paired."""
    folder = tmp_path_factory.mktemp("pairing")
    pair = RunningManager(folder / "north", "north"), RunningManager(folder / "south", "south")
    for manager in pair:
        manager.start()
    yield pair
    for manager in pair:
        if manager.process is not None:
            manager.kill()


def until(condition: Callable[[], Any], what: str) -> None:
    """Wait for it."""
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def token_of(manager: RunningManager) -> str:
    """A new token."""
    reply = manager.post("/v1/peersites/generatetoken")
    assert reply.status_code == 200, reply.text
    return str(reply.json()["Token"])


def join(manager: RunningManager, other: RunningManager, token: str) -> httpx.Response:
    """Pair `manager` with `other` by its token."""
    body = {"HostName": "127.0.0.1", "Port": other.config.peer_port, "Token": token}
    return manager.post("/v1/peersites", body)


def peers_of(manager: RunningManager) -> list[str]:
    """The names of the paired sites."""
    return [peer["PeerSiteName"] for peer in manager.get("/v1/peersites")]


def stranger(folder: Path, token: str, port: int) -> None:
    """A third site tries a token. Raises what it is answered."""
    if not (folder / "site.json").exists():
        init_site(folder, NewSite("east"))
    no_appliance: Appliance = None  # type: ignore[assignment]

    async def play() -> None:
        site = open_site(folder, no_appliance)
        try:
            await site.pairing.join("127.0.0.1", port, token)
        finally:
            await site.close()

    asyncio.run(play())


def test_pair_repeat_and_refuse(sites: tuple[RunningManager, RunningManager], tmp_path: Path) -> None:
    """Both sites list each other; the same caller may repeat (its reply was lost); another one is refused."""
    north, south = sites
    token = token_of(south)
    reply = join(north, south, token)
    assert reply.status_code == 200, reply.text
    until(lambda: peers_of(north) == ["south"] and peers_of(south) == ["north"], "both list each other")
    assert join(north, south, token).status_code == 200
    with pytest.raises(NotPermitted, match="used by another"):
        stranger(tmp_path / "east", token, south.config.peer_port)
    assert peers_of(south) == ["north"]


def test_a_lost_reply_is_made_good_by_repeating(sites: tuple[RunningManager, RunningManager]) -> None:
    """The issuer has paired, the caller has nothing: the caller repeats with the same token and is paired."""
    north, south = sites
    token = token_of(south)
    assert join(north, south, token).status_code == 200
    north.kill()
    database = open_database(database_path(north.folder))
    with database.transaction() as connection:
        connection.execute(sa.text("DELETE FROM peer"))
    database.close()
    for file in (north.folder / "identity" / "peers").glob("*.crt"):
        file.unlink()
    north.start()
    assert peers_of(north) == []
    assert join(north, south, token).status_code == 200
    until(lambda: peers_of(north) == ["south"], "north has it again")


def test_wrong_tokens_are_refused_and_leave_nothing(
    sites: tuple[RunningManager, RunningManager], tmp_path: Path
) -> None:
    """Garbage, another site's token, a made-up secret, a used-up hour."""
    north, south = sites
    east = tmp_path / "east"
    good = PairingToken.parse(token_of(south))
    made_up = PairingToken.issue(good.fingerprint, time.time())
    with pytest.raises(NotPermitted, match="no such"):
        stranger(east, made_up.text(), south.config.peer_port)
    with pytest.raises(NotPermitted, match="is not the site"):
        stranger(east, token_of(north), south.config.peer_port)
    with pytest.raises(FarshoreError, match="token"):
        stranger(east, "garbage", south.config.peer_port)
    with pytest.raises(Unavailable):
        stranger(east, good.text(), free_ports(1)[0])
    expire(south, good.id)
    with pytest.raises(NotPermitted, match="expired"):
        stranger(east, good.text(), south.config.peer_port)
    assert "east" not in peers_of(south)
    assert list((east / "identity" / "peers").iterdir()) == []


def expire(manager: RunningManager, token_id: str) -> None:
    """Let a token's hour be over."""
    database = open_database(database_path(manager.folder))
    with database.transaction() as connection:
        change = pairing_token.update().where(pairing_token.c.id == token_id).values(expires=int(time.time()) - 1)
        assert connection.execute(change).rowcount == 1
    database.close()


def test_a_pairing_that_takes_long_is_answered_at_once(sites: tuple[RunningManager, RunningManager]) -> None:
    """Somebody accepts and says nothing: the task is told within 3 s, runs, and fails when its time is over."""
    north, south = sites
    token = token_of(south)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        body = {"HostName": "127.0.0.1", "Port": silent.getsockname()[1], "Token": token}
        began = time.monotonic()
        reply = north.post("/v1/peersites", body)
        assert time.monotonic() - began < 3
        assert reply.status_code == 200, reply.text
        path = f"/v1/tasks/{reply.json()['TaskIdentifier']}"
        assert north.get(path)["Status"]["State"] == 1
        until(lambda: north.get(path)["Status"]["State"] == 4, "the task has failed")
        assert "cannot be reached" in north.get(path)["CompleteReason"]
    with north.client() as client:
        assert client.post("/v1/peersites", json={**body, "Token": "garbage"}).status_code == 400


def test_strangers_get_nothing_from_the_peer_port(sites: tuple[RunningManager, RunningManager], tmp_path: Path) -> None:
    """No certificate: 403. A stranger's certificate: the handshake fails. Only paired sites are answered."""
    _, south = sites
    url = f"https://127.0.0.1:{south.config.peer_port}/peer/v1/hello"
    authority = Identity(south.folder / "identity").ca_pem()
    with httpx.Client(verify=pairing_context(authority), trust_env=False) as client:
        assert client.post(url, json={"args": {}}).status_code == 403
    init_site(tmp_path / "east", NewSite("east"))
    identity = Identity(tmp_path / "east" / "identity")
    context: ssl.SSLContext = pairing_context(authority)
    context.load_cert_chain(identity.site_certificate, identity.site_key)
    with httpx.Client(verify=context, trust_env=False) as client, pytest.raises(httpx.TransportError):
        client.post(url, json={"args": {}})


def test_unpairing_works_with_the_peer_dead(sites: tuple[RunningManager, RunningManager]) -> None:
    """And the other site, when it is back, is refused."""
    north, south = sites
    if peers_of(north) != ["south"]:
        assert join(north, south, token_of(south)).status_code == 200
    south.kill()
    site_id = SiteConfig.load(south.folder).site_id
    with north.client() as client:
        reply = client.delete(f"/v1/peersites/{site_id}")
    assert reply.status_code == 200, reply.text
    assert peers_of(north) == []
    south.start()
    assert peers_of(south) == ["north"]
    until(lambda: "does not answer" in alerts_of(south), "south is told that north does not answer")


def test_an_alert_is_dismissed_and_stands(sites: tuple[RunningManager, RunningManager]) -> None:
    """South's alert that north does not answer, as the test before left it; the events tell who dismissed it."""
    _, south = sites
    until(lambda: "does not answer" in alerts_of(south), "the alert stands")
    (alert,) = south.get("/v1/alerts?entity=Zvm&helpIdentifier=FSH0004")
    path = f"/v1/alerts/{alert['Link']['identifier']}"
    assert south.post(f"{path}/dismiss").status_code == 200
    assert south.get("/v1/alerts?isDismissed=true")[0]["Link"] == alert["Link"]
    told = [event for event in south.get("/v1/events") if event["Kind"] == "alert"]
    assert [(event["UserName"], alert["Description"] in event["Description"]) for event in told] == [(USER, True)]
    assert {"token", "paired"} <= {event["Kind"] for event in south.get("/v1/events")}
    assert south.post(f"{path}/undismiss").status_code == 200
    assert south.get(path)["IsDismissed"] is False


def alerts_of(manager: RunningManager) -> str:
    """All alerts' facts."""
    database = open_database(database_path(manager.folder))
    with database.transaction() as connection:
        facts = [row[0] for row in connection.execute(sa.text("SELECT fact FROM alert"))]
    database.close()
    return " ".join(facts)
