"""How a command ends: fact and remedy on stderr, an exit code that says of what kind it was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from farshore import errors
from farshore.__main__ import run
from farshore.cli.exit_codes import MEANINGS, ExitCode, exit_code_of


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.Fault, 1), (errors.Damaged, 1), (errors.BadInput, 2), (errors.NotFound, 3), (errors.Conflict, 4),
        (errors.NotPermitted, 4), (errors.Unsupported, 4), (errors.Unavailable, 5), (errors.NotSignedIn, 6),
    ],
)  # fmt: skip
def test_each_kind_of_error_has_its_exit_code(kind: type[errors.FarshoreError], code: int):
    """Programs tell the kinds of failure apart by the exit code alone."""
    assert exit_code_of(kind("A fact.")) == code


def test_every_exit_code_has_a_meaning():
    """The table that docs/cli.md prints has no hole."""
    assert set(MEANINGS) == set(ExitCode)


def test_an_error_prints_fact_and_remedy_on_stderr_and_nothing_on_stdout(tmp_path: Path, capsys):
    """A person sees what is so and what to do; a pipe gets nothing."""
    assert run(["site", "status", "--dir", str(tmp_path)]) == ExitCode.NOT_FOUND
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"{tmp_path} is not the folder of a site." in captured.err
    assert "farshore site init" in captured.err


def test_with_json_the_error_is_one_json_line_on_stderr(tmp_path: Path, capsys):
    """Programs read kind, fact and remedy without parsing prose."""
    assert run(["site", "status", "--dir", str(tmp_path), "--json"]) == ExitCode.NOT_FOUND
    captured = capsys.readouterr()
    assert json.loads(captured.err)["kind"] == "not_found"
    assert captured.out == ""


@pytest.mark.parametrize("arguments", [["vpg", "lst"], ["vpg", "create"], ["vpg", "list", "--nonsense"], ["nothing"]])
def test_a_wrong_command_line_ends_with_the_usage_code(arguments: list[str], capsys):
    """Typing errors are told apart from failures."""
    assert run(arguments) == ExitCode.USAGE
    assert capsys.readouterr().err


def test_an_unreachable_site_ends_with_its_own_code(capsys):
    """Nothing listens at port 1."""
    arguments = ["vpg", "list", "--url", "https://127.0.0.1:1", "--user", "u", "--password", "p"]
    assert run(arguments) == ExitCode.UNREACHABLE
    assert "https://127.0.0.1:1" in capsys.readouterr().err


def test_help_imports_no_library_that_takes_long():
    """`farshore --help` is quick: no httpx, no database, no numpy, no API server behind it."""
    program = (
        "import sys\nfrom farshore.__main__ import run\nrun(['--help'])\n"
        "print([m for m in ('httpx', 'sqlalchemy', 'numpy', 'fastapi', 'dbos', 'pydantic') if m in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.splitlines()[-1] == "[]", done.stdout
