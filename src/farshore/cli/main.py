"""Puts this room's commands together; runs one command, and turns what it raised into a word and an exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from farshore.cli import (
    account_commands,
    alert_commands,
    change_commands,
    clone_commands,
    discarded_commands,
    journal_commands,
    pair_command,
    recovery_commands,
    report_commands,
    site_commands,
    site_set,
    steering_commands,
    task_commands,
    vm_commands,
    volume_commands,
    vpg_commands,
    vpg_export_commands,
)
from farshore.cli.exit_codes import ExitCode, exit_code_of
from farshore.errors import FarshoreError


def build() -> typer.Typer:
    """This room's command line as a typer app; `farshore.__main__` adds the lab's."""
    app = typer.Typer(
        name="farshore",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
    )
    app.callback()(_top)
    site = typer.Typer(help=site_commands.HELP, no_args_is_help=True)
    site.add_typer(site_commands.app)
    site.add_typer(site_set.app)
    app.add_typer(site, name="site")
    app.add_typer(account_commands.app, name="account")
    app.add_typer(vm_commands.app, name="vm")
    vpg = typer.Typer(help=vpg_commands.HELP, no_args_is_help=True)
    vpg.add_typer(vpg_commands.app)
    vpg.add_typer(clone_commands.app)
    vpg.add_typer(steering_commands.app)
    vpg.add_typer(change_commands.app)
    vpg.add_typer(recovery_commands.app)
    vpg.add_typer(vpg_export_commands.app)
    app.add_typer(vpg, name="vpg")
    app.add_typer(task_commands.app, name="task")
    app.add_typer(alert_commands.app, name="alert")
    app.add_typer(alert_commands.event_app, name="event")
    app.add_typer(report_commands.app, name="report")
    app.add_typer(journal_commands.app, name="journal")
    app.add_typer(discarded_commands.app, name="discarded")
    app.add_typer(volume_commands.app, name="volumes")
    pair_command.register(app)
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


def run(app: typer.Typer, arguments: Sequence[str]) -> int:
    """Run one command line; its exit code (see `exit_codes`)."""
    try:
        app(args=list(arguments), prog_name="farshore")
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
