"""Members of a body are understood in any case, and one that is given twice with different values is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from farshore.api.wire.actions import FailOverTestStartDataApi, StopFailoverTestDataApi
from farshore.api.wire.vpg_settings import VpgSettingsApi

BODY: dict[str, Any] = {
    "Basic": {"Name": "Löhne", "Priority": "High", "RpoInSeconds": "60", "UseWanCompression": "False"},
    "Vms": [{"VmIdentifier": "vm-1"}, {"VmIdentifier": "vm-2", "Recovery": {"HostIdentifier": "h"}}],
    "Journal": {"Limitation": {"HardLimitInMB": 5}},
}


@st.composite
def recased(draw: st.DrawFn, value: Any) -> Any:
    """The same data with every member's name in some other case."""
    if isinstance(value, list):
        return [draw(recased(item)) for item in value]
    if not isinstance(value, dict):
        return value
    names = {name: "".join(draw(st.sampled_from([c.lower(), c.upper()])) for c in name) for name in value}
    return {names[name]: draw(recased(item)) for name, item in value.items()}


@given(recased(BODY))
def test_members_mean_the_same_in_any_case(body: dict[str, Any]) -> None:
    """`vmIDENTIFIER` is VmIdentifier, at any depth, and none of them is reported as unknown."""
    model = VpgSettingsApi.read(body)
    assert model == VpgSettingsApi.read(BODY)
    assert model.unknown_members() == []


def test_a_member_given_twice_with_different_values_is_refused() -> None:
    """Nobody can know which one was meant."""
    with pytest.raises(ValidationError, match="given twice, as Name and as name"):
        VpgSettingsApi.read({"Basic": {"Name": "a", "name": "b"}})


def test_a_member_given_twice_with_one_value_is_taken() -> None:
    """It is clear what was meant; an older name counts as the same member."""
    assert FailOverTestStartDataApi.read({"checkpointId": 7, "CheckpointIdentifier": 7}).checkpoint_identifier == "7"


def test_an_older_name_that_contradicts_the_newer_is_refused() -> None:
    """CheckpointId and CheckpointIdentifier unlike: no test of either."""
    with pytest.raises(ValidationError, match="CheckpointIdentifier is given twice"):
        FailOverTestStartDataApi.read({"checkpointId": 7, "CheckpointIdentifier": 8})


def test_null_means_the_default() -> None:
    """As absent does."""
    stop = StopFailoverTestDataApi.read({"FailoverTestSuccess": None, "FailoverTestSummary": None})
    assert stop.failover_test_success is True
    assert stop.failover_test_summary is None


def test_unknown_members_are_kept_apart_and_named_with_their_place() -> None:
    """They are ignored, and can be reported."""
    model = VpgSettingsApi.read({"Bogus": 1, "Basic": {"Extra": {"x": 1}}, "vms": [{"vmidentifier": "a", "Odd": 2}]})
    assert model.unknown_members() == ["Basic.Extra", "Bogus", "Vms.Odd"]
