"""The protected VMs before a failover or move: halted, their last writes made a checkpoint; or let run again."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from farshore.errors import Conflict, FarshoreError, Fault, Unavailable
from farshore.model.vpg import Vpg
from farshore.operations.engine import in_thread, site, step, stoppable_step
from farshore.operations.owing import call_or_owe
from farshore.site.debts import Debt

REACH_SECONDS = 30.0
"""How long the protected site may not answer before that counts as away: longer than its manager takes to be back."""
REVIVE_SECONDS = 10.0
"""How long a rollback waits for it; then that is owed."""
ASK_SECONDS_MAX = 1.0
FORCED_SECONDS = 30.0
LAST_SECONDS = 300.0
"""How long the last checkpoint may take to be cut and to be durable at the recovery site."""
CUTS_MAX = 20
POLL_SECONDS = 0.25


@stoppable_step
async def halt_vms(
    vpg_json: dict[str, Any], vm_ids: list[str], operation: str, seconds: float, then_force: bool
) -> dict[str, str]:
    """Does: ask the guests to shut down, again and again for `seconds`, then force them if that may be.

    Gives "halted" or "off" by VM. Twice: those that are halted stay so.
    Fails: Conflict (one does not shut down), Unavailable (its site is away), Fault.
    """
    vpg = Vpg.model_validate(vpg_json)
    call = {"vpg_id": vpg.id, "vm_ids": vm_ids, "operation": operation}
    begun, pause = time.monotonic(), 0.3
    while True:
        spent = time.monotonic() - begun
        force = then_force and spent >= seconds
        states = await _halt(vpg, call | {"force": force})
        running = [vm.vm_name for vm in vpg.vms if states.get(vm.vm_id) == "running"]
        if not running:
            return states
        if not then_force and spent >= seconds:
            fact = f"{', '.join(running)} did not shut down within {seconds:g} s."
            raise Conflict(fact, "Shut it down yourself, or choose ForceShutdown (2).")
        if spent >= seconds + FORCED_SECONDS:
            raise Fault(f"{', '.join(running)} could not be halted by force.", "Look at the protected site.")
        left = seconds - spent if spent < seconds else pause
        await asyncio.sleep(max(0.05, min(pause, left)))
        pause = min(2 * pause, ASK_SECONDS_MAX)


async def _halt(vpg: Vpg, call: dict[str, Any]) -> dict[str, str]:
    try:
        states: dict[str, str] = await site().appliances.order(
            vpg.protected_site_id, "halt_vms", within=REACH_SECONDS, **call
        )
    except Unavailable as error:
        where = await in_thread(site().site_name, vpg.protected_site_id)
        fact = f"Site {where} cannot be reached to shut down its VMs: {error.fact}"
        raise Unavailable(fact, "Choose shutdown policy None (0): then nothing is asked of that site.") from error
    return states


@stoppable_step
async def cut_last_checkpoint(vpg_json: dict[str, Any], tag: str, operation: str) -> dict[str, Any]:
    """Does: cut a checkpoint of the halted VMs and wait until it is durable; gives it. Twice: the same one.

    Fails: Unavailable, Conflict after the bound, Fault.
    """
    vpg = Vpg.model_validate(vpg_json)
    deadline = time.monotonic() + LAST_SECONDS
    for cut in range(1, CUTS_MAX + 1):
        call = {"vpg_id": vpg.id, "tag": tag, "task": f"{operation}#{cut}"}
        marker = await _until(deadline, vpg.protected_site_id, "cut_checkpoint", call)
        find = {"vpg_id": vpg.id, "marker_id": marker["marker_id"]}
        found = await _until(deadline, vpg.recovery_site_id, "find_marker", find)
        if "void" not in found:
            return {"id": str(found["id"]), "time_ns": found.get("time_ns", marker["time_ns"])}
    raise Fault(f"{CUTS_MAX} cuts in a row were void.", "Look at the VPG's state: its disks leave the stream.")


async def _until(deadline: float, site_id: str, name: str, call: dict[str, Any]) -> dict[str, Any]:
    """Ask until there is an answer. Raises what stood in the way at last."""
    last: FarshoreError = Unavailable("The last checkpoint did not become durable in time.", "Look at the link.")
    while time.monotonic() < deadline:
        try:
            found: dict[str, Any] | None = await site().appliances.order(site_id, name, within=REACH_SECONDS, **call)
        except Conflict as error:
            last = error
        else:
            if found is not None:
                return found
        await asyncio.sleep(POLL_SECONDS)
    raise last


@step
async def revive_vms(vpg_json: dict[str, Any], operation: str) -> str:
    """Does: let run again what the operation halted; while its site does not answer that is owed.

    Gives words about what is owed. Twice: they run. Fails: only with the database.
    """
    vpg = Vpg.model_validate(vpg_json)
    call = {"vpg_id": vpg.id, "operation": operation}
    debt = Debt(f"revive {operation}", vpg.id, vpg.protected_site_id, "revive_vms", call)
    error = await call_or_owe(debt, REVIVE_SECONDS)
    return f"VMs that were shut down run again when their site answers ({error.fact})." if error else ""
