"""Protecting back: the other site becomes the recovery site, on its old disks."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from farshore.errors import Conflict, FarshoreError, NotFound, Unavailable
from farshore.model.appliance_specs import JournalSeed
from farshore.model.recovery import Seed, WayHome
from farshore.model.vpg import Vpg
from farshore.operations.engine import in_thread, site, stoppable_step
from farshore.site.clock import now_ns
from farshore.site.specs import keep_spec, protect_spec

SEED_TAG = "before the failover"
HELD = "its disks are the replica of VPG"
JOURNAL_SECONDS = 60.0
POLL_SECONDS = 0.3


def way_home_of(vpg: Vpg) -> WayHome:
    """What protecting back begins from. Raises Conflict."""
    if vpg.way_home is None:
        raise Conflict(f"The VPG {vpg.name} is protected already.", "Look at its state.")
    return vpg.way_home


@stoppable_step
async def retire_there(vpg_json: dict[str, Any]) -> None:
    """Does: the other site protects the VPG no longer; its bitmaps stay. Twice: it does not. Fails: Unavailable."""
    vpg = Vpg.model_validate(vpg_json)
    await site().appliances.order(vpg.recovery_site_id, "retire_protection", vpg_id=vpg.id)


@stoppable_step
async def look_at_old_disks(vpg_json: dict[str, Any]) -> dict[str, Any]:
    """Does: look at the old VMs; gives {"old": VMs that are there, "seeds", "exact", "why"}. Twice: looks again.

    Fails: Conflict when one runs: then a person decides. Unavailable.
    """
    vpg = Vpg.model_validate(vpg_json)
    there, way_home = vpg.recovery_site_id, way_home_of(vpg)
    listed = {vm["vm_id"]: vm for vm in await site().appliances.order(there, "list_vms")}
    old = [vm_id for vm_id in way_home.source_vm_ids.values() if vm_id in listed]
    running = [listed[vm_id]["name"] for vm_id in old if listed[vm_id]["power"] not in ("off", "halted")]
    if running:
        where = await in_thread(site().site_name, there)
        fact = f"VM {', '.join(running)} runs at site {where} as well; protecting back would write over its disks."
        raise Conflict(fact, f"Decide which one counts. To give up that one power it off at {where}, and ask again.")
    definitions = {vm_id: await site().appliances.order(there, "vm_definition", vm_id=vm_id) for vm_id in old}
    seeds, why = find_seeds(vpg, definitions)
    halted = all(listed[vm]["power"] == "halted" or HELD in (listed[vm].get("problem") or "") for vm in old)
    exact = way_home.exact and halted and bool(seeds)
    exact = exact and {vm.vm_id for vm in vpg.vms} <= set(way_home.instances)
    return {"old": old, "seeds": [seed.model_dump() for seed in seeds], "exact": exact, "why": why}


def find_seeds(vpg: Vpg, definitions: dict[str, Any]) -> tuple[list[Seed], str]:
    """The old disk of every volume, or none and why: one that is missing, of another size or no raw file. Pure."""
    seeds = []
    for volume in vpg.volumes:
        old = way_home_of(vpg).source_vm_ids.get(volume.vm_id, "")
        disks = {disk["id"]: disk for disk in definitions.get(old, {}).get("disks", [])}
        disk = disks.get(volume.disk_id)
        if disk is None:
            return [], f"there is no old disk {volume.disk_id} of VM {old}"
        if disk.get("format", "raw") != "raw":
            return [], f"the old disk {disk['path']} is {disk['format']}, and only raw ones can be a replica"
        if disk["size_bytes"] != volume.size_bytes:
            return [], f"the old disk {disk['path']} has another size"
        seeds.append(Seed(number=volume.number, vm_id=old, path=disk["path"]))
    return seeds, ""


@stoppable_step
async def hold_old_disks(vpg_json: dict[str, Any], old: list[str]) -> None:
    """Does: end the old VMs' halted processes and hold the VMs from starting: their disks become the replica.

    Twice: they are held. Fails: Conflict when one runs, Unavailable.
    """
    vpg = Vpg.model_validate(vpg_json)
    if not old:
        return
    there, reason = vpg.recovery_site_id, f"{HELD} {vpg.name}"
    protected_by = way_home_of(vpg).source_vpg_id or vpg.id
    await site().appliances.order(there, "end_vms", vpg_id=protected_by, vm_ids=old)
    await site().appliances.order(there, "hold_vms", vpg_id=protected_by, vm_ids=old, reason=reason)


@stoppable_step
async def keep_there(vpg_json: dict[str, Any], seeds: list[dict[str, Any]]) -> str:
    """Does: have the other site keep a journal, on the old disks if they serve; gives its identifier.

    Twice: it keeps it. Fails: Unavailable, BadInput, Conflict.
    """
    vpg = Vpg.model_validate(vpg_json)
    there = vpg.recovery_site_id
    seed = await _seed(vpg, [Seed.model_validate(s) for s in seeds]) if seeds else None
    await site().appliances.order(there, "keep_vpg", spec=keep_spec(vpg, seed))
    deadline = time.monotonic() + JOURNAL_SECONDS
    while True:
        try:
            status = await site().appliances.order(there, "journal_status", vpg_id=vpg.id)
            if status.get("journal_id"):
                return str(status["journal_id"])
            last: FarshoreError = Unavailable("The journal does not say its identifier.")
        except (Unavailable, NotFound) as error:
            last = error
        if time.monotonic() > deadline:
            raise last
        await asyncio.sleep(POLL_SECONDS)


async def _seed(vpg: Vpg, seeds: list[Seed]) -> JournalSeed:
    own = {vm.vm_id: await site().appliances.order(site().id, "vm_definition", vm_id=vm.vm_id) for vm in vpg.vms}
    return JournalSeed(
        bases={seed.number: seed.path for seed in seeds},
        definitions=own,
        time_ns=way_home_of(vpg).recovered_checkpoint_ns or now_ns(),
        tag=SEED_TAG,
    )


@stoppable_step
async def begin_back(vpg_json: dict[str, Any], found: dict[str, Any], journal_id: str) -> None:
    """Does: tap the VMs here and send to the other site. Twice: it does already. Fails: Unavailable, Conflict.

    By bitmap when the old disks are exactly what was recovered, else by hashes; whole when they do not serve.
    """
    vpg = Vpg.model_validate(vpg_json)
    synced = dict(way_home_of(vpg).instances) if found["exact"] else {}
    spec = await in_thread(
        protect_spec,
        site(),
        vpg,
        delta=bool(found["seeds"]) and not found["exact"],
        synced=synced,
        journal_id=journal_id if found["exact"] else "",
    )
    await site().appliances.order(vpg.protected_site_id, "protect_vpg", spec=spec)
