"""After a commit: the VPG runs here. Its row turns round; VMs that were recovered alone get a VPG of their own."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from farshore.errors import Conflict
from farshore.model.recovery import WayHome
from farshore.model.vpg import Volume, Vpg, VpgVm
from farshore.operations.engine import in_thread, site, stoppable_step
from farshore.operations.steps.recovery_rows import changed, is_whole, recovery_of
from farshore.site.vpgs import VpgRow

_NAMESPACE = uuid.UUID("0e4cf2a5-5d0c-5d43-8f43-1a2d6a3f7c11")
NAME_CHARACTERS_MAX = 255
NAMES_MAX = 1000


@stoppable_step
async def turn_round(vpg_json: dict[str, Any], promoted: dict[str, Any]) -> dict[str, Any]:
    """Does: write what is so now. Gives {"vpg": the one that runs here, "rest": what stays protected, or None}.

    Twice: it is written. Fails: Conflict.
    """
    vpg = Vpg.model_validate(vpg_json)
    new, rest = await in_thread(_write, vpg, promoted["vms"])
    return {"vpg": new.model_dump(mode="json"), "rest": rest.model_dump(mode="json") if rest else None}


def turned(vpg: Vpg, vms: dict[str, Any]) -> Vpg:
    """The VPG of what was recovered, as it is from now on; pure."""
    recovery = recovery_of(vpg)
    new_ids = {vm.source_vm_id: vm.vm_id for vm in recovery.vms}
    here, other = vpg.recovery_site_id, vpg.protected_site_id
    # The old disks' bitmaps and halted processes are only trusted when protection back begins at once (asked for).
    exact = recovery.exact and recovery.reverse_protection
    return changed(
        vpg,
        protected_site_id=here,
        recovery_site_id=other,
        owner_site_id=here,
        vms=tuple(VpgVm(vm_id=vm.vm_id, vm_name=vm.vm_name) for vm in recovery.vms),
        volumes=tuple(
            Volume.model_validate(volume.model_dump() | {"vm_id": new_ids[volume.vm_id]})
            for volume in vpg.volumes
            if volume.vm_id in new_ids
        ),
        recovery=None,
        way_home=WayHome(
            asked=recovery.reverse_protection,
            exact=exact,
            source_vm_ids={vm.vm_id: vm.source_vm_id for vm in recovery.vms},
            instances={vm_id: vm["instance"] for vm_id, vm in vms.items() if vm.get("instance")},
            recovered_checkpoint_ns=recovery.checkpoint_time_ns,
        ),
    )


def split(vpg: Vpg, vms: dict[str, Any], name: str) -> tuple[Vpg, Vpg]:
    """(the recovered VMs' own VPG, what is left of this one), pure."""
    recovery = recovery_of(vpg)
    own = {"id": str(uuid.uuid5(_NAMESPACE, recovery.operation)), "name": name, "epoch": 1, "version": 1}
    whole = turned(vpg, vms)
    assert whole.way_home is not None
    way_home = whole.way_home.model_copy(update={"source_vpg_id": vpg.id})
    new = Vpg.model_validate(whole.model_dump() | own | {"way_home": way_home})
    left = tuple(vm for vm in vpg.vms if vm.vm_id not in recovery.vm_ids)
    volumes = tuple(volume for volume in vpg.volumes if volume.vm_id not in recovery.vm_ids)
    return new, changed(vpg, recovery=None, vms=left, volumes=volumes)


def _write(vpg: Vpg, vms: dict[str, Any]) -> tuple[Vpg, Vpg | None]:
    if is_whole(vpg):
        new = turned(vpg, vms)
        _replace(vpg, new, None)
        return new, None
    new, rest = split(vpg, vms, vpg.name)
    known = site().vpgs.get(new.id)
    if known is None:
        new = new.model_copy(update={"name": _free_name(vpg)})
        _replace(vpg, rest, new)
        return new, rest
    return known.vpg, rest


def _replace(old: Vpg, new: Vpg, also: Vpg | None) -> None:
    row, present = VpgRow(new, "active"), site().vpgs.get(new.id)
    if present is not None and present.rank == row.rank:
        return
    with site().database.transaction() as connection:
        site().vpgs.replace(connection, VpgRow(old, "active"), row)
        if also is not None:
            site().vpgs.insert(connection, VpgRow(also, "active"))


def _free_name(vpg: Vpg) -> str:
    """`NAME (recovered DATE)`, numbered where there is one of that day already [F7]."""
    moment = (recovery_of(vpg).before_commit_ns or 0) / 1e9
    day = datetime.fromtimestamp(moment, UTC).date().isoformat()
    taken = {row.vpg.name for row in site().vpgs.listed()}
    for number in range(1, NAMES_MAX):
        words = f" (recovered {day})" if number == 1 else f" (recovered {day}, {number})"
        name = vpg.name[: NAME_CHARACTERS_MAX - len(words)] + words
        if name not in taken:
            return name
    raise Conflict(f"There are {NAMES_MAX} VPGs named {vpg.name} (recovered {day}).", "Delete some.")
