"""The commit of a move: the VMs are VMs of this site from now on, and the old ones become what was asked for.

With reverse protection the old disks become the replica. Without, the old VMs are deleted, or kept and held from
starting by mistake; nothing is deleted before the new VMs' disks are verified, nor when the other site is silent.
"""

from __future__ import annotations

from typing import Any

from farshore.errors import FarshoreError
from farshore.model.vpg import Vpg
from farshore.operations.commit import make_them_ours, not_committed, verified
from farshore.operations.engine import workflow
from farshore.operations.steps.finish_task import read_order
from farshore.operations.steps.put_away import delete_old_vms, hold_old_vms
from farshore.operations.steps.recovery_rows import recovery_of


@workflow("move_commit")
async def move_commit(task_id: str) -> None:
    """Promote the disks, turn the VPG round, then see to the old VMs [M3, M4]."""
    vpg_id, order = await read_order(task_id)
    recovery = recovery_of(Vpg.model_validate(order["vpg"]))
    try:
        written: dict[str, Any] = await make_them_ours(task_id, order["vpg"])
    except FarshoreError as error:
        await not_committed(task_id, vpg_id, error)
        return
    words = ["The move is committed."]
    if recovery.reverse_protection:
        words.append("Protecting back begins by itself.")
    elif recovery.keep_source_vms:
        words.append(await hold_old_vms(written["vpg"], f"VPG {written['vpg']['name']} was moved away"))
    else:
        words.append(await delete_old_vms(written["vpg"]))
    await verified(task_id, written, " ".join(word for word in words if word))
