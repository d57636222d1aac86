"""A plan: what a command is about to do, shown before it acts, and asked about unless the command line said yes."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from farshore.errors import BadInput

WIDTH = 100
WIDTH_MIN = 40
_NO_BREAK = "\u00a0"


def unbroken(command: str) -> str:
    """A command line as it may stand in a plan's text: folded nowhere, so that it can be copied."""
    return command.replace(" ", _NO_BREAK)


@dataclass(frozen=True)
class Plan:
    """What will be done: a title, and lines of a heading and a text."""

    title: str
    lines: Sequence[tuple[str, str]]

    def text(self) -> str:
        """For people, folded."""
        left = max((len(heading) for heading, _ in self.lines), default=0) + 4
        told = [self.title, ""]
        width = max(WIDTH - left, WIDTH_MIN)
        for heading, text in self.lines:
            folded = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
            told.append(f"  {heading:<{left - 2}}{folded[0]}")
            told += [" " * left + line for line in folded[1:]]
        return "\n".join(told).replace(_NO_BREAK, " ")

    def to_json(self) -> dict[str, str]:
        """For programs: the title and the lines by heading."""
        return {"title": self.title, **{heading: text.replace(_NO_BREAK, " ") for heading, text in self.lines}}


def agree(plan: Plan, *, yes: bool, as_json: bool) -> None:
    """Show the plan on stderr and ask, unless `yes`. Raises BadInput when nobody can be asked, or the answer is no.

    With --json and --yes nothing is shown: the plan is a part of the result.
    """
    if yes and as_json:
        return
    sys.stderr.write(plan.text() + "\n\n")
    sys.stderr.flush()
    if yes:
        return
    if not sys.stdin.isatty():
        raise BadInput(
            "This acts only after a yes, and there is no terminal to ask at; nothing was begun.",
            "Read the plan and run it again with --yes.",
        )
    sys.stderr.write("Go on? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise BadInput("The answer was not yes; nothing was begun.")
