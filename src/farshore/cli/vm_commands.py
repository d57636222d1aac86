"""`farshore vm`: the virtual machines that a site knows."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from farshore.cli.client import SiteClient
from farshore.cli.find import find_peer
from farshore.cli.options import command
from farshore.cli.output import Output

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
