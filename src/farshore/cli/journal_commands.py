"""`farshore journal`: looks into a journal's files, with no manager and no appliance alive.

The folder is `SITE/journal/<vpg id>` at the recovery site. `list` and `verify` change nothing. `export` writes a
volume's disk image as it was at a checkpoint.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from farshore.cli.options import command
from farshore.cli.output import Output

app = typer.Typer(help="Look into a journal's files, with no manager alive.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The journal's folder: SITE/journal/VPG-ID.")]


@command(app, "list")
def list_checkpoints(
    out: Output,
    folder: Folder,
    tagged: Annotated[bool, typer.Option("--tagged", help="Only those with a tag.")] = False,
    last: Annotated[int | None, typer.Option("--last", help="Only the newest N.", min=1)] = None,
) -> None:
    """List the checkpoints that the journal's files hold."""
    from farshore.cli.output import time_text
    from farshore.datapath.journal import Journal

    with Journal.open(folder) as journal:
        found = [c for c in journal.checkpoints() if c.tag or not tagged]
    found = found[-last:] if last else found
    data = [
        {
            "CheckpointIdentifier": c.id,
            "TimeStamp": time_text(c.time_ns),
            "Tag": c.tag,
            "HoleBefore": c.hole_before,
            "Volumes": list(c.volumes),
        }
        for c in found
    ]
    rows = [(c.id, time_text(c.time_ns), c.tag, "hole before" if c.hole_before else "") for c in found]
    out.table(data, ("checkpoint", "time", "tag", ""), rows, empty="No checkpoints.")


@command(app, "verify")
def verify(out: Output, folder: Folder) -> None:
    """Read every byte of the journal and check it; exit code 1 and the checkpoints that are lost when it is damaged."""
    from farshore.cli.output import size_text
    from farshore.datapath.journal import Journal

    with Journal.open(folder) as journal:
        report = journal.verify()
        count = len(journal.checkpoints())
    report.raise_if_damaged()
    data = {"Segments": report.segments, "Bytes": report.bytes, "Checkpoints": count}
    out.result(data, f"Whole: {report.segments} segments, {size_text(report.bytes)}, {count} checkpoints.")


@command(app, "export")
def export(
    out: Output,
    folder: Folder,
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="The new raw disk image; must not exist.")],
    volume: Annotated[int, typer.Option("--volume", help="The volume's number in the VPG.", min=0)],
    checkpoint: Annotated[str | None, typer.Option("--checkpoint", help="The latest if not given.")] = None,
) -> None:
    """Write a volume as it was at a checkpoint into a raw disk image."""
    from farshore.cli.output import size_text
    from farshore.datapath.journal import Journal
    from farshore.datapath.view.export import export as write_image

    with Journal.open(folder) as journal, out.bar() as bar:
        chosen = journal.checkpoint(checkpoint)
        line = bar.add_task("export")
        size_bytes = write_image(
            journal, chosen, volume, image, lambda done, total: bar.update(line, completed=done, total=total)
        )
    data = {"Image": str(image), "Volume": volume, "CheckpointIdentifier": chosen.id, "Bytes": size_bytes}
    out.result(data, f"Volume {volume} at checkpoint {chosen.id}: {size_text(size_bytes)} in {image}.")
