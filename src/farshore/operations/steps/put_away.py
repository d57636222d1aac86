"""What becomes of the old VMs at the other site when nobody asked for reverse protection."""

from __future__ import annotations

import contextlib
from typing import Any

from farshore.errors import Conflict, FarshoreError, Unavailable
from farshore.model.vpg import Vpg
from farshore.operations.engine import in_thread, site, step
from farshore.operations.owing import call_or_owe, told_later
from farshore.operations.steps.give_back import tell_row
from farshore.site.debts import Debt
from farshore.site.specs import protect_spec

CALL_SECONDS = 15.0


@step
async def leave_the_stream(rest_json: dict[str, Any]) -> str:
    """Does: after a commit of some VMs, have the protected site protect the others only; owed when it is silent.

    Gives words about what is owed. Twice: it does. Fails: only with the database.
    """
    rest = Vpg.model_validate(rest_json)
    with contextlib.suppress(FarshoreError):  # the rows are compared as soon as the sites hear each other
        await tell_row(rest)
    spec = await in_thread(protect_spec, site(), rest)
    debt = Debt(f"protect {rest.id} {rest.version}", rest.id, rest.protected_site_id, "protect_vpg", {"spec": spec})
    return await _pay([debt])


@step
async def hold_old_vms(vpg_json: dict[str, Any], reason: str) -> str:
    """Does: end the halted old VMs' processes and hold the VMs from being started by mistake.

    Owed when that site is silent. Gives words. Twice: they are held. Fails: only with the database.
    """
    vpg = Vpg.model_validate(vpg_json)
    with contextlib.suppress(FarshoreError):  # the rows are compared as soon as the sites hear each other
        await tell_row(vpg)
    return await _pay(_debts(vpg, ("hold_vms", {"reason": reason})))


@step
async def delete_old_vms(vpg_json: dict[str, Any]) -> str:
    """Does: delete the old VMs and their disks at the other site. Twice: they are gone.

    When that site is silent nothing is deleted, not later either: they are held as soon as it answers, and a person
    deletes them. Gives words. Fails: only with the database.
    """
    vpg = Vpg.model_validate(vpg_json)
    try:
        await tell_row(vpg)
        for debt in _debts(vpg, ("delete_vms", {})):
            await site().appliances.order(debt.site_id, debt.call, within=CALL_SECONDS, **debt.arguments)
    except Unavailable as error:
        reason = f"it was moved away with VPG {vpg.name} and should have been deleted"
        await _pay(_debts(vpg, ("hold_vms", {"reason": reason})))
        return f"The old VMs could not be deleted ({error.fact}): they are held from starting; delete them yourself."
    except FarshoreError as error:
        return f"The old VMs were not deleted: {error}"
    return "The old VMs are deleted."


def _debts(vpg: Vpg, last: tuple[str, dict[str, Any]]) -> list[Debt]:
    """Take the taps off, end the halted processes, and then `last`."""
    assert vpg.way_home is not None
    old = sorted(vpg.way_home.source_vm_ids.values())
    theirs = {"vpg_id": vpg.way_home.source_vpg_id or vpg.id, "vm_ids": old}
    calls: list[tuple[str, dict[str, Any]]] = [
        ("retire_protection", {"vpg_id": vpg.id}),
        ("end_vms", theirs),
        (last[0], theirs | last[1]),
    ]
    there = vpg.recovery_site_id
    return [Debt(f"{name} {vpg.id} {vpg.epoch}", vpg.id, there, name, arguments) for name, arguments in calls]


async def _pay(debts: list[Debt]) -> str:
    """Make the calls; from the first that is not answered on they are owed."""
    for number, debt in enumerate(debts):
        try:
            error = await call_or_owe(debt, CALL_SECONDS, final=(Conflict,))
        except Conflict as refusal:
            return f"At the other site: {refusal}"
        if error is not None:
            for later in debts[number + 1 :]:
                await in_thread(site().debts.owe, later)
            return await told_later(debt, error)
    return ""
