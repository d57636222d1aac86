"""The API's pure rules: paths in any case, which notation, which VMs, what a settings object orders."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from farshore.api.any_case import AnyCase
from farshore.api.routes.vm_selection import select_vms
from farshore.api.vpg_orders import order_of_settings, settings_of_vpg, unused_members
from farshore.api.wire.negotiation import is_xml, wants_xml
from farshore.api.wire.vpg_settings import VpgSettingsApi
from farshore.errors import BadInput
from farshore.model.views import VpgView
from farshore.model.vpg import VpgSettings, VpgVm
from farshore.model.vpg_states import VpgStatus

PATHS = ["/v1", "/v1/vpgs", "/v1/vpgs/statuses", "/v1/vpgs/{id}", "/v1/vpgs/{id}/FailoverTest", "/v1/vpgs/{id}/move"]
VMS = (VpgVm(vm_id="1", vm_name="db"), VpgVm(vm_id="2", vm_name="web"), VpgVm(vm_id="3", vm_name="web"))


async def nothing(*_: object) -> None:
    """An application that does nothing."""


ANY_CASE = AnyCase(nothing, PATHS)
IDENTIFIER = st.text(st.characters(exclude_characters="/{}", exclude_categories=["Cs"]), min_size=1)


@given(st.sampled_from(PATHS), IDENTIFIER, st.randoms(use_true_random=False))
def test_a_path_is_found_in_any_case_with_its_identifier_untouched(path: str, identifier: str, dice: object) -> None:
    """Doubled slashes and one at the end are nothing."""
    if path == "/v1/vpgs/{id}" and identifier.lower() == "statuses":
        return
    shuffled = "".join(dice.choice([c.lower(), c.upper()]) for c in path.replace("{id}", "\0"))  # type: ignore[attr-defined]
    sent = shuffled.replace("\0", identifier).replace("/", dice.choice(["/", "//"])) + dice.choice(["", "/"])  # type: ignore[attr-defined]
    assert ANY_CASE.canonical(sent) == path.replace("{id}", identifier)


def test_a_fixed_piece_goes_before_an_identifier() -> None:
    """`statuses` is no VPG."""
    assert ANY_CASE.canonical("/V1/VPGS/STATUSES") == "/v1/vpgs/statuses"


def test_two_spellings_of_one_path_are_a_mistake_of_the_program() -> None:
    """Only one of them would ever be found."""
    with pytest.raises(ValueError, match="different case"):
        AnyCase(nothing, ["/v1/vpgs/{id}/checkpoints", "/v1/vpgs/{id}/Checkpoints"])


@pytest.mark.parametrize("path", ["/", "/v2/vpgs", "/v1/vpgs/x/y", "/v1/vpgs/x/move/z", ""])
def test_what_fits_no_route_is_left_alone(path: str) -> None:
    """It gets its 404."""
    assert ANY_CASE.canonical(path) is None


@pytest.mark.parametrize(
    ("accept", "content_type", "xml"),
    [
        (None, None, False),
        ("*/*", None, False),
        ("application/json", "application/xml", False),
        ("application/xml", None, True),
        ("text/xml", None, True),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", None, True),
        ("application/json, application/xml", None, False),
        ("application/json;q=0.5, text/xml", None, True),
        ("application/xml;q=0, application/json", None, False),
        (None, "application/xml", True),
        ("*/*", "text/xml; charset=utf-8", True),
        (None, "application/json", False),
        (None, "Content-Type", False),
        ("text/plain", None, False),
        ("application/xml;q=x, */*", None, False),
    ],
)
def test_the_notation_of_the_answer(accept: str | None, content_type: str | None, xml: bool) -> None:
    """Accept by its weights; where it says nothing, Content-Type."""
    given_headers = {"accept": accept, "content-type": content_type}
    assert wants_xml(Headers({k: v for k, v in given_headers.items() if v is not None})) is xml


@pytest.mark.parametrize(
    ("content_type", "body", "xml"),
    [
        ("application/json", b"<a/>", False),
        ("text/xml", b"{}", True),
        ("application/x-www-form-urlencoded", b"{}", False),
        ("", b" \n<a/>", True),
        ("Content-Type", b"\xef\xbb\xbf<a/>", True),
    ],
)
def test_the_notation_of_a_body(content_type: str, body: bytes, xml: bool) -> None:
    """Content-Type, or a look at it."""
    assert is_xml(Headers({"content-type": content_type}), body) is xml


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [(None, None), ([], None), (["1"], ["1"]), (["db"], ["1"]), (["2", "db", "1"], ["1", "2"]), (["3"], ["3"])],
)
def test_vms_are_chosen_by_identifier_or_name(wanted: list[str] | None, chosen: list[str] | None) -> None:
    """None and an empty list mean all; twice counts once."""
    assert select_vms(wanted, VMS, "Payroll") == chosen


def test_a_name_that_two_vms_bear_is_refused_with_their_identifiers() -> None:
    """So that one can be named."""
    with pytest.raises(BadInput) as refused:
        select_vms(["web"], VMS, "Payroll")
    assert "2, 3" in str(refused.value)


def test_a_foreign_vm_is_refused_with_those_there_are() -> None:
    """400 naming it."""
    with pytest.raises(BadInput, match="nobody is no VM of the VPG Payroll"):
        select_vms(["db", "nobody"], VMS, "Payroll")


def view_of(settings: VpgSettings) -> VpgView:
    """A VPG with those settings."""
    return VpgView(
        vpg_id="v",
        name="Payroll",
        protected_site_id="n",
        protected_site_name="north",
        recovery_site_id="s",
        recovery_site_name="south",
        settings=settings,
        vms=VMS,
        status=VpgStatus.MeetingSLA,
    )


@given(
    st.builds(
        VpgSettings,
        checkpoint_interval_seconds=st.floats(1, 3600),
        history_seconds=st.integers(60, 30 * 86400),
        rpo_seconds=st.integers(1, 10**6),
        window_bytes=st.integers(16, 4096).map(lambda mib: mib << 20),
    )
)
def test_the_settings_object_of_a_vpg_orders_that_very_vpg(settings: VpgSettings) -> None:
    """Committing it unchanged changes nothing."""
    order = order_of_settings(settings_of_vpg(view_of(settings)))
    assert order.settings == settings
    assert (order.vpg_id, order.name, order.protected_site_id, order.recovery_site_id) == ("v", "Payroll", "n", "s")
    assert order.vm_ids == ("1", "2", "3")


WHOLE = {"Name": "x", "ProtectedSiteIdentifier": "N", "RecoverySiteIdentifier": "S"}


@pytest.mark.parametrize(
    ("basic", "named"),
    [
        ({"Name": " "}, "Basic.Name"),
        ({"Name": "x" * 256}, "Basic.Name"),
        ({"RecoverySiteIdentifier": None}, "Basic.RecoverySiteIdentifier"),
        ({"CheckpointIntervalInSeconds": 0.5}, "Basic.CheckpointIntervalInSeconds"),
        ({"JournalHistoryInHours": 0}, "Basic.JournalHistoryInHours"),
        ({"JournalHistoryInHours": 721}, "Basic.JournalHistoryInHours"),
        ({"RpoInSeconds": 0}, "Basic.RpoInSeconds"),
        ({"WindowInMB": 1}, "Basic.WindowInMB"),
        ({"CheckpointIntervalInSeconds": "1e400"}, "Basic.CheckpointIntervalInSeconds"),
    ],
)
def test_a_value_out_of_range_is_refused_with_its_member(basic: dict[str, object], named: str) -> None:
    """400 naming it."""
    with pytest.raises(BadInput, match=named):
        order_of_settings(VpgSettingsApi.read({"Basic": WHOLE | basic}))


def test_what_is_set_and_not_used_is_told() -> None:
    """A choice that is not made is not passed over in silence; a script is, since it is run."""
    content = VpgSettingsApi.read(
        {"Basic": WHOLE, "Scripting": {"PreRecovery": {"Command": "x"}}, "Recovery": {"DefaultHostIdentifier": "h"}}
    )
    assert [text.split()[0] for text in unused_members(content)] == ["Recovery"]
    assert unused_members(VpgSettingsApi.read({"Basic": WHOLE})) == []
