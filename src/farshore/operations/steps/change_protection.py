"""A protected VPG's row, carried to its sites' appliances."""

from __future__ import annotations

import contextlib
from typing import Any

from farshore.errors import BadInput, Conflict, FarshoreError, Fault, NotFound, Unsupported
from farshore.model.vpg import Vpg
from farshore.operations.engine import in_thread, site, step
from farshore.operations.owing import call_or_owe, told_later
from farshore.operations.steps.give_back import tell_row
from farshore.site.debts import Debt
from farshore.site.specs import keep_spec, protect_spec

CALL_SECONDS = 15.0
AWAY_SECONDS = 1.0
"""How long a site is asked that has not been heard for a while."""
REFUSALS = (NotFound, BadInput, Conflict, Unsupported, Fault)
"""Answers of an appliance that does not do it; silence (Unavailable) is none."""


@step
async def tell_appliances(vpg_json: dict[str, Any]) -> str:
    """Does: have the journal kept and the VMs protected as the row says; owed when an appliance is silent.

    Gives words about what is owed. Twice: they do. Fails: NotFound, BadInput, Conflict as an appliance refuses it.
    """
    vpg = Vpg.model_validate(vpg_json)
    with contextlib.suppress(FarshoreError):  # the rows are compared as soon as the sites hear each other
        await tell_row(vpg)
    protect = await in_thread(protect_spec, site(), vpg)
    return " ".join(
        word
        for word in (
            await _told(vpg, vpg.recovery_site_id, "keep_vpg", {"spec": keep_spec(vpg)}),
            await _told(vpg, vpg.protected_site_id, "protect_vpg", {"spec": protect}),
        )
        if word
    )


@step
async def dismiss_vms(vpg_json: dict[str, Any], vm_ids: list[str]) -> str:
    """Does: have the protected site's appliance forget VMs that are not the VPG's any more; owed when it is silent.

    Gives words. Twice: they are forgotten. Fails: only with the database.
    """
    vpg = Vpg.model_validate(vpg_json)
    try:
        return await _told(vpg, vpg.protected_site_id, "dismiss_vms", {"vpg_id": vpg.id, "vm_ids": vm_ids})
    except FarshoreError as error:
        return f"The bitmaps of VMs that were taken out may still be there: {error}"


async def _told(vpg: Vpg, site_id: str, call: str, arguments: dict[str, Any]) -> str:
    """Make the call, or owe it, in the place of what was owed of that kind before; gives words then.

    Raises what the appliance refuses it with.
    """
    await in_thread(_forget_debts, vpg.id, call)
    near = site_id == site().id or site().peers.connected(site_id)
    debt = Debt(f"{call} {vpg.id} {vpg.epoch}.{vpg.version}", vpg.id, site_id, call, arguments)
    error = await call_or_owe(debt, CALL_SECONDS if near else AWAY_SECONDS, final=REFUSALS)
    return await told_later(debt, error) if error else ""


def _forget_debts(vpg_id: str, call: str) -> None:
    with site().database.transaction() as connection:
        site().debts.forget(connection, vpg_id, call)
