"""Protecting back: the VPG runs here since a commit; from now on the other site is its recovery site.

The other site's old disks become its replica: they are not touched before the first checkpoint after the sync is
durable, and until then they are listed as the checkpoint "before the failover". Nothing of this is done to a VM that
runs there: then a person decides which one counts. The operation ends when the sync has begun; ownership goes over by
itself at its first checkpoint (manager/row_keeping.py).
"""

from __future__ import annotations

from typing import Any

from farshore.errors import FarshoreError
from farshore.model.vpg import Vpg
from farshore.operations.engine import workflow
from farshore.operations.steps.begin_protection import await_protection
from farshore.operations.steps.finish_task import complete_task, fail_task, read_order, show_progress
from farshore.operations.steps.hand_over import (
    begin_back,
    hold_old_disks,
    keep_there,
    look_at_old_disks,
    retire_there,
    way_home_of,
)
from farshore.operations.steps.record_vpg import tell_peer
from farshore.operations.steps.recovery_rows import change_row


@workflow("reverse_protection")
async def reverse_protection(task_id: str) -> None:
    """Tell the other site, look at its old VMs, hold them, keep a journal on their disks, protect to there."""
    _, order = await read_order(task_id)
    vpg: dict[str, Any] = order["vpg"]
    try:
        await tell_peer(vpg, "active")
        await retire_there(task_id, vpg)
        found: dict[str, Any] = await look_at_old_disks(task_id, vpg)
        if not found["exact"]:  # before they are held: only disks that were never let go of are exact
            vpg = await change_row(vpg, {"way_home": changed_way(vpg, exact=False)})
        await hold_old_disks(task_id, vpg, found["old"])
        await show_progress(task_id, 40, "The other site makes its journal.")
        journal_id = await keep_there(task_id, vpg, found["seeds"])
        await begin_back(task_id, vpg, found, journal_id)
        await await_protection(vpg)
        vpg = await change_row(vpg, {"way_home": changed_way(vpg, began=True, seeds=found["seeds"])})
    except FarshoreError as error:
        await fail_task(task_id, str(error))
        return
    try:
        await tell_peer(vpg, "active")
    except FarshoreError:
        await show_progress(task_id, 90, "The other site gets the row when it answers.")
    await complete_task(task_id, words(found))


def changed_way(vpg: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The way home with these members changed."""
    return way_home_of(Vpg.model_validate(vpg)).model_dump(mode="json") | changes


def words(found: dict[str, Any]) -> str:
    """How the sync goes, and why."""
    if found["exact"]:
        return "Protected back: only what was written since the recovery is sent."
    if found["seeds"]:
        return "Protected back: the old disks may differ anywhere, so they are compared by hashes."
    return f"Protected back with an initial sync, since {found['why']}."
