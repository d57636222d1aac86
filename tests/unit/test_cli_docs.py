"""docs/cli.md and the command line say the same, in both directions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from farshore.__main__ import build
from farshore.cli.exit_codes import MEANINGS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "cli.md").read_text()

pytestmark = pytest.mark.docs


def _leaves(command: Any, path: str = "") -> dict[str, Any]:
    """All commands that do something, by their words: `vpg list`."""
    commands = getattr(command, "commands", None)
    if commands is None:
        return {path: command}
    found: dict[str, Any] = {}
    for name, inner in commands.items():
        found |= _leaves(inner, f"{path} {name}".strip())
    return found


TOP = typer.main.get_command(build())
COMMANDS = _leaves(TOP)


def _sections() -> dict[str, str]:
    parts = re.split(r"^#{2,3} farshore (.+)$", PAGE, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


SECTIONS = _sections()
GENERAL = PAGE[: PAGE.index("## farshore site")]


def _options(command: Any) -> set[str]:
    return {word for p in command.params for word in (*p.opts, *p.secondary_opts) if word.startswith("--")} - {"--help"}


@pytest.mark.parametrize("path", sorted(COMMANDS))
def test_every_command_has_its_section_with_its_help_and_every_option(path: str):
    """What --help shows is on the page: the sentence itself, and each option in its section or the general one."""
    section = SECTIONS[path]
    assert COMMANDS[path].help.strip() in section
    missing = [word for word in _options(COMMANDS[path]) if f"`{word}" not in section + GENERAL]
    assert missing == []


@pytest.mark.parametrize("path", sorted(SECTIONS))
def test_every_section_is_of_a_command_and_names_no_option_that_is_not_there(path: str):
    """What the page promises, the program has."""
    if path in COMMANDS:
        known = _options(COMMANDS[path])
        assert [word for word in re.findall(r"(?<![\w-])--[a-z][a-z-]+", SECTIONS[path]) if word not in known] == []
    else:
        assert path in TOP.commands, f"farshore {path} is no command"


def test_the_page_has_the_exit_codes_as_the_program_has_them():
    """Each code with its meaning, word for word."""
    for code, meaning in MEANINGS.items():
        assert f"| {int(code)} | {meaning} |" in PAGE


def test_every_command_line_in_the_docs_is_one_that_the_program_has():
    """`farshore ...` in any page of docs/ and in the README names a command that exists."""
    pages = [*DOCS.glob("*.md"), *DOCS.parent.glob("README.md")]
    for page in pages:
        for words in re.findall(r"(?:^ {4}|`)farshore ((?:[a-z][a-z-]* ?)+)", page.read_text(), flags=re.MULTILINE):
            path = words.split()
            found = (
                " ".join(path[:2]) in COMMANDS or path[0] in COMMANDS or (len(path) == 1 and path[0] in TOP.commands)
            )
            assert found, f"{page.name}: farshore {words}"
