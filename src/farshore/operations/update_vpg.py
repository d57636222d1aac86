"""Change a protected VPG: its name, its settings, VMs added or taken out. Runs at the recovery site.

What it is from now on stands in the row already. Both appliances are told; one that is silent is told when it answers,
so settings are never half taken. When one refuses, or VMs that were added are not tapped within a minute, all is as
before: a VM that cannot be protected must not keep the others from being so. The checkpoints that are there stay, with
the VMs that they hold; new ones come when what was added is synced.
"""

from __future__ import annotations

from typing import Any

from farshore.errors import FarshoreError
from farshore.operations.engine import workflow
from farshore.operations.steps.begin_protection import await_protection
from farshore.operations.steps.change_protection import dismiss_vms, tell_appliances
from farshore.operations.steps.finish_task import complete_task, fail_task, read_order, show_progress
from farshore.operations.steps.recovery_rows import change_row

MEMBERS = ("name", "settings", "vms", "volumes")


@workflow("update_vpg")
async def update_vpg(task_id: str) -> None:
    """Tell both appliances, let go of VMs that were taken out, see that those that were added are tapped."""
    _, order = await read_order(task_id)
    vpg: dict[str, Any] = order["vpg"]
    try:
        words = [await tell_appliances(vpg)]
        if order["added"]:
            await show_progress(task_id, 30, "Beginning with the VMs that were added.")
            await await_protection(vpg)
            words.append("The VMs that were added are being synced; new checkpoints come when that is done.")
    except FarshoreError as error:
        await fail_task(task_id, f"{error} {await put_back(vpg, order)}")
        return
    if order["removed"]:
        words.append(await dismiss_vms(vpg, order["removed"]))
        words.append("The VMs that were taken out run on; checkpoints that hold them age out.")
    await complete_task(task_id, " ".join(["The VPG is changed.", *(word for word in words if word)]))


async def put_back(vpg: dict[str, Any], order: dict[str, Any]) -> str:
    """All as before; says how that went."""
    try:
        vpg = await change_row(vpg, {name: order["before"][name] for name in MEMBERS})
        owed = await tell_appliances(vpg)
    except FarshoreError as error:
        return f"The VPG could not be put back as it was: {error}"
    if order["added"]:
        owed = f"{owed} {await dismiss_vms(vpg, order['added'])}"
    return f"The VPG is as before. {owed}".strip()
