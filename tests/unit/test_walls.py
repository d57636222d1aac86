"""Each wall between the packages (`[tool.importlinter]` in pyproject.toml) is able to fail."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PYPROJECT = Path(__file__).parent.parent.parent / "pyproject.toml"
CONTRACTS = tomllib.loads(PYPROJECT.read_text())["tool"]["importlinter"]["contracts"]
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"

ROOMS = (
    "lab cli api pages manager operations site appliance hypervisor datapath nbd identity model errors "
    "datapath.segment datapath.tap datapath.stream datapath.journal datapath.replica datapath.view datapath.sync "
    "datapath.clone"
)

LAWFUL = {
    "manager": "import dbos, uvicorn, sqlalchemy",
    "operations": "import dbos\nfrom farshore.appliance.client import Client",
    "api": "import fastapi, defusedxml",
    "cli": "import typer, rich, jinja2",
    "hypervisor": "from qemu.qmp import QMPClient",
    "site": "import sqlalchemy, alembic\nfrom farshore.appliance.client import Client",
    "appliance": "import farshore.hypervisor, farshore.datapath",
    "identity": "import cryptography",
    "datapath.journal": "import farshore.datapath.stream",
}

UNLAWFUL = {
    "Top may import below": ("model", "import farshore.site"),
    "A write's journey": ("datapath.tap", "import farshore.datapath.journal"),
    "The command road": ("site", "import farshore.appliance.watcher"),
    "What is on disk": ("datapath.journal", "import asyncio"),
    "Tap, sync reader and watcher": ("datapath.tap", "import numpy"),
    "Watcher and carriers": ("appliance", "import farshore.identity.made_up"),
    "qemu.qmp": ("appliance", "from qemu.qmp import QMPClient"),
    "dbos": ("site", "import dbos"),
    "The web server's": ("site", "import fastapi"),
    "The terminal's": ("manager", "import rich"),
    "Templates": ("api", "import jinja2"),
    "SQL": ("appliance", "import sqlalchemy"),
    "Certificates": ("site", "import cryptography"),
}


def build_tree(top: Path, texts: list[tuple[str, str]]) -> None:
    """A package `farshore` with all its rooms; each text is put into the room's file `made_up.py`."""
    (top / "pyproject.toml").write_text(PYPROJECT.read_text())
    for room in ["", *ROOMS.split()]:
        folder = top.joinpath("farshore", *room.split("."))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "__init__.py").touch()
    for name in ("client", "watcher"):
        (top / "farshore" / "appliance" / f"{name}.py").write_text("Client = object\n")
    for room, text in texts:
        with top.joinpath("farshore", *room.split("."), "made_up.py").open("a") as file:
            file.write(text + "\n")


def broken_walls(top: Path) -> list[str]:
    """The names of the contracts that import-linter finds broken there."""
    environment = {**os.environ, "PYTHONPATH": str(top), "COLUMNS": "200"}
    command = [sys.executable, "-c", LINT, "--no-cache"]
    result = subprocess.run(command, check=False, cwd=top, env=environment, capture_output=True, text=True)
    assert "Contracts:" in result.stdout, result.stdout + result.stderr
    return re.findall(r"^(.*) BROKEN", result.stdout, re.MULTILINE)


def test_what_is_lawful_passes(tmp_path: Path) -> None:
    """A tree in which each room uses what belongs to it breaks no wall."""
    build_tree(tmp_path, list(LAWFUL.items()))
    assert broken_walls(tmp_path) == []


def test_every_wall_can_fail(tmp_path: Path) -> None:
    """One unlawful import for each wall: all of them are found."""
    build_tree(tmp_path, [*LAWFUL.items(), *UNLAWFUL.values()])
    assert broken_walls(tmp_path) == [contract["name"] for contract in CONTRACTS]


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract["name"])
def test_every_wall_has_its_unlawful_import(contract: dict[str, str]) -> None:
    """A wall that is added to pyproject.toml gets its case here."""
    assert [start for start in UNLAWFUL if contract["name"].startswith(start)] != []


@pytest.mark.parametrize(
    ("module", "unloaded"),
    [
        ("farshore.appliance.__main__", {"numpy", "cryptography"}),
        ("farshore.datapath.tap.__main__", {"numpy", "cryptography"}),
        ("farshore.datapath.sync.__main__", {"numpy", "cryptography"}),
        ("farshore.datapath.journal_carrier.__main__", {"cryptography"}),
    ],
)
def test_what_weighs_much_is_not_loaded(module: str, unloaded: set[str]) -> None:
    """Nor by way of a package's `__init__`, which import-linter does not look into."""
    say = f"import {module}, sys; print(*sorted({unloaded} & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": str(PYPROJECT.parent / "src")}
    command = [sys.executable, "-c", say]
    loaded = subprocess.run(command, check=True, env=environment, capture_output=True, text=True)
    assert loaded.stdout.split() == []
