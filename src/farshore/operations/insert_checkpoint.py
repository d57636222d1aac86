"""A tagged checkpoint. Runs at the site that got the call; cut at the protected site's appliance at once [I22].

The time of the tag is the cut's. If the marker turns out void (a disk had left the stream, or the stream broke before
it was durable), the next good one takes the tag, and the task says so.
"""

from __future__ import annotations

from datetime import UTC, datetime

from farshore.errors import FarshoreError, Fault
from farshore.operations.engine import workflow
from farshore.operations.steps.cut_checkpoint import await_durable, cut_again, cut_checkpoint
from farshore.operations.steps.finish_task import complete_task, fail_task, read_order, show_progress

CUTS_MAX = 20


def _moment(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns / 1e9, UTC).isoformat(timespec="milliseconds")


@workflow("insert_checkpoint")
async def insert_checkpoint(task_id: str) -> None:
    """Cut, wait until it is durable; when void, cut again."""
    _, order = await read_order(task_id)
    vpg, tag = order["vpg"], order["name"]
    try:
        cut = await cut_checkpoint(vpg, tag, task_id)
        words = ""
        for attempt in range(2, CUTS_MAX + 2):
            note = f"Cut at {_moment(cut['time_ns'])}, waiting to be durable at the recovery site. {words}".strip()
            await show_progress(task_id, 50, note)
            found = await await_durable(vpg, cut["marker_id"])
            if "void" not in found:
                break
            words = f"An earlier cut was void ({found['void']}), so a later checkpoint took the tag."
            cut = await cut_again(vpg, tag, f"{task_id}#{attempt}")
        else:
            raise Fault(f"{CUTS_MAX} cuts in a row were void.", "Look at the VPG's state: its disks leave the stream.")
    except FarshoreError as error:
        await fail_task(task_id, str(error))
        return
    await complete_task(task_id, f"Checkpoint {found['id']}, cut at {_moment(cut['time_ns'])}. {words}".strip())
