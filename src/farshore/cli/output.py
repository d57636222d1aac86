"""Where results, notes and bars go: tables for people, one JSON document for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

WIDTH_WITHOUT_TERMINAL = 200


def console(stderr: bool = False) -> Console:
    """A rich console; without a terminal it is wide enough that no table's cell is cut."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else WIDTH_WITHOUT_TERMINAL
    return Console(file=stream, width=width, highlight=False, soft_wrap=False)


class Output:
    """The output of one command. With `as_json`, stdout gets exactly one JSON document: the last `result`."""

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json

    def result(self, data: Any, text: str = "") -> None:
        """The command's result: `data` for programs, `text` for people."""
        if self.as_json:
            sys.stdout.write(json.dumps(data, indent=1, ensure_ascii=False, default=str) + "\n")
        elif text:
            sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def table(self, data: Any, columns: Sequence[str], rows: Iterable[Sequence[Any]], empty: str = "None.") -> None:
        """A list as the result: `data` for programs, `columns` and `rows` as a table for people."""
        if self.as_json:
            self.result(data)
            return
        lines = [["" if cell is None else str(cell) for cell in row] for row in rows]
        if not lines:
            self.result(data, empty)
            return
        from rich.box import SIMPLE_HEAD
        from rich.markup import escape
        from rich.table import Table

        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        for column in columns:
            table.add_column(column, overflow="fold")
        for line in lines:
            table.add_row(*(escape(cell) for cell in line))
        console().print(table)

    def facts(self, data: Any, pairs: Iterable[tuple[str, Any]]) -> None:
        """One thing's members as the result, a line each."""
        lines = [(name, "" if value is None else str(value)) for name, value in pairs]
        width = max((len(name) for name, _ in lines), default=0)
        self.result(data, "\n".join(f"{name:<{width}}  {value}".rstrip() for name, value in lines))

    def note(self, text: str) -> None:
        """A word for people on stderr; nothing with --json."""
        if not self.as_json:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()

    def bar(self) -> Progress:
        """A progress bar on stderr; silent without a terminal and with --json."""
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

        return Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            console=console(stderr=True),
            disable=self.as_json or not sys.stderr.isatty(),
        )


def size_text(size_bytes: float) -> str:
    """A size for people: 64 MiB, 1.5 GiB."""
    value = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{value:.0f} {unit}" if value == int(value) else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def time_text(time_ns: int) -> str:
    """A moment for people and programs: ISO 8601 in UTC with three decimals."""
    from datetime import UTC, datetime

    moment = datetime.fromtimestamp(time_ns // 1_000_000 / 1000, tz=UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def time_ns_of(text: str) -> int:
    """The moment of an ISO 8601 text as unix time in nanoseconds. Raises BadInput."""
    from datetime import datetime

    from farshore.errors import BadInput

    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInput(f"{text} is not a time.", "Write it as 2026-11-25T09:30:00Z.") from error
    return round(moment.timestamp() * 1000) * 1_000_000
