"""Where the two sites of a lab listen: a free pair of loopback addresses, on the product's own ports if it can be.

The first lab gets 127.0.0.1 and 127.0.0.2, the second 127.0.0.3 and 127.0.0.4, and so on: what listens on one of a
pair's ports takes the pair away. Only when port 9669 (or one beside it) is taken on all of them, other ports are used.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from farshore.errors import Unavailable

PAIR_COUNT_MAX = 16
PORT_SHIFTS = range(10_000, 50_000, 1_000)
API_PORT, PEER_PORT, APPLIANCE_PORT = 9669, 9670, 9671
LINK_PEER_PORT, LINK_APPLIANCE_PORT = 9680, 9681


@dataclass(frozen=True)
class SiteAddress:
    """Where one site listens, and where the link listens on its behalf for the other site."""

    host: str
    api_port: int = API_PORT
    peer_port: int = PEER_PORT
    appliance_port: int = APPLIANCE_PORT
    link_peer_port: int = LINK_PEER_PORT
    link_appliance_port: int = LINK_APPLIANCE_PORT

    def ports(self) -> tuple[int, ...]:
        """All ports that must be free."""
        return (self.api_port, self.peer_port, self.appliance_port, self.link_peer_port, self.link_appliance_port)


@dataclass(frozen=True)
class LabAddresses:
    """The addresses of a lab. `remark`: a line for people when they are not the usual ones, else empty."""

    north: SiteAddress
    south: SiteAddress
    remark: str = ""


def choose_addresses(
    taken_hosts: Collection[str] = (), is_free: Callable[[str, int], bool] | None = None
) -> LabAddresses:
    """The first pair of addresses that is free. `taken_hosts` belong to other labs, also while these are down.

    Raises Unavailable when no pair is free on any of the ports that are tried.
    """
    free = is_free or port_is_free
    for north, south in _pairs():
        if north in taken_hosts or south in taken_hosts:
            continue
        pair = (SiteAddress(north), SiteAddress(south))
        if _all_free(pair, free):
            usual = north == "127.0.0.1"
            remark = "" if usual else f"127.0.0.1 and 127.0.0.2 are in use; the sites are {north} and {south}."
            return LabAddresses(*pair, remark)
    for shift in PORT_SHIFTS:
        for north, south in _pairs():
            if north in taken_hosts or south in taken_hosts:
                continue
            pair = (_shifted(north, shift), _shifted(south, shift))
            if _all_free(pair, free):
                taken = f"Port {API_PORT} (or one beside it) is taken on all loopback addresses"
                return LabAddresses(*pair, f"{taken}; the sites use {API_PORT + shift}.")
    raise Unavailable(
        f"No pair of loopback addresses has port {API_PORT} and those beside it free, nor any tried instead.",
        "See what listens with: ss -ltnp",
    )


_CLAIMS: dict[str, socket.socket] = {}


def claim_pair(addresses: LabAddresses) -> bool:
    """Keep a pair for this process until it ends; False when another one that starts a lab has it.

    It bridges the time from the choice to the first server that listens, also between users and cache folders: an
    abstract socket, which leaves no file and is gone with its process.
    """
    host = f"{addresses.north.host}:{addresses.north.api_port}"
    if host in _CLAIMS:
        return True
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        claim.bind(f"\0farshore-lab-{host}")
    except OSError as error:
        claim.close()
        if error.errno == errno.EADDRINUSE:
            return False
        raise
    _CLAIMS[host] = claim
    return True


def port_is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now. Raises OSError when the address itself cannot be used."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: what lingers of a connection that has ended does not count, a listener does.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def _pairs() -> Iterator[tuple[str, str]]:
    for number in range(PAIR_COUNT_MAX):
        yield f"127.0.0.{1 + 2 * number}", f"127.0.0.{2 + 2 * number}"


def _shifted(host: str, shift: int) -> SiteAddress:
    return SiteAddress(
        host,
        API_PORT + shift,
        PEER_PORT + shift,
        APPLIANCE_PORT + shift,
        LINK_PEER_PORT + shift,
        LINK_APPLIANCE_PORT + shift,
    )


def _all_free(pair: tuple[SiteAddress, SiteAddress], free: Callable[[str, int], bool]) -> bool:
    return all(free(site.host, port) for site in pair for port in site.ports())
