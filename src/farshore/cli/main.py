"""Puts the command groups together, runs one command, and turns what it raised into a word and an exit code.

The groups are named here as text and imported when the command line is built: the top room `lab` brings two of
them, and this room may not import it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import typer

from farshore.cli.exit_codes import ExitCode, exit_code_of
from farshore.errors import FarshoreError

GROUPS: tuple[tuple[str, str], ...] = (
    ("site", "farshore.cli.site_commands"),
    ("vm", "farshore.cli.vm_commands"),
    ("vpg", "farshore.cli.vpg_commands"),
    ("task", "farshore.cli.task_commands"),
    ("journal", "farshore.cli.journal_commands"),
    ("lab", "farshore.lab.commands"),
)
"""Command groups: each module has `app`."""

COMMANDS: tuple[tuple[str, str], ...] = (
    ("pair", "farshore.cli.pair_command"),
    ("demo", "farshore.lab.demo.command"),
)
"""Single commands: each module has `register(app)`, which adds the command to the top."""


def build() -> typer.Typer:
    """The whole command line as a typer app."""
    app = typer.Typer(
        name="farshore",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
    )
    app.callback()(_top)
    for name, module in GROUPS:
        app.add_typer(import_module(module).app, name=name)
    for _, module in COMMANDS:
        import_module(module).register(app)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        from farshore import __version__

        sys.stdout.write(f"farshore {__version__}\n")
        raise typer.Exit


def _top(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Continuous disaster recovery for KVM virtual machines."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command line and end the process with its exit code."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run one command line; its exit code (see `exit_codes`)."""
    try:
        build()(args=list(arguments), prog_name="farshore")
    except FarshoreError as error:
        _complain(error, "--json" in arguments)
        return exit_code_of(error)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return ExitCode.OK


def _complain(error: FarshoreError, as_json: bool) -> None:
    if as_json:
        sys.stderr.write(json.dumps(error.to_json(), ensure_ascii=False) + "\n")
        return
    sys.stderr.write(f"farshore: {error.fact}\n")
    if error.remedy:
        sys.stderr.write(f"          {error.remedy}\n")
