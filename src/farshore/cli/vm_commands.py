"""`farshore vm`: the virtual machines that a site knows."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from farshore.cli.client import SiteClient
from farshore.cli.find import find_peer
from farshore.cli.options import command
from farshore.cli.output import Output
from farshore.cli.plan import Plan

app = typer.Typer(help="Virtual machines.", no_args_is_help=True)


@command(app, "list")
def list_vms(
    api: SiteClient,
    out: Output,
    peer: Annotated[str | None, typer.Option("--peer", help="Those of this paired site instead.")] = None,
) -> None:
    """List the VMs that can be protected, and the VPG of each that is."""
    site_id = find_peer(api, peer)["SiteIdentifier"] if peer else api.get("/localsite")["SiteIdentifier"]
    there: list[dict[str, Any]] = api.get(f"/virtualizationsites/{site_id}/vms")
    vpgs = {vm["VmIdentifier"]: vm.get("VpgName") for vm in api.get("/vms")}
    data = [{**vm, "VpgName": vpgs.get(vm["VmIdentifier"])} for vm in there]
    rows = [(vm["VmName"], vm["VmIdentifier"], vm["VpgName"] or "not protected") for vm in data]
    out.table(data, ("VM", "identifier", "VPG"), rows, empty="No VMs.")


@command(app, "held")
def list_held(api: SiteClient, out: Output) -> None:
    """List the VMs of this site that are held from being started, and why."""
    data: list[dict[str, Any]] = api.get("/heldVms")
    rows = [(vm["VmName"], vm["VmIdentifier"], vm["Reason"], vm["NeededBy"] or "can be released") for vm in data]
    out.table(data, ("VM", "identifier", "held", "needed"), rows, empty="No VM is held.")


@command(app, "release")
def release(
    api: SiteClient,
    out: Output,
    vm: Annotated[str, typer.Argument(help="Name or identifier of a held VM.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; the plan is shown all the same.")] = False,
) -> None:
    """Let a VM be started again that a failover or move has replaced; nothing is started."""
    from farshore.cli.find import pick
    from farshore.cli.plan import agree
    from farshore.errors import Conflict

    found = pick(api.get("/heldVms"), vm, "VmIdentifier", "VmName", "held VM")
    if found["NeededBy"]:
        fact = f"VM {found['VmName']} stays held: {found['NeededBy']}"
        raise Conflict(fact, "Delete the VPG first, or protect it back and move it here.")
    plan = release_plan(found)
    agree(plan, yes=yes, as_json=out.as_json)
    api.post(f"/heldVms/{found['VmIdentifier']}/release")
    out.result({"Plan": plan.to_json(), "Released": found}, f"{found['VmName']} can be started again.")


def release_plan(vm: dict[str, Any]) -> Plan:
    """What a release means, for the VM as the API tells it."""
    lost = (
        "Its disks are as they were when it was replaced, or, where they have been a replica since, at some checkpoint "
        "from later on. What was written at the other site after that is not in them. If the VM that replaced it still "
        "runs there, both would have the same name and addresses once this one is started, and what each of them "
        "writes from then on would be only there."
    )
    then = "Nothing is started. No VPG protects it; protect it anew with farshore vpg create."
    lines = (("why it is held", vm["Reason"]), ("what may be lost", lost), ("then", then))
    return Plan(f"Let VM {vm['VmName']} be started again.", lines)
