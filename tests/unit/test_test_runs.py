"""How the tests themselves are run: what a user cannot run is left out aloud, and a long run goes on where it ended."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parent.parent / "conftest.py"
SETTINGS = '[tool.pytest.ini_options]\nmarkers = ["root(reason)", "slow"]\naddopts = ["--import-mode=importlib"]\n'


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A made-up project with our conftest, and a user who is not root."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/conftest.py").write_text(CONFTEST.read_text())
    (tmp_path / "conftest.py").write_text("import os\n\nos.geteuid = lambda: 1000\n")
    (tmp_path / "pyproject.toml").write_text(SETTINGS)
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@a", "commit", "-qm", "a"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    (tmp_path / ".git/info/exclude").write_text("*.json\n__pycache__\n")
    return tmp_path


def run(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the made-up project's tests as `make` would."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, check=False, cwd=tree, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("workers", [[], ["-n", "1"]], ids=["alone", "with workers"])
def test_a_user_is_told_what_was_left_out_and_why(workers: list[str], tree: Path) -> None:
    """A test marked `root` is skipped for a user; its name and reason stand before the last line."""
    marked = "import pytest\n\n@pytest.mark.root(reason='it mounts')\ndef test_a():\n    assert 0\n\n"
    (tree / "tests/test_made_up.py").write_text(marked + "def test_b():\n    pass\n")
    result = run(tree, *workers)
    assert result.returncode == 0, result.stdout
    *_, said, last = [line for line in result.stdout.splitlines() if line]
    assert said == "tests/test_made_up.py::test_a: it mounts"
    assert "1 passed, 1 skipped" in last


@pytest.mark.parametrize("workers", [[], ["-n", "1"]], ids=["alone", "with workers"])
def test_a_run_goes_on_where_it_ended(workers: list[str], tree: Path) -> None:
    """What passed is not run again while the source is the same; when all has passed, the record is gone."""
    tests = tree / "tests/test_made_up.py"
    tests.write_text("def test_a():\n    pass\n\ndef test_b():\n    open('mended.json').close()\n")
    first = run(tree, *workers, "--resume=record.json")
    assert "1 failed, 1 passed" in first.stdout
    assert json.loads((tree / "record.json").read_text())["passed"] == ["tests/test_made_up.py::test_a"]
    (tree / "mended.json").touch()
    second = run(tree, *workers, "--resume=record.json")
    assert "1 passed" in second.stdout.splitlines()[-1]
    assert not (tree / "record.json").exists()


def test_a_changed_source_is_tested_whole(tree: Path) -> None:
    """What passed with another source proves nothing about this one."""
    tests = tree / "tests/test_made_up.py"
    tests.write_text("def test_a():\n    pass\n\ndef test_b():\n    assert 0\n")
    run(tree, "--resume=record.json")
    (tree / "another.py").touch()
    assert "1 failed, 1 passed" in run(tree, "--resume=record.json").stdout
