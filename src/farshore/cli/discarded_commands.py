"""`farshore discarded`: what a rollback by itself discarded while the other site was away, for as long as it is kept.

By way of the site's files: no manager need be alive.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from farshore.cli.options import command
from farshore.cli.output import Output

app = typer.Typer(help="What an automatic rollback discarded, for as long as it is kept.", no_args_is_help=True)

Folder = Annotated[Path, typer.Option("--dir", help="The site's folder.")]
Identifier = Annotated[str, typer.Argument(metavar="ID", help="What `farshore discarded list` shows.")]


@command(app, "list")
def list_discarded(out: Output, folder: Folder) -> None:
    """List what is kept of VMs that a commit policy rolled back while the other site was away."""
    from farshore.appliance.discarded_record import kept
    from farshore.cli.output import time_text
    from farshore.cli.recovery_words import duration_text
    from farshore.model.site import SiteConfig

    SiteConfig.load(folder)
    found = kept(folder)
    data = [
        {
            "Identifier": record.operation,
            "VpgIdentifier": record.vpg_id,
            "VpgName": record.vpg_name,
            "CheckpointIdentifier": record.checkpoint_id,
            "Discarded": time_text(record.discarded_ns),
            "SecondsLeft": int(record.seconds_left),
            "Disks": [
                {"VmName": disk.vm_name, "Disk": disk.disk_id, "SizeInBytes": disk.size_bytes} for disk in record.disks
            ],
        }
        for record in found
    ]
    rows = [
        (
            record.operation,
            record.vpg_name,
            ", ".join(dict.fromkeys(disk.vm_name for disk in record.disks)),
            time_text(record.discarded_ns),
            duration_text(record.seconds_left),
        )
        for record in found
    ]
    out.table(data, ("identifier", "VPG", "VMs", "discarded", "kept for"), rows, empty="Nothing is kept.")


@command(app, "save")
def save_discarded(
    out: Output,
    folder: Folder,
    identifier: Identifier,
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="Where to; it is made.")],
) -> None:
    """Write the disks of the VMs as they were when they were rolled back, as plain raw files."""
    from farshore.cli.account_files import record_on_host
    from farshore.cli.discarded_save import save
    from farshore.model.site import SiteConfig

    SiteConfig.load(folder)
    files = [str(path) for path in save(folder, identifier, to)]
    record_on_host(folder, f"discarded save {identifier}")
    out.result({"Identifier": identifier, "Files": files}, "\n".join(["Written:", *files]))


@command(app, "remove")
def remove_discarded(
    out: Output,
    folder: Folder,
    identifier: Identifier,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; the plan is shown all the same.")] = False,
) -> None:
    """Let what is kept go now; the site's appliance removes it within seconds."""
    from farshore.appliance.discarded_record import demand
    from farshore.cli.account_files import record_on_host
    from farshore.cli.plan import Plan, agree
    from farshore.model.site import SiteConfig

    SiteConfig.load(folder)
    place, record = demand(folder, identifier)
    names = ", ".join(dict.fromkeys(disk.vm_name for disk in record.disks))
    plan = Plan(
        f"Remove what was discarded of VPG {record.vpg_name}.",
        (
            ("lost", f"what {names} wrote between the failover or move and its rollback"),
            ("then", "the journal may grow older than its checkpoint again"),
        ),
    )
    agree(plan, yes=yes, as_json=out.as_json)
    place.ask_away()
    record_on_host(folder, f"discarded remove {identifier}")
    out.result({"Plan": plan.to_json(), "Identifier": identifier}, f"{identifier} is removed within seconds.")
