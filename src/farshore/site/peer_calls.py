"""What another site's manager may ask of this one, beside orders and tasks (which operations/ answers).

Every call names the calling site by its certificate; it may touch only VPGs that are between it and this site.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from farshore.errors import NotPermitted
from farshore.model.vpg import Vpg
from farshore.site.clock import now_ns
from farshore.site.kinds import note_kind
from farshore.site.pairing import describe, described_peer
from farshore.site.peer_server import Call
from farshore.site.release import release_half
from farshore.site.site import Site
from farshore.site.vpgs import VpgRow, digest

APPLIANCE_CALLS = {
    "protect_vpg",
    "stop_protecting",
    "dismiss_vms",
    "cut_checkpoint",
    "protection_status",
    "journal_status",
    "list_checkpoints",
    "find_marker",
    "definitions_at",
    "keep_vpg",
    "halt_vms",
    "revive_vms",
    "retire_protection",
    "end_vms",
    "hold_vms",
    "release_vms",
    "delete_vms",
}
"""Calls about one VPG that a peer may have this site's appliance carry out.

Which VMs may be named in them is the appliance's to say: those that the VPG protects or protected there.
"""
SPEC_CALLS = {"protect_vpg", "keep_vpg"}
"""Those of them that name the VPG in a spec."""
OPEN_APPLIANCE_CALLS = {"list_vms", "vm_definition", "datastores"}
"""Calls about the inventory, which a paired site may read."""


class PeerCalls:
    """The calls, for the peer server."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def calls(self) -> dict[str, Call]:
        """All calls by name."""
        return {
            "hello": self.hello,
            "leave": self.leave,
            "appliance": self.appliance,
            "put_vpg": self.put_vpg,
            "has_same_rows": self.has_same_rows,
            "exchange_rows": self.exchange_rows,
            "release_vpg": self.release_vpg,
        }

    def _check(self, caller: str, vpg: Vpg) -> None:
        if {caller, self._site.id} != {vpg.protected_site_id, vpg.recovery_site_id}:
            raise NotPermitted(f"VPG {vpg.id} is not between site {caller} and this one.", "")

    async def hello(self, caller: str, arguments: dict[str, Any]) -> dict[str, str]:
        """Somebody is there: take over its name and addresses, and say ours, and what time it is."""
        peer = await asyncio.to_thread(self._site.peers.get, caller)
        told = replace(
            described_peer(arguments | {"site_id": caller}), paired_ns=peer.paired_ns, heard_ns=peer.heard_ns
        )
        if told != peer:
            await asyncio.to_thread(self._site.peers.save, told)
        await asyncio.to_thread(note_kind, self._site, caller, arguments)
        return describe(self._site.config) | {"now_ns": str(now_ns())}

    async def leave(self, caller: str, _arguments: dict[str, Any]) -> None:
        """The other site has unpaired."""
        await self._site.pairing.forget(caller)

    async def appliance(self, caller: str, arguments: dict[str, Any]) -> Any:
        """A call to this site's appliance, about a VPG that is between the two sites."""
        name, rest = str(arguments["call"]), dict(arguments["args"])
        if name in APPLIANCE_CALLS:
            about = dict(rest["spec"]) if name in SPEC_CALLS else rest
            if name in SPEC_CALLS and about["peer_site_id"] != caller:
                raise NotPermitted("A site may only have its own VPGs protected or kept.", "")
            row = await asyncio.to_thread(self._site.vpg, str(about["vpg_id"]))
            self._check(caller, row.vpg)
        elif name == "vpg_statuses":
            shared = await asyncio.to_thread(self._shared_of, caller, rest["vpg_ids"])
            rest = {"vpg_ids": shared, "fresh": bool(rest.get("fresh"))}
        elif name not in OPEN_APPLIANCE_CALLS:
            raise NotPermitted(f"The call {name} is not for other sites.", "")
        return await self._site.appliances.at(self._site.id).call(name, min(float(arguments["seconds"]), 60.0), **rest)

    async def put_vpg(self, caller: str, arguments: dict[str, Any]) -> bool:
        """The other site's row of a VPG; taken when it is of higher rank."""
        row = VpgRow.from_json(arguments["row"])
        self._check(caller, row.vpg)
        return await asyncio.to_thread(self._take, row)

    def _take(self, row: VpgRow) -> bool:
        """Put the row if it is of higher rank; operations of an older epoch end with it [I8]."""
        before = self._site.vpgs.get(row.vpg.id)
        taken = self._site.vpgs.put(row)
        if taken and before is not None and row.vpg.epoch > before.vpg.epoch:
            running = self._site.tasks.changing(row.vpg.id)
            if running is not None and running.runs_at == self._site.id:
                self._site.tasks.fail(running.id, f"It is superseded by epoch {row.vpg.epoch} of the other site.")
        return taken

    async def has_same_rows(self, caller: str, arguments: dict[str, Any]) -> bool:
        """Whether there is nothing to exchange: as it nearly always is."""
        return digest(await asyncio.to_thread(self._shared, caller)) == str(arguments["digest"])

    def _shared_of(self, caller: str, vpg_ids: list[str]) -> list[str]:
        shared = {row.vpg.id for row in self._shared(caller)}
        return [vpg_id for vpg_id in vpg_ids if vpg_id in shared]

    def _shared(self, caller: str) -> list[VpgRow]:
        rows = self._site.vpgs.listed()
        return [row for row in rows if caller in (row.vpg.protected_site_id, row.vpg.recovery_site_id)]

    async def exchange_rows(self, caller: str, arguments: dict[str, Any]) -> list[dict[str, Any]]:
        """Both sites' rows meet: of each VPG the higher rank wins at both."""
        for data in arguments["rows"]:
            row = VpgRow.from_json(data)
            self._check(caller, row.vpg)
            known = await asyncio.to_thread(self._site.vpgs.get, row.vpg.id) is not None
            if known or (row.phase == "active" and row.vpg.owner_site_id == caller):
                await asyncio.to_thread(self._take, row)
        return [row.to_json() for row in await asyncio.to_thread(self._shared, caller)]

    async def release_vpg(self, caller: str, arguments: dict[str, Any]) -> None:
        """The other site is done with a VPG: let go of this site's half."""
        row = await asyncio.to_thread(self._site.vpgs.get, str(arguments["vpg_id"]))
        if row is None:
            return
        self._check(caller, row.vpg)
        if row.vpg.epoch <= int(arguments["epoch"]):  # a higher one: it was protected anew since
            await release_half(self._site, row.vpg)
            await asyncio.to_thread(self._site.vpgs.remove, row.vpg.id)
