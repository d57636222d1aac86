"""Creates a VPG as the API wants it: a settings object, filled, then committed."""

from __future__ import annotations

from typing import Any

from farshore.cli.client import SiteClient, task_id_of
from farshore.cli.find import find_peer, find_vm
from farshore.errors import BadInput


def create_vpg(
    api: SiteClient,
    name: str,
    vms: list[str],
    *,
    to: str | None = None,
    interval_seconds: float = 5.0,
    history_hours: int = 1,
    rpo_seconds: int = 300,
) -> str:
    """Order a VPG over `vms` (names or identifiers) of the site of `api`; the task's identifier.

    Raises NotFound for a VM or site that is not there, BadInput, Conflict as the site says.
    """
    if not vms:
        raise BadInput("A VPG needs a VM.", "Name at least one with --vm.")
    here = api.get("/localsite")["SiteIdentifier"]
    recovery = find_peer(api, to)["SiteIdentifier"]
    vm_ids = [find_vm(api, here, wanted)["VmIdentifier"] for wanted in vms]
    body: dict[str, Any] = {
        "Basic": {
            "Name": name,
            "ProtectedSiteIdentifier": here,
            "RecoverySiteIdentifier": recovery,
            "RpoInSeconds": rpo_seconds,
            "JournalHistoryInHours": history_hours,
            "CheckpointIntervalInSeconds": interval_seconds,
        },
        "Vms": [{"VmIdentifier": vm_id} for vm_id in dict.fromkeys(vm_ids)],
    }
    settings_id = api.post("/vpgSettings", body)
    if not isinstance(settings_id, str):
        raise BadInput(f"The site answered with no settings object: {settings_id!r}.", "")
    return task_id_of(api.post(f"/vpgSettings/{settings_id}/commit"))
