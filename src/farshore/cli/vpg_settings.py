"""Creates a VPG as the API wants it: a settings object, filled, then committed."""

from __future__ import annotations

from typing import Any

from farshore.cli.client import SiteClient, task_id_of
from farshore.cli.find import find_peer, find_vm, pick
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
    scripting: dict[str, Any] | None = None,
) -> str:
    """Order a VPG over `vms` (names or identifiers) of the site of `api`; the task's identifier.

    `scripting` is the settings object's member of that name, as the API takes it.

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
        "Scripting": scripting or {},
        "Vms": [{"VmIdentifier": vm_id} for vm_id in dict.fromkeys(vm_ids)],
    }
    settings_id = api.post("/vpgSettings", body)
    if not isinstance(settings_id, str):
        raise BadInput(f"The site answered with no settings object: {settings_id!r}.", "")
    return task_id_of(api.post(f"/vpgSettings/{settings_id}/commit"))


def change_vpg(
    api: SiteClient,
    vpg: dict[str, Any],
    basic: dict[str, Any],
    add: list[str],
    remove: list[str],
    scripting: dict[str, dict[str, Any]],
) -> str:
    """Order a VPG changed: members of its settings' Basic, VMs (names or identifiers) to add and to take out.

    `scripting` has members to change, by script.

    Gives the task's identifier. Raises NotFound for a VM that is not there, BadInput, Conflict as the site says.
    """
    settings_id = api.post("/vpgSettings", {"VpgIdentifier": vpg["VpgIdentifier"]})
    whole: dict[str, Any] = api.get(f"/vpgSettings/{settings_id}")
    protected = whole["Basic"]["ProtectedSiteIdentifier"]
    present = [vm["VmIdentifier"] for vm in whole["Vms"]]
    come = [find_vm(api, protected, wanted)["VmIdentifier"] for wanted in add]
    members = [vm for vm in api.get("/vms", vpgName=vpg["VpgName"]) if vm["VmIdentifier"] in present]
    go = [pick(members, wanted, "VmIdentifier", "VmName", "VM of the VPG")["VmIdentifier"] for wanted in remove]
    stay = [vm_id for vm_id in dict.fromkeys([*present, *come]) if vm_id not in go]
    whole["Basic"] |= basic
    whole["Scripting"] = {when: script | scripting.get(when, {}) for when, script in whole["Scripting"].items()}
    whole["Vms"] = [vm for vm in whole["Vms"] if vm["VmIdentifier"] in stay]
    whole["Vms"] += [{"VmIdentifier": vm_id} for vm_id in stay if vm_id not in present]
    api.put(f"/vpgSettings/{settings_id}", whole)
    return task_id_of(api.post(f"/vpgSettings/{settings_id}/commit"))
