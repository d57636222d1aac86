"""Rows of VPGs are read once and kept until one is written: never an older one than the database has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from farshore.errors import Conflict
from farshore.site.persistence import Database, open_database
from farshore.site.vpgs import VpgRow, Vpgs, digest
from tests.unit.test_site_rules import vpg


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty site database."""
    opened = open_database(tmp_path / "site.sqlite")
    yield opened
    opened.close()


def row(name: str = "shop", version: int = 1) -> VpgRow:
    """A row between a and b."""
    return VpgRow(vpg(name, version=version), "active")


def test_no_statement_is_sent_while_nothing_changes(database: Database) -> None:
    """Five hundred VPGs in Before Commit are looked at each second."""
    rows, sent = Vpgs(database), []
    rows.put(row())
    rows.listed()
    sa.event.listen(database.engine, "before_cursor_execute", lambda *words: sent.append(words[2]))
    assert [each.vpg.id for each in rows.all()] == ["shop"]
    assert rows.get("shop") is not None
    assert rows.get("none") is None
    assert sent == []


def test_what_is_read_while_a_transaction_is_open_is_not_kept_beyond_its_end(database: Database) -> None:
    """Others read the old row until the end, the new one from the end on; a rollback leaves the old one."""
    rows = Vpgs(database)
    rows.put(row())
    with database.transaction() as connection:
        rows.replace(connection, row(), row(version=2))
        assert rows.get("shop") == row()
    assert rows.get("shop") == row(version=2)

    def failing() -> None:
        with database.transaction() as connection:
            rows.replace(connection, row(version=2), row(version=3))
            raise Conflict("no")

    with pytest.raises(Conflict):
        failing()
    assert rows.get("shop") == row(version=2)


@settings(deadline=None, max_examples=25)
@given(
    st.lists(
        st.tuples(st.sampled_from(["put", "remove", "release", "insert"]), st.sampled_from("abc"), st.integers(1, 4)),
        max_size=20,
    )
)
def test_the_kept_rows_are_those_of_the_database(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[str, str, int]]
) -> None:
    """After every change what is given is what somebody reads who has kept nothing."""
    opened = open_database(tmp_path_factory.mktemp("kept") / "site.sqlite")
    rows = Vpgs(opened)
    for change, name, version in changes:
        if change == "put":
            rows.put(row(name, version))
        elif change == "insert" and rows.get(name) is None:
            with opened.transaction() as connection:
                rows.insert(connection, row(name, version))
        elif change == "remove":
            rows.remove(name)
        elif change == "release":
            rows.release(name)
        assert rows.all() == Vpgs(opened).all()
    opened.close()


def test_digests_are_the_same_for_the_same_rows_only() -> None:
    """In any order; another version, phase or row makes another one."""
    one, two = row("one"), row("two")
    assert digest([one, two]) == digest([two, one])
    others = [[one], [one, row("two", 2)], [one, VpgRow(two.vpg, "removing")], []]
    assert len({digest(each) for each in [[one, two], *others]}) == 5
