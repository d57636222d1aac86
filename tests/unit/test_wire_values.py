"""Single values: strict about what is meant, lenient about how it is quoted."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from farshore.api.wire.moments import moment, read_moment
from farshore.api.wire.scalars import Boolean, CheckpointId, VmNames, WholeNumber
from farshore.errors import BadInput
from farshore.model.enumerations import allowed_text, understand, word, words
from farshore.model.policies import CommitPolicy
from farshore.model.vpg_states import VpgStatus, VpgSubStatus

BOOLEAN, WHOLE = TypeAdapter(Boolean), TypeAdapter(WholeNumber)
CHECKPOINT, VMS = TypeAdapter(CheckpointId), TypeAdapter(VmNames)


@pytest.mark.parametrize("value", [True, 1, "1", "true", "True", "TRUE", " true "])
def test_true_is_read_in_each_form(value: Any) -> None:
    """Bare, quoted, in any case, as 1."""
    assert BOOLEAN.validate_python(value) is True


@pytest.mark.parametrize("value", [False, 0, "0", "false", "False", "FALSE", " false "])
def test_false_is_read_in_each_form(value: Any) -> None:
    """Likewise."""
    assert BOOLEAN.validate_python(value) is False


@pytest.mark.parametrize("value", [2, -1, 1.0, "yes", "on", "", "2", [], {}])
def test_anything_else_is_no_boolean(value: Any) -> None:
    """2 or `yes` is refused, though pydantic by itself takes it."""
    with pytest.raises(ValidationError, match="true, false, 1 or 0"):
        BOOLEAN.validate_python(value)


@pytest.mark.parametrize(("value", "meant"), [(3600, 3600), ("3600", 3600), ("0", 0), (3600.0, 3600), ("-5", -5)])
def test_whole_numbers_may_be_quoted(value: Any, meant: int) -> None:
    """Real clients quote them."""
    assert WHOLE.validate_python(value) == meant


@pytest.mark.parametrize("value", [0.5, "0.5", "1e3", True, "", "x", "٣", "1_000", [], 1e400])
def test_fractions_and_words_are_no_whole_numbers(value: Any) -> None:
    """Refused, not rounded; nor digits of other scripts or Python's underscores."""
    with pytest.raises(ValidationError, match="whole number"):
        WHOLE.validate_python(value)


@pytest.mark.parametrize(("value", "meant"), [(17, "17"), ("17", "17"), (" 17 ", "17")])
def test_a_checkpoint_may_be_a_bare_number(value: Any, meant: str) -> None:
    """Clients keep its identifier as either."""
    assert CHECKPOINT.validate_python(value) == meant


@pytest.mark.parametrize("value", ["", "latest", "-1", 1.5, True, None])
def test_what_is_not_digits_is_no_checkpoint(value: Any) -> None:
    """An empty identifier is not taken for the latest: a script's mistake must not pick a checkpoint."""
    with pytest.raises(ValidationError):
        CHECKPOINT.validate_python(value)


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("vm-1", ["vm-1"]),
        ([], []),
        (["a", {"VmIdentifier": "b"}, {"vmidentifier": "c"}], ["a", "b", "c"]),
        ({"VmIdentifier": "a"}, ["a"]),
    ],
)
def test_vms_are_texts_or_objects_and_a_bare_one_is_a_list(value: Any, meant: list[str]) -> None:
    """The page's example can be read both ways."""
    assert VMS.validate_python(value) == meant


@given(st.sampled_from(VpgSubStatus), st.booleans(), st.booleans())
def test_enumerations_are_read_by_number_or_name(member: VpgSubStatus, quoted: bool, upper: bool) -> None:
    """Quoted or not, in any case."""
    assert understand(VpgSubStatus, str(member.value) if quoted else member.value) is member
    assert understand(VpgSubStatus, word(member).upper() if upper else word(member).lower()) is member


@pytest.mark.parametrize("value", [3, -1, "3", "None_", "", True, 1.0, None])
def test_an_unknown_value_is_refused_with_all_that_are_allowed(value: Any) -> None:
    """The message teaches the names and numbers."""
    with pytest.raises(ValueError, match=r"Rollback \(0\), Commit \(1\), None \(2\)"):
        understand(CommitPolicy, value)


@pytest.mark.parametrize("kind", [VpgStatus, VpgSubStatus, CommitPolicy])
def test_enumerations_that_clients_use_by_index_have_no_gaps(kind: Any) -> None:
    """`statuses` and `substatuses` are read by index."""
    assert [member.value for member in sorted(kind)] == list(range(len(words(kind))))
    assert allowed_text(kind).count("(") == len(kind)


@given(st.integers(0, 4_000_000_000 * 1_000_000_000))
def test_a_time_reads_back_to_its_millisecond(time_ns: int) -> None:
    """And as the end of a span it holds the time itself."""
    written = moment(time_ns)
    assert read_moment(written, "x") == time_ns // 1_000_000 * 1_000_000
    assert read_moment(written, "x") <= time_ns <= read_moment(written, "x", end=True)
    assert len(written) == 24


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-11-25T09:30:00.5Z", "2026-11-25T09:30:00.500Z"),
        ("2026-11-25T09:30:00Z", "2026-11-25T09:30:00.000Z"),
        ("2026-11-25T09:30Z", "2026-11-25T09:30:00.000Z"),
        ("2026-11-25T09Z", "2026-11-25T09:00:00.000Z"),
        ("2026-11-25T11:30:00+02:00", "2026-11-25T09:30:00.000Z"),
        ("2026-11-25T08:00:00.1234567-0130", "2026-11-25T09:30:00.123Z"),
    ],
)
def test_times_are_read_in_the_forms_that_are_seen(text: str, meant: str) -> None:
    """Down to the hour, with Z or an offset, with any number of decimals."""
    assert moment(read_moment(text, "startDate")) == meant


@pytest.mark.parametrize("text", ["2026-11-25", "2026-11", "2026", "2026-11-25T09:30:00"])
def test_without_an_offset_it_is_the_sites_local_time(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A date alone is its midnight here."""
    import time

    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        assert moment(read_moment(text, "startDate")).endswith((":30:00.000Z", "04:00:00.000Z"))
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "2026-02-30", "2026-1-1", "0000", "2026-11-25T25Z"])
def test_what_is_no_time_is_refused_with_the_member(text: str) -> None:
    """400 naming it."""
    with pytest.raises(BadInput, match="startDate"):
        read_moment(text, "startDate")
