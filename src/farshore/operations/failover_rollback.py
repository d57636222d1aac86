"""The rollback of a failover: recovered VMs and their writes go; the protected VMs run and are protected as before.

Protection goes on with what changed meanwhile; nothing is copied whole. What the other site must do and cannot now, it
does when it answers.
"""

from __future__ import annotations

from typing import Any

from farshore.errors import FarshoreError
from farshore.model.vpg import Vpg
from farshore.operations.engine import workflow
from farshore.operations.steps.finish_task import complete_task, fail_task, read_order
from farshore.operations.steps.give_back import give_back
from farshore.operations.steps.recovery_rows import is_whole, leave_to_a_person


@workflow("failover_rollback")
async def failover_rollback(task_id: str) -> None:
    """Remove what was recovered, raise the epoch (not for some VMs only), let the old VMs run, protect."""
    vpg_id, order = await read_order(task_id)
    vpg: dict[str, Any] = order["vpg"]
    try:
        words = await give_back(vpg, raised=is_whole(Vpg.model_validate(vpg)), keep=bool(order.get("keep")))
    except FarshoreError as error:
        await leave_to_a_person(vpg_id, f"It could not be rolled back: {error}")
        await fail_task(task_id, str(error))
        return
    await complete_task(task_id, f"The failover is rolled back. {words}".strip())
