"""docs/security.md says what is so: its tests exist, its table of rights is the program's, its places are all there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from farshore.api.rights import RIGHTS
from farshore.api.throttle import FORGET_SECONDS, FREE_TRIES, WAIT_SECONDS_MAX
from farshore.cli.site_folder import NewSite, init_site
from farshore.model.access import Right, Role, permits
from farshore.model.rundir import make_run_directory
from farshore.site.alerts import EVENTS_MAX

TOP = Path(__file__).parents[2]
PAGE = (TOP / "docs" / "security.md").read_text(encoding="utf-8")
PLACES = ("network", "paired site", "API, without an account", "viewer", "site's host", "guest")
WAYS = {
    "viewer, bound": (Role.viewer, True),
    "viewer": (Role.viewer, False),
    "operator, bound": (Role.operator, True),
    "operator": (Role.operator, False),
    "administrator": (Role.administrator, False),
}


def sections() -> dict[str, str]:
    """What an attacker can and cannot do, by place."""
    part = PAGE.split("## What an attacker can and cannot do")[1].split("\n## ")[0]
    pieces = re.split(r"^### (.+)$", part, flags=re.MULTILINE)
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


def cells(line: str) -> list[str]:
    """The cells of a table's row."""
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


@pytest.mark.docs
def test_each_test_that_the_security_page_names_exists() -> None:
    """What an attacker cannot do is proven, not claimed."""
    defined: set[str] = set()
    for file in (TOP / "tests").glob("*/test_*.py"):
        defined |= set(re.findall(r"^(?:async )?def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"\btest_\w+", PAGE))
    assert len(named) > 40
    assert named - defined == set()


@pytest.mark.docs
def test_each_place_is_there_and_what_cannot_be_done_names_its_test() -> None:
    """Six places; a row that says "cannot" says by which test."""
    found = sections()
    assert [place for place in PLACES if not any(place in title for title in found)] == []
    for title, text in found.items():
        rows = [cells(line) for line in text.splitlines() if line.startswith("|")][2:]
        assert len(rows) >= 3, title
        for row in rows:
            assert len(row) == 3, row
            assert not row[2] or "test_" in row[2], (title, row)


@pytest.mark.docs
def test_the_table_of_rights_on_the_page_is_the_programs() -> None:
    """Each right with each role, bound to VPGs or not."""
    lines = [cells(line) for line in PAGE.splitlines() if line.startswith("|")]
    head = next(row for row in lines if row[0] == "right")
    assert head[1:] == list(WAYS)
    shown = {row[0]: row[1:] for row in lines if row[0] in Right.__members__}
    wanted = {
        right.value: ["yes" if permits(role, right, bound=bound) else "no" for role, bound in WAYS.values()]
        for right in Right
        if right is not Right.anybody
    }
    assert shown == wanted


@pytest.mark.docs
def test_the_page_names_each_action_of_an_operator() -> None:
    """The row of *operate* is the table's."""
    row = PAGE.split("- *operate*:")[1].split("\n- *administer*")[0]
    actions = {path.rpartition("/")[2] for (_, path), right in RIGHTS.items() if right is Right.operate}
    actions -= {"dismiss", "undismiss"}
    assert [action for action in actions if not re.search(rf"\b{action}\b", row)] == []


@pytest.mark.docs
def test_the_numbers_on_the_page_are_the_programs() -> None:
    """Tries, waits, events, certificates."""
    assert (FREE_TRIES, WAIT_SECONDS_MAX, FORGET_SECONDS, EVENTS_MAX) == (10, 60.0, 900.0, 200_000)
    for words in ("After ten wrong tries of late (15 minutes)", "up to a minute", "The newest 200,000 events"):
        assert words in PAGE


def test_another_user_of_the_host_gets_into_no_folder_of_a_site(tmp_path: Path) -> None:
    """The folder itself is closed to all but its owner, and so is each folder in it, and that of the sockets.

    But for that of scripts, through which their own user must get: nobody else can come as far as its door.
    """
    site = tmp_path / "site"
    ports = {"api_port": 9001, "peer_port": 9002, "appliance_port": 9003}
    init_site(site, NewSite("north", **ports))
    run_folder = make_run_directory(site)
    try:
        folders = [site, *(path for path in site.rglob("*") if path.is_dir()), run_folder]
        assert [path for path in folders if path.stat().st_mode & 0o077] == [site / "scripts"]
        secret = [site / "cli.json", *(site / "identity").glob("*.key")]
        assert [path for path in secret if path.stat().st_mode & 0o077] == []
    finally:
        run_folder.rmdir()
