"""What the commands print: one JSON document for programs, whole cells for people."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farshore.cli.find import pick
from farshore.cli.names import vpg_state_text
from farshore.cli.output import Output, size_text, time_text
from farshore.errors import BadInput, NotFound


def test_with_json_a_table_is_one_document_and_notes_are_silent(capsys):
    """Stdout can be piped into a parser as it is; nothing else is written."""
    out = Output(as_json=True)
    out.note("a word for people")
    out.table([{"VpgName": "ü"}], ("VPG",), [("ü",)])
    captured = capsys.readouterr()
    assert json.loads(captured.out) == [{"VpgName": "ü"}]
    assert captured.err == ""


def test_a_cell_is_printed_as_it_is_whatever_it_holds(capsys, monkeypatch):
    """Names are data: brackets are no markup, long ones are not cut, an empty one is empty."""
    monkeypatch.delenv("COLUMNS", raising=False)
    name = "[red]web[/red] " + "x" * 120
    Output().table([], ("VPG", "tag"), [(name, None)])
    assert name in capsys.readouterr().out


def test_an_empty_list_says_so(capsys):
    """A person sees a word, not a lonely head of a table."""
    Output().table([], ("VPG",), [], empty="No VPGs.")
    assert capsys.readouterr().out == "No VPGs.\n"


@given(st.integers(min_value=0, max_value=2**53 * 1000))
def test_a_time_is_iso_8601_in_utc_with_three_decimals(time_ns: int):
    """The form that sorts as text, as the API gives it."""
    text = time_text(time_ns)
    assert len(text) == 24
    assert text[10] + text[19] + text[23] == "T.Z"


def test_sizes_are_told_in_binary_units():
    """64 MiB is 64 MiB."""
    assert [size_text(n) for n in (0, 512, 64 << 20, 3 << 29, 5 << 41)] == [
        "0 B",
        "512 B",
        "64 MiB",
        "1.5 GiB",
        "10.0 TiB",
    ]


def test_a_state_is_told_in_words():
    """Status first, substatus where there is one."""
    assert vpg_state_text(1, 0) == "MeetingSLA"
    assert vpg_state_text(0, 1) == "Initializing, InitialSync"
    assert vpg_state_text(99, 0) == "99"


THINGS = [
    {"Id": "A1", "Name": "web"},
    {"Id": "A2", "Name": "db"},
    {"Id": "A3", "Name": "db"},
    {"Id": "web", "Name": "x"},
]


def test_a_thing_is_found_by_identifier_in_any_case_before_its_name():
    """An identifier is never taken for a name."""
    assert pick(THINGS, "a1", "Id", "Name", "VPG") == THINGS[0]
    assert pick(THINGS, "web", "Id", "Name", "VPG") == THINGS[3]


def test_an_unknown_name_tells_what_there_is_and_a_double_one_asks_for_the_identifier():
    """Nothing is done to the first of two that bear the same name."""
    with pytest.raises(NotFound, match="web, db, db"):
        pick(THINGS, "nope", "Id", "Name", "VPG")
    with pytest.raises(BadInput, match="A2, A3"):
        pick(THINGS, "db", "Id", "Name", "VPG")
