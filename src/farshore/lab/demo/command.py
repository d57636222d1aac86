"""`farshore demo`."""

from __future__ import annotations

from typing import Annotated

import typer

from farshore.cli.options import command


def register(app: typer.Typer) -> None:
    """Add the command to the top."""
    command(app, "demo")(demo)


def demo(
    step: Annotated[bool, typer.Option("--step", help="Stop after each part, to look around.")] = False,
) -> None:
    """Play the demo: protect two VMs, cut checkpoints, test a failover, verify it; exit code 0 only if all holds."""
    from farshore.lab.demo.story import play

    raise typer.Exit(play(step=step))
