"""The steps that keep a VPG's recovery volumes: copied while it is protected, made known before it goes."""

from __future__ import annotations

from typing import Any

from farshore.operations.engine import site, step, stoppable_step
from farshore.operations.steps.copy_clone import do_or_owe, follow_copy

FINISH_SECONDS = 60.0
LAST_PERCENT = 45


@stoppable_step
async def begin_keep(vpg: dict[str, Any], operation: str, checkpoint: dict[str, Any]) -> None:
    """Does: begin to copy the VPG's volumes that the checkpoint holds. Twice: it goes on.

    Fails: Unavailable, NotFound.
    """
    held = checkpoint.get("volumes")
    names = {vm["vm_id"]: vm["vm_name"] for vm in vpg["vms"]}
    volumes = [
        {
            "number": volume["number"],
            "vm_id": volume["vm_id"],
            "vm_name": names.get(volume["vm_id"], volume["vm_id"]),
            "disk_id": volume["disk_id"],
        }
        for volume in vpg["volumes"]
        if held is None or volume["number"] in held
    ]
    call: dict[str, Any] = {"vpg_id": vpg["id"], "vpg_name": vpg["name"], "operation": operation}
    await site().appliances.order(site().id, "begin_keep", **call, checkpoint=checkpoint, volumes=volumes)


@stoppable_step
async def await_kept(operation: str, task_id: str) -> None:
    """Does: wait until all is copied, showing how far it is. Twice: looks again.

    Fails: Fault with the appliance's reason, Unavailable when it gets no further, NotFound.
    """
    await follow_copy("keep_status", operation, task_id, LAST_PERCENT)


@step
async def finish_keep(operation: str) -> str:
    """Does: make the kept volumes known and unpin their checkpoint; gives words. Twice: they are.

    Fails: Unavailable, Conflict, NotFound, Fault.
    """
    kept = await site().appliances.order(site().id, "finish_keep", within=FINISH_SECONDS, operation=operation)
    count = len(kept["volumes"])
    return (
        f"Its recovery volumes are kept as {kept['identifier']}: {count} as of checkpoint {kept['checkpoint_id']} "
        f"of {kept['checkpoint_time']}, in {kept['folder']}."
    )


@step
async def drop_keep(vpg_id: str, operation: str) -> str:
    """Does: remove the copies and the pin; words when that is owed. Twice: they are gone.

    Fails: only with the database.
    """
    return await do_or_owe("drop_keep", {"vpg_id": vpg_id, "operation": operation})
