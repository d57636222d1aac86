"""Identifiers of what an embedded site has one of: its host, its store, its network."""

from __future__ import annotations

import uuid


def resource_id(site_id: str, kind: str) -> str:
    """The same at every site that is asked: a GUID made from the site and the kind (host, datastore, network, ...)."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"farshore://site/{site_id}/{kind}"))
