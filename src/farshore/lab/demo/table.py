"""The closing table: what was done, how long it took, what was verified; all of it from this run."""

from __future__ import annotations

from collections.abc import Sequence

from farshore.cli.output import console
from farshore.lab.demo.checks import Check


def print_table(measured: Sequence[tuple[str, str]], checks: Sequence[Check], problem: str = "") -> None:
    """Print it for people. `problem`: why the demo did not come to its end, if so."""
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    done = Table(box=SIMPLE_HEAD, title="What was done", title_justify="left", pad_edge=False)
    done.add_column("measured in this run")
    done.add_column("", justify="right")
    for what, value in measured:
        done.add_row(escape(what), escape(value))
    verified = Table(box=SIMPLE_HEAD, title="What was verified", title_justify="left", pad_edge=False)
    verified.add_column("check", overflow="fold")
    verified.add_column("holds")
    verified.add_column("seen", overflow="fold")
    for check in checks:
        word = "[green]yes[/green]" if check.good else "[bold red]NO[/bold red]"
        verified.add_row(escape(check.name), word, escape(check.words))
    terminal = console()
    terminal.print()
    terminal.print(done)
    terminal.print(verified)
    failed = [check.name for check in checks if not check.good]
    if failed:
        terminal.print(
            f"[bold red]{len(failed)} of {len(checks)} checks failed:[/bold red] {escape('; '.join(failed))}"
        )
    elif not problem:
        terminal.print(f"All {len(checks)} checks hold.")
    if problem:
        terminal.print(f"[bold red]The demo did not come to its end:[/bold red] {escape(problem)}")
