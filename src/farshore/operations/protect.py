"""Create a VPG: protect VMs of one site at the other. Runs at the recovery site, which owns the VPG.

The task completes when the VMs' writes are tapped and the initial sync has begun; the VPG shows the sync itself.
"""

from __future__ import annotations

from typing import Any

from farshore.errors import FarshoreError
from farshore.operations.engine import workflow
from farshore.operations.steps.begin_protection import await_protection, begin_protection
from farshore.operations.steps.finish_task import complete_task, fail_task, read_order, show_progress
from farshore.operations.steps.keep_journal import keep_journal
from farshore.operations.steps.record_vpg import record_vpg, release_at_peer, release_here, release_row, tell_peer
from farshore.operations.steps.validate_vms import validate_vms


@workflow("protect")
async def protect(task_id: str) -> None:
    """Validate, keep a journal, tell the protected site, begin there, write both rows; undone whole on failure."""
    vpg_id, order = await read_order(task_id)
    vpg: dict[str, Any] = order["vpg"]
    try:
        vpg = await validate_vms(vpg_id)
        vpg = await record_vpg(vpg, "creating", 2)
        await show_progress(task_id, 20, "Keeping a journal at the recovery site.")
        await keep_journal(vpg)
        await tell_peer(vpg, "creating")
        await show_progress(task_id, 50, "Beginning at the protected site.")
        await begin_protection(vpg)
        await await_protection(vpg)
        vpg = await record_vpg(vpg, "active", 3)
        await tell_peer(vpg, "active")
    except FarshoreError as error:
        await fail_task(task_id, f"{error} {await undo(vpg)}".strip())
        return
    await complete_task(task_id, "The VMs are being protected; the initial sync has begun.")


async def undo(vpg: dict[str, Any]) -> str:
    """Take back whatever was done, at both sites; says what could not be, which is taken back when it can be."""
    words = "Nothing is left of it."
    try:
        await release_here(vpg)
    except FarshoreError as error:
        words = f"The journal could not be removed yet: {error}"
    await release_row(vpg)
    try:
        await release_at_peer(vpg)
    except FarshoreError as error:
        words = f"The protected site could not be told to forget it yet, and is told as soon as it answers: {error}"
    return words
