"""`farshore volumes`: recovery volumes that were kept when their VPG was deleted."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from farshore.cli.client import SiteClient
from farshore.cli.options import command
from farshore.cli.output import Output

app = typer.Typer(help="Recovery volumes that were kept when their VPG was deleted.", no_args_is_help=True)


@command(app, "list")
def list_volumes(api: SiteClient, out: Output) -> None:
    """List the kept volumes of this site: raw disk files, each set as of one checkpoint."""
    from farshore.cli.output import size_text

    found: list[dict[str, Any]] = api.get("/keptVolumes")
    rows = [
        (
            one["KeptVolumesIdentifier"],
            one["VpgName"],
            one["CheckpointTimeStamp"],
            volume["VmName"],
            volume["VolumeIdentifier"],
            size_text(volume["SizeInBytes"]),
            volume["Path"],
        )
        for one in found
        for volume in one["Volumes"]
    ]
    out.table(found, ("identifier", "VPG", "as of", "VM", "disk", "size", "file"), rows, empty="Nothing is kept.")


@command(app, "remove")
def remove_volumes(
    api: SiteClient,
    out: Output,
    identifier: Annotated[str, typer.Argument(metavar="ID", help="What `farshore volumes list` shows.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; the plan is shown all the same.")] = False,
) -> None:
    """Remove kept volumes for good."""
    from farshore.cli.plan import Plan, agree
    from farshore.errors import NotFound

    found = next((one for one in api.get("/keptVolumes") if one["KeptVolumesIdentifier"] == identifier.lower()), None)
    if found is None:
        raise NotFound(f"No volumes are kept as {identifier}.", "List them with: farshore volumes list")
    names = ", ".join(dict.fromkeys(volume["VmName"] for volume in found["Volumes"]))
    plan = Plan(
        f"Remove the kept volumes of VPG {found['VpgName']}.",
        (("lost", f"the disks of {names} as of {found['CheckpointTimeStamp']}"), ("folder", found["Folder"])),
    )
    agree(plan, yes=yes, as_json=out.as_json)
    api.delete(f"/keptVolumes/{found['KeptVolumesIdentifier']}")
    out.result({"Plan": plan.to_json(), "Identifier": identifier}, f"{identifier} is removed.")
