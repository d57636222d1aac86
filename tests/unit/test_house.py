"""The house keeps its own rules (CONTRIBUTING.md), and each rule's check is able to fail."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from farshore.__main__ import build
from farshore.model.site import SiteSettings
from farshore.model.vpg import VpgSettings
from tests.unit import house

TOP = Path(__file__).parent.parent.parent
SOURCE = house.python_files(TOP / "src")
ALL = house.python_files(TOP / "src", TOP / "tests", TOP / "setup", TOP / "benchmarks")
DOCS = TOP / "docs"


def commands(command: Any, name: str) -> list[str]:
    """Full names of all commands below a group, `farshore vpg list` and so on."""
    below = getattr(command, "commands", None)  # a group has them; typer brings its own copy of click's classes
    return [full for word in below for full in commands(below[word], f"{name} {word}")] if below else [name]


def test_no_file_is_over_400_lines() -> None:
    """A file is one idea; 400 lines are the end of it."""
    assert house.files_too_long(ALL) == []


def test_95_of_100_files_are_under_300_lines() -> None:
    """Few files come near the limit."""
    assert house.too_many_long_files(ALL) == []


def test_no_function_is_over_50_lines() -> None:
    """A function is read at one look."""
    assert house.functions_too_long(ALL) == []


def test_every_name_says_something() -> None:
    """No file or folder is named utils, helpers, common, base or misc."""
    assert house.banned_names(ALL, TOP) == []


def test_every_module_says_what_it_is() -> None:
    """Each module opens with a docstring."""
    assert house.without_docstring(ALL) == []


def test_no_exception_is_swallowed() -> None:
    """Nothing catches everything and does nothing."""
    assert house.swallowed_exceptions(ALL) == []


@pytest.mark.docs
def test_every_command_is_documented() -> None:
    """docs/ mentions each command of `farshore` by its full name."""
    assert house.undocumented(commands(typer.main.get_command(build()), "farshore"), DOCS) == []


@pytest.mark.docs
@pytest.mark.parametrize("settings", [SiteSettings, VpgSettings])
def test_every_setting_is_documented(settings: type[SiteSettings | VpgSettings]) -> None:
    """docs/ mentions each setting of a site and of a VPG."""
    assert house.undocumented(settings.model_fields, DOCS) == []


@pytest.mark.docs
def test_no_page_links_to_what_is_not_there() -> None:
    """README and docs/ link only to files that exist."""
    assert house.dead_links([*TOP.glob("*.md"), *DOCS.glob("**/*.md")]) == []


@pytest.mark.docs
def test_every_make_target_in_the_pages_exists() -> None:
    """`make something` in README, CONTRIBUTING and docs/ is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (TOP / "Makefile").read_text(), re.MULTILINE))
    text = "\n".join(page.read_text() for page in [*TOP.glob("*.md"), *DOCS.glob("**/*.md")])
    assert set(re.findall(r"(?:`|^    )make ([a-z-]+)", text, re.MULTILINE)) - targets == set()


@pytest.mark.docs
def test_readme_lists_the_tests_that_need_root() -> None:
    """Whoever runs the tests as a user can read which are left out."""
    readme = (TOP / "README.md").read_text()
    assert [name for name in house.root_tests(ALL) if name not in readme] == []


@pytest.mark.docs
def test_readme_lists_what_hangs_on_the_version_of_qemu() -> None:
    """Each reason for which a driver's test is left out stands in README, so that a skip is no surprise."""
    reasons = house.skip_reasons(TOP / "tests/service/test_hypervisor_qemu.py")
    assert len(reasons) >= 5
    assert [reason for reason in reasons if f"| {reason} |" not in (TOP / "README.md").read_text()] == []


def _long_function(lines: int) -> str:
    return '"""Said."""\n\ndef f():\n' + "    x = 1\n" * (lines - 1)


CHECKS: list[tuple[str, Callable[[list[Path], Path], list[str]], str, str]] = [
    ("file", lambda files, _: house.files_too_long(files), "x = 1\n" * 400, "x = 1\n" * 401),
    ("share", lambda files, _: house.too_many_long_files(files), "x = 1\n" * 300, "x = 1\n" * 301),
    ("function", lambda files, _: house.functions_too_long(files), _long_function(50), _long_function(51)),
    ("docstring", lambda files, _: house.without_docstring(files), '"""Said."""\n', "# Not said.\n"),
    (
        "swallow",
        lambda files, _: house.swallowed_exceptions(files),
        "try:\n    f()\nexcept OSError:\n    pass\ntry:\n    f()\nexcept Exception:\n    g()\n",
        "try:\n    f()\nexcept Exception:\n    pass\n",
    ),
    (
        "tuple",
        lambda files, _: house.swallowed_exceptions(files),
        "try:\n    f()\nexcept (OSError, ValueError):\n    pass\n",
        "for x in y:\n    try:\n        f()\n    except (OSError, Exception):\n        continue\n",
    ),
    (
        "root",
        lambda files, _: house.root_tests(files),
        "import pytest\n\n@pytest.mark.slow\ndef test_a():\n    f()\n",
        "import pytest\n\n@pytest.mark.root(reason='mounts')\ndef test_a():\n    f()\n",
    ),
]


@pytest.mark.parametrize(("check", "good", "bad"), [c[1:] for c in CHECKS], ids=[c[0] for c in CHECKS])
def test_each_check_can_fail(
    check: Callable[[list[Path], Path], list[str]], good: str, bad: str, tmp_path: Path
) -> None:
    """On a made-up file the check is silent about the good text, and names the file or function of the bad one."""
    file = tmp_path / "made_up.py"
    file.write_text(good)
    assert check([file], tmp_path) == []
    file.write_text(bad)
    assert len(check([file], tmp_path)) == 1


def test_the_check_of_names_can_fail(tmp_path: Path) -> None:
    """A banned name is found as a file, as a folder, and not as a part of a word."""
    names = ["utils.py", "common/journal.py", "database.py", "base_image.py"]
    files = [tmp_path / name for name in names]
    assert house.banned_names(files, tmp_path) == [str(files[0]), str(files[1])]


def test_the_check_of_links_can_fail(tmp_path: Path) -> None:
    """A link to a missing page is found; one to a page with a place in it, and one to the web, are not."""
    page = tmp_path / "page.md"
    page.write_text("[a](page.md#place) [b](https://example.org/x) [c](missing.md)\n")
    assert house.dead_links([page]) == [f"{page}: missing.md"]


def test_the_check_of_docs_can_fail(tmp_path: Path) -> None:
    """A word that only begins another does not count as mentioned."""
    (tmp_path / "page.md").write_text("Run `farshore vpg list-all`, and set `rpo_seconds`.\n")
    assert house.undocumented(["farshore vpg list", "rpo_seconds", "rpo"], tmp_path) == ["farshore vpg list", "rpo"]
