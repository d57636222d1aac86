"""Pairing two sites by a one-time token, and undoing it [I25].

The caller fetches the issuer's CA from anybody, compares its fingerprint with the token's, and only then, over TLS
that trusts this CA alone, sends its own CA and the proof that it knows the token's secret. The issuer answers with its
own proof. The same caller may repeat this within the token's hour (a reply may be lost) and gets the same answer;
another caller is refused, and an alert says so.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from dataclasses import dataclass
from typing import Any

import httpx
import sqlalchemy as sa
import structlog

from farshore.errors import BadInput, FarshoreError, NotPermitted, Unavailable
from farshore.identity.certificates import fingerprint
from farshore.identity.contexts import pairing_context
from farshore.identity.folder import Identity
from farshore.identity.new_trust import trust_peer
from farshore.identity.token import PairingToken, proof, proves
from farshore.identity.trust import forget_peer
from farshore.model.site import SiteConfig
from farshore.site.alerts import Alerts
from farshore.site.peer_client import PeerClient, read_answer
from farshore.site.peers import Peer, Peers
from farshore.site.persistence import Database
from farshore.site.persistence.tables import pairing_token as table

PAIRING_SECONDS = 10.0
_FRESH = "Let the other site make a new token."

log = structlog.get_logger("pairing")


def describe(config: SiteConfig) -> dict[str, str]:
    """What a site tells of itself to one that pairs with it."""
    return {
        "site_id": config.site_id,
        "name": config.name,
        "peer_address": config.peer_address(),
        "appliance_address": config.appliance_address(),
        "kind": config.settings.kind.value,
    }


def described_peer(told: dict[str, Any]) -> Peer:
    """The peer that another site described itself as. Raises BadInput."""
    site_id, name, peer_address, appliance_address = (
        told.get(member) for member in ("site_id", "name", "peer_address", "appliance_address")
    )
    if not (site_id and name and peer_address and appliance_address):
        raise BadInput("The other site does not say who it is.", "Bring both sites to one version.")
    return Peer(str(site_id), str(name), str(peer_address), str(appliance_address))


@dataclass
class Pairing:
    """Both halves of pairing, for one site."""

    config: SiteConfig
    identity: Identity
    database: Database
    peers: Peers
    client: PeerClient
    alerts: Alerts

    def generate(self) -> PairingToken:
        """Make a token; it is kept until it has expired."""
        now = time.time()
        lifetime = self.config.settings.pairing_token_seconds
        token = PairingToken.issue(fingerprint(self.identity.ca_pem()), now, lifetime)
        with self.database.transaction() as connection:
            connection.execute(table.delete().where(table.c.expires < int(now)))
            connection.execute(table.insert().values(id=token.id, secret=token.secret, expires=token.expires))
        return token

    async def answer_authority(self, _caller: str, _arguments: dict[str, Any]) -> dict[str, str]:
        """Open call: this site's CA, which is no secret."""
        return {"ca_pem": await asyncio.to_thread(self.identity.ca_pem)}

    async def answer_pair(self, _caller: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Open call: somebody wants to pair with a token of this site."""
        return await asyncio.to_thread(self._accept, arguments)

    def _accept(self, arguments: dict[str, Any]) -> dict[str, Any]:
        told = described_peer(arguments.get("site", {}))
        ca_pem = str(arguments.get("ca_pem", ""))
        own, other = fingerprint(self.identity.ca_pem()), fingerprint(ca_pem)
        secret = self._use_token(str(arguments.get("token_id", "")), str(arguments.get("proof", "")), own, other, told)
        trust_peer(self.identity.folder, told.site_id, ca_pem)
        self.peers.save(told)
        self.alerts.record("paired", f"Paired with site {told.name} ({told.site_id}), which came with a token.")
        return {"site": describe(self.config), "proof": proof(secret, "issuer", own, other)}

    def _use_token(self, token_id: str, given: str, own: str, other: str, told: Peer) -> str:
        """Mark the token as used by that caller and return its secret. Raises NotPermitted."""
        with self.database.transaction() as connection:
            found = connection.execute(sa.select(table).where(table.c.id == token_id)).first()
            if found is None or not proves(given, found.secret, "caller", own, other):
                raise NotPermitted("This site made no such pairing token.", _FRESH)
            if found.expires <= time.time():
                raise NotPermitted("The pairing token has expired.", _FRESH)
            free = sa.or_(table.c.used_by.is_(None), table.c.used_by == other)
            change = table.update().where(table.c.id == token_id, free).values(used_by=other)
            used = connection.execute(change).rowcount == 1
        if not used:
            fact = f"A site that calls itself {told.name} tried a pairing token that another one had used."
            self.alerts.raise_alert(f"token {token_id}", fact, "Find out who had the token.", level="error")
            raise NotPermitted("The pairing token was used by another site.", _FRESH)
        return str(found.secret)

    async def join(self, host: str, port: int, token_text: str) -> Peer:
        """Pair with the site that made the token, reached at its peer port. Safe to repeat.

        Raises BadInput, NotPermitted (the other end is not the token's issuer, or refuses), Unavailable.
        """
        token = PairingToken.parse(token_text)
        own_pem = await asyncio.to_thread(self.identity.ca_pem)
        own = fingerprint(own_pem)
        if token.fingerprint == own:
            raise BadInput("This is a token of this very site.", "Give a token that the other site made.")
        url = f"https://{f'[{host}]' if ':' in host else host}:{port}/peer/v1/"
        authority = (await self._post(pairing_context(None), url + "authority", {}, host, port)).get("ca_pem", "")
        if fingerprint(authority) != token.fingerprint:
            fact = f"{host}:{port} is not the site that made the token."
            raise NotPermitted(fact, "Check host and port; if they are right, somebody is in between.")
        arguments = {
            "token_id": token.id,
            "proof": proof(token.secret, "caller", token.fingerprint, own),
            "ca_pem": own_pem,
            "site": describe(self.config),
        }
        answer = await self._post(pairing_context(authority), url + "pair", arguments, host, port)
        if not proves(str(answer.get("proof")), token.secret, "issuer", token.fingerprint, own):
            raise NotPermitted(f"{host}:{port} does not know the token's secret.", _FRESH)
        peer = described_peer(answer.get("site", {}))
        await asyncio.to_thread(self._keep, peer, authority)
        await self.client.call(peer.site_id, "hello", describe(self.config), PAIRING_SECONDS / 2)
        return peer

    def _keep(self, peer: Peer, authority: str) -> None:
        trust_peer(self.identity.folder, peer.site_id, authority)
        self.peers.save(peer)
        self.alerts.record("paired", f"Paired with site {peer.name} ({peer.site_id}) by its token.")

    @staticmethod
    async def _post(context: ssl.SSLContext, url: str, arguments: dict[str, Any], host: str, port: int) -> Any:
        try:
            async with asyncio.timeout(PAIRING_SECONDS), httpx.AsyncClient(verify=context, trust_env=False) as client:
                reply = await client.post(url, json={"args": arguments}, timeout=PAIRING_SECONDS)
        except (httpx.HTTPError, TimeoutError, OSError) as error:
            fact = f"The site at {host}:{port} cannot be reached: {str(error) or 'it timed out'}."
            raise Unavailable(fact, "Check host and peer port, and that the other site runs.") from error
        return read_answer(f"{host}:{port}", reply)

    async def leave(self, site_id: str) -> None:
        """Unpair. Works with the peer dead; a peer that is there is told."""
        await asyncio.to_thread(self.peers.get, site_id)
        try:
            await self.client.call(site_id, "leave", {})
        except FarshoreError as error:
            log.warning("the other site was not told of the unpairing", site_id=site_id, error=str(error))
        await self.forget(site_id)

    async def forget(self, site_id: str) -> None:
        """Trust that site no longer."""
        await self.client.drop(site_id)
        await asyncio.to_thread(forget_peer, self.identity.folder, site_id)
        await asyncio.to_thread(self.peers.remove, site_id)
