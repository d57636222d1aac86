"""The other sites that this one is paired with, and which of them answered of late."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from farshore.errors import NotFound
from farshore.site.clock import now_ns
from farshore.site.persistence import Database
from farshore.site.persistence.tables import peer as table

HEARD_SECONDS = 6.0
"""A peer that has not answered for so long counts as disconnected (it is asked every 2 s)."""


@dataclass(frozen=True)
class Peer:
    """A paired site; addresses are host:port."""

    site_id: str
    name: str
    peer_address: str
    appliance_address: str
    paired_ns: int = 0
    heard_ns: int = 0

    def appliance_host_port(self) -> tuple[str, int]:
        """Where streams to its appliance go."""
        host, _, port = self.appliance_address.rpartition(":")
        return host.strip("[]"), int(port)


class Peers:
    """The table of peers, with what is known of their presence."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._heard: dict[str, float] = {}

    def all(self) -> list[Peer]:
        """All paired sites by name."""
        with self._database.transaction() as connection:
            rows = connection.execute(sa.select(table).order_by(table.c.name)).mappings()
            return [Peer(**row) for row in rows]

    def find(self, site_id: str) -> Peer | None:
        """The peer, or None."""
        return next((peer for peer in self.all() if peer.site_id == site_id), None)

    def get(self, site_id: str) -> Peer:
        """The peer; raises NotFound."""
        peer = self.find(site_id)
        if peer is None:
            raise NotFound(f"Site {site_id} is not paired with this one.", "List the paired sites and use one of them.")
        return peer

    def save(self, peer: Peer) -> None:
        """Add or replace it."""
        values: dict[str, Any] = dict(peer.__dict__) | {"paired_ns": peer.paired_ns or now_ns()}
        with self._database.transaction() as connection:
            connection.execute(table.delete().where(table.c.site_id == peer.site_id))
            connection.execute(table.insert().values(**values))

    def remove(self, site_id: str) -> None:
        """Forget it."""
        self._heard.pop(site_id, None)
        with self._database.transaction() as connection:
            connection.execute(table.delete().where(table.c.site_id == site_id))

    def heard(self, site_id: str) -> None:
        """It answered just now."""
        self._heard[site_id] = time.monotonic()

    def connected(self, site_id: str) -> bool:
        """Whether it answered of late."""
        return time.monotonic() - self._heard.get(site_id, float("-inf")) < HEARD_SECONDS
