"""Finds what a person named: a VPG, a VM, a site, by identifier or by name."""

from __future__ import annotations

from typing import Any

from farshore.cli.client import SiteClient
from farshore.errors import BadInput, NotFound


def pick(things: list[dict[str, Any]], wanted: str, id_member: str, name_member: str, kind: str) -> dict[str, Any]:
    """The one whose identifier, or else name, is `wanted`. Raises NotFound, or BadInput when several bear the name."""
    for thing in things:
        if str(thing[id_member]).lower() == wanted.lower():
            return thing
    named = [thing for thing in things if thing[name_member] == wanted]
    if not named:
        there = ", ".join(str(thing[name_member]) for thing in things) or "none"
        raise NotFound(f"There is no {kind} {wanted}.", f"There is: {there}.")
    if len(named) > 1:
        ids = ", ".join(str(thing[id_member]) for thing in named)
        raise BadInput(f"{len(named)} {kind}s are called {wanted}.", f"Name one by its identifier: {ids}.")
    return named[0]


def find_vpg(api: SiteClient, wanted: str) -> dict[str, Any]:
    """The VPG of that identifier or name."""
    return pick(api.get("/vpgs"), wanted, "VpgIdentifier", "VpgName", "VPG")


def find_vm(api: SiteClient, site_id: str, wanted: str) -> dict[str, Any]:
    """The VM of that identifier or name among those of a site."""
    return pick(api.get(f"/virtualizationsites/{site_id}/vms"), wanted, "VmIdentifier", "VmName", "VM")


def find_peer(api: SiteClient, wanted: str | None) -> dict[str, Any]:
    """The paired site of that identifier or name; with None the only one there is. Raises NotFound, BadInput."""
    peers: list[dict[str, Any]] = api.get("/peersites")
    if wanted is not None:
        return pick(peers, wanted, "SiteIdentifier", "PeerSiteName", "paired site")
    if not peers:
        raise NotFound("This site is not paired with another.", "Pair them with: farshore pair")
    if len(peers) > 1:
        names = ", ".join(str(peer["PeerSiteName"]) for peer in peers)
        raise BadInput("This site is paired with several.", f"Name one of {names}.")
    return peers[0]
