"""The commit of a failover: the recovered VMs are VMs of this site from now on; there is no way back.

Asked-for reverse protection is no part of it: it begins by itself as soon as the other site answers.
"""

from __future__ import annotations

from typing import Any

from farshore.errors import FarshoreError
from farshore.model.vpg import Vpg
from farshore.operations.commit import make_them_ours, not_committed, verified
from farshore.operations.engine import workflow
from farshore.operations.steps.finish_task import read_order
from farshore.operations.steps.put_away import hold_old_vms
from farshore.operations.steps.recovery_rows import recovery_of


@workflow("failover_commit")
async def failover_commit(task_id: str) -> None:
    """Promote the disks, turn the VPG round; old VMs that were shut down for it are held from starting."""
    vpg_id, order = await read_order(task_id)
    recovery = recovery_of(Vpg.model_validate(order["vpg"]))
    try:
        written: dict[str, Any] = await make_them_ours(task_id, order["vpg"])
    except FarshoreError as error:
        await not_committed(task_id, vpg_id, error)
        return
    words = ["The failover is committed.", written.get("words", "")]
    if recovery.reverse_protection:
        words.append("Protecting back begins by itself.")
    elif recovery.halted:
        words.append(await hold_old_vms(written["vpg"], f"VPG {written['vpg']['name']} was failed over"))
    await verified(task_id, written, " ".join(word for word in words if word))
