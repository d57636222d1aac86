"""Networks of VMs without root, bridges or multicast: a star of unix datagram sockets in one folder, the scope.

Of the interfaces that name the same network in one scope, the first one's QEMU is the middle: it has a hub, with a port
for its own interface and one for each other member. A member that joins later is plugged into a running middle. VMs of
two scopes share no socket, so an isolated test network cannot reach a protected one. (A middle that is paused forwards
nothing: QEMU delivers no packets then.)

The roster of a network, `<digest>.json` in the scope, says which interface has which place: a VM that is started again
gets its old one.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farshore.errors import BadInput
from farshore.hypervisor.block_layer.blockdevs import escaped
from farshore.hypervisor.block_layer.monitor import CommandFailed, Monitor
from farshore.hypervisor.processes import StartRecord
from farshore.model.files import write_durably
from farshore.model.rundir import SOCKET_PATH_BYTES_MAX


@dataclass(frozen=True)
class Member:
    """An interface of a VM."""

    vm_id: str
    nic_id: str


class Network:
    """One network in one scope. `members[0]` is the middle."""

    def __init__(self, scope: Path, name: str) -> None:
        self.scope = scope
        self.digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        self._roster = scope / f"{self.digest}.json"
        longest = self.socket(9999, "m")
        if len(os.fsencode(longest)) > SOCKET_PATH_BYTES_MAX:
            raise BadInput(f"The folder {scope} is too long for sockets.", "Use one in the site's run directory.")

    def members(self) -> list[Member]:
        """All interfaces that ever joined and did not leave."""
        try:
            told: list[list[str]] = json.loads(self._roster.read_text())
        except FileNotFoundError:
            return []
        return [Member(vm_id, nic_id) for vm_id, nic_id in told]

    def join(self, member: Member) -> bool:
        """Give an interface a place; True if it is a new one."""
        members = self.members()
        if member in members:
            return False
        self.scope.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._save([*members, member])
        return True

    def end(self) -> None:
        """Forget the network: none of its VMs runs any more."""
        for place in range(len(self.members())):
            self.socket(place, "m").unlink(missing_ok=True)
            self.socket(place, "c").unlink(missing_ok=True)
            self.socket(place, "s").unlink(missing_ok=True)
        self._roster.unlink(missing_ok=True)

    def socket(self, place: int, end: str) -> Path:
        """The socket of a place: "m" the member's end, "c" the middle's, "s" the member's sink ("n": nobody's)."""
        return self.scope / f"{self.digest}-{place}{end}"

    def port(self, place: int) -> dict[str, Any]:
        """The middle's connection to a member, for `netdev_add`."""
        return {"type": "dgram", "id": f"net-{self.digest}-d{place}", **self._ends(place, "c", "m")}

    def hub_port(self, place: int) -> dict[str, Any]:
        """What puts that connection on the middle's hub."""
        hub = int(self.digest[:6], 16)
        return {
            "type": "hubport",
            "id": f"net-{self.digest}-h{place}",
            "hubid": hub,
            "netdev": f"net-{self.digest}-d{place}",
        }

    def netdevs(self, member: Member) -> list[dict[str, Any]]:
        """What the member's QEMU needs; the first is the interface's own."""
        members = self.members()
        place = members.index(member)
        own = {"type": "hubport", "id": f"nic-{member.nic_id}", "hubid": int(self.digest[:6], 16)}
        if place > 0:
            # A hub of its own, with a sink too: while the middle takes nothing, the guest's sending goes on.
            way = {"type": "dgram", "id": f"net-{self.digest}-d{place}", **self._ends(place, "m", "c")}
            sink = {"type": "dgram", "id": f"net-{self.digest}-d0", **self._ends(place, "s", "n")}
            return [own, way, self.hub_port(place), sink, self.hub_port(0)]
        # Place 0 is a sink that nobody binds: a hub whose only port is the interface's own stops the guest's sending
        # for good (QEMU queues its first packet and never takes it up again).
        places = range(len(members))
        return [own, *(netdev for other in places for netdev in (self.port(other), self.hub_port(other)))]

    def _ends(self, place: int, local: str, remote: str) -> dict[str, Any]:
        return {
            "local": {"type": "unix", "path": str(self.socket(place, local))},
            "remote": {"type": "unix", "path": str(self.socket(place, remote))},
        }

    def _save(self, members: Sequence[Member]) -> None:
        write_durably(self._roster, json.dumps([[member.vm_id, member.nic_id] for member in members]).encode())


def plan(records: Sequence[StartRecord], is_live: Callable[[str], bool]) -> list[tuple[Network, int]]:
    """Give the interfaces of VMs that start together their places.

    The answer: the places that must be plugged into a middle that runs already.
    """
    to_plug: list[tuple[Network, int]] = []
    for record in records:
        for nic in record.definition.nics:
            network = Network(record.network_scope, nic.network)
            if not any(is_live(member.vm_id) for member in network.members()):
                together = {each.definition.id for each in records}
                if not any(member.vm_id in together for member in network.members()):
                    network.end()  # all of an earlier time are gone
            is_new = network.join(Member(record.definition.id, nic.id))
            members = network.members()
            if is_new and len(members) > 1 and is_live(members[0].vm_id):
                to_plug.append((network, len(members) - 1))
    return to_plug


async def plug(network: Network, place: int, monitor_socket: Path) -> None:
    """Plug a new member into the running middle; twice is fine."""
    monitor = Monitor(monitor_socket)
    await monitor.connect()
    try:
        for netdev in (network.port(place), network.hub_port(place)):
            try:
                await monitor.run("netdev_add", netdev)
            except CommandFailed as error:
                if "Duplicate" not in error.words:
                    raise
    finally:
        await monitor.close()


def leave(record: StartRecord, is_live: Callable[[str], bool]) -> None:
    """After a VM's end: forget each of its networks in which nothing runs any more, and the scope when it is empty."""
    for nic in record.definition.nics:
        network = Network(record.network_scope, nic.network)
        if not any(is_live(member.vm_id) for member in network.members()):
            network.end()
    if record.definition.nics and record.network_scope.is_dir() and not any(record.network_scope.iterdir()):
        record.network_scope.rmdir()


def netdev_option(netdev: dict[str, Any]) -> str:
    """A netdev as `-netdev` takes it."""
    return ",".join(_options(netdev, ""))


def _options(told: dict[str, Any], prefix: str) -> list[str]:
    found: list[str] = []
    for key, value in told.items():
        if isinstance(value, dict):
            found += _options(value, f"{prefix}{key}.")
        else:
            found.append(escaped(value) if key == "type" and not prefix else f"{prefix}{key}={escaped(value)}")
    return found


async def plug_all(to_plug: Sequence[tuple[Network, int]], control: Callable[[str], Path]) -> None:
    """Plug all; `control` names the monitor of a VM that is free for short use."""
    await asyncio.gather(*(plug(network, place, control(network.members()[0].vm_id)) for network, place in to_plug))
