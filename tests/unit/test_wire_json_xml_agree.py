"""JSON and XML are two notations of one model: what is written in either reads back the same, and both agree."""

from __future__ import annotations

import json
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from farshore.api.wire.actions import (
    SECONDS_MAX,
    FailoverDataApi,
    FailOverTestStartDataApi,
    MoveCommitVpgDataApi,
    MoveVpgDataApi,
    StopFailoverTestDataApi,
)
from farshore.api.wire.json_text import read_json
from farshore.api.wire.model import Wire
from farshore.api.wire.reply import ErrorApi
from farshore.api.wire.vpg_settings import VpgSettingsApi, VpgSettingsBasicApi, VpgSettingsVmApi
from farshore.api.wire.xml_out import API, ARRAYS, xml_of, xml_of_text
from farshore.api.wire.xml_text import read_xml
from farshore.errors import BadInput
from farshore.model.policies import CommitPolicy, ShutdownPolicy
from farshore.model.vpg import Priority

# What XML can hold; a text that is all blanks is not told from an empty one.
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), min_size=1).filter(
    lambda text: text == text.strip()
)
SETTINGS = st.builds(
    VpgSettingsApi,
    vpg_identifier=st.none() | TEXT,
    basic=st.builds(
        VpgSettingsBasicApi,
        name=st.none() | TEXT,
        priority=st.sampled_from(Priority),
        use_wan_compression=st.booleans(),
        rpo_in_seconds=st.integers(-(2**31), 2**31),
        checkpoint_interval_in_seconds=st.floats(1, 3600),
    ),
    vms=st.lists(TEXT.map(lambda text: VpgSettingsVmApi(vm_identifier=text)), max_size=3),
)


@effort(max_examples=40)
@given(SETTINGS)
def test_what_is_written_reads_back_the_same_in_both(settings: VpgSettingsApi) -> None:
    """JSON -> model and XML -> model give the model that was written."""
    written = settings.model_dump_json(by_alias=True).encode()
    assert VpgSettingsApi.read(read_json(written)) == settings
    assert VpgSettingsApi.read(read_xml(xml_of(settings).encode(), VpgSettingsApi)) == settings


ORDERS = st.one_of(
    st.builds(
        FailoverDataApi,
        checkpoint_identifier=st.none() | st.integers(0, 2**63).map(str),
        commit_policy=st.sampled_from(CommitPolicy),
        time_to_wait_before_shutdown_in_sec=st.none() | st.integers(0, SECONDS_MAX),
        shutdown_policy=st.sampled_from(ShutdownPolicy),
        is_reverse_protection=st.booleans(),
        vm_identifiers=st.none() | st.lists(TEXT, min_size=1, max_size=3),
    ),
    st.builds(
        MoveVpgDataApi,
        commit_policy=st.none() | st.sampled_from(CommitPolicy),
        commit_policy_timeout=st.none() | st.integers(0, SECONDS_MAX),
        force_shutdown=st.booleans(),
        reverse_protection=st.booleans(),
        keep_source_vms=st.booleans(),
        continue_on_pre_script_failure=st.booleans(),
    ),
    st.builds(
        MoveCommitVpgDataApi,
        reverse_protection=st.none() | st.booleans(),
        keep_source_vms=st.none() | st.booleans(),
    ),
)


@effort(max_examples=80)
@given(ORDERS)
def test_an_order_of_a_recovery_reads_back_the_same_in_both(order: Wire) -> None:
    """Enumerations by number in JSON, by name in XML; nulls stay nulls."""
    kind = type(order)
    assert kind.read(read_json(order.model_dump_json(by_alias=True).encode())) == order
    assert kind.read(read_xml(xml_of(order).encode(), kind)) == order


@effort(max_examples=40)
@given(SETTINGS, SETTINGS)
def test_xml_is_the_same_exactly_when_json_is(one: VpgSettingsApi, other: VpgSettingsApi) -> None:
    """Neither notation drops what the other tells."""
    same = one.model_dump_json(by_alias=True) == other.model_dump_json(by_alias=True)
    assert (xml_of(one) == xml_of(other)) == same


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_makes_well_formed_xml(text: str) -> None:
    """Characters that XML cannot hold are replaced, not sent."""
    fromstring(xml_of(ErrorApi(message=text)))
    fromstring(xml_of_text(text))


def test_members_are_written_by_alphabet_with_nulls_said() -> None:
    """As .NET's DataContract serializer does, in the API's namespace."""
    document = xml_of(FailOverTestStartDataApi(vm_identifiers=["a", "b"]))
    assert document == (
        f'<FailOverTestStartDataApi xmlns="{API}" xmlns:i="http://www.w3.org/2001/XMLSchema-instance">'
        '<CheckpointIdentifier i:nil="true"/>'
        f'<VmIdentifiers><string xmlns="{ARRAYS}">a</string><string xmlns="{ARRAYS}">b</string></VmIdentifiers>'
        "</FailOverTestStartDataApi>"
    )


@pytest.mark.parametrize(
    "body",
    [
        "<A><VmIdentifiers><string>x</string><string>y</string></VmIdentifiers></A>",
        f'<A xmlns="{API}"><vmidentifiers><string xmlns="{ARRAYS}">x</string><guid>y</guid></vmidentifiers></A>',
        "<A><VmIdentifiers><VmIdentifier>x</VmIdentifier><VmIdentifier>y</VmIdentifier></VmIdentifiers></A>",
        "<A><VmIdentifiers><V><VmIdentifier>x</VmIdentifier></V><V><vmidentifier>y</vmidentifier></V></VmIdentifiers></A>",
    ],
)
def test_lists_of_vms_are_read_in_every_form_that_is_seen(body: str) -> None:
    """With or without namespaces, as strings, as members, as objects."""
    assert FailOverTestStartDataApi.read(read_xml(body.encode(), FailOverTestStartDataApi)).vm_identifiers == ["x", "y"]


@pytest.mark.parametrize(
    "body", ["", "<A/>", "<A></A>", '<A i:nil="true" xmlns:i="http://www.w3.org/2001/XMLSchema-instance"/>']
)
def test_empty_xml_means_all_defaults(body: str) -> None:
    """As an empty JSON body does."""
    data = read_xml(body.encode(), StopFailoverTestDataApi)
    assert StopFailoverTestDataApi.read(data or {}) == StopFailoverTestDataApi()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "document type or an entity"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "document type or an entity"),
        ("<a>\n <b></a>", "line 2 column 7"),
        ("<a>&nbsp;</a>", "line 1"),
        (
            "<a><FailoverTestSuccess>1</FailoverTestSuccess><FailoverTestSuccess>0</FailoverTestSuccess></a>",
            "given twice",
        ),
        ("<a>" * 5000 + "</a>" * 5000, "cannot be read"),
    ],
)
def test_bad_xml_is_refused_in_words(body: str, said: str) -> None:
    """Document types, entities, malformed or too deep documents: 400 with the place where there is one."""
    with pytest.raises(BadInput, match=said):
        read_xml(body.encode(), StopFailoverTestDataApi)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"a": 1 "b": 2}', "line 1 column 9"),
        ('{\n "VmIdentifiers": [ VmIdentifier": "x" ]\n}', "line 2 column"),
        ('{"a": 1, "a": 2}', "a is given twice"),
        ('{"a": NaN}', "NaN is not JSON"),
        ("[" * 100_000, "nested too deeply|not JSON"),
        ('{"a": ' + "9" * 5000 + "}", "too long"),
    ],
)
def test_bad_json_is_refused_in_words(body: str, said: str) -> None:
    """Missing commas and quotes, as in the page's own examples: 400 with line and column."""
    with pytest.raises(BadInput, match=said):
        read_json(body.encode())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_json_is_read_in_each_of_its_encodings(encoding: str) -> None:
    """With a byte order mark or without."""
    assert read_json(json.dumps({"a": "Löhne 工资"}, ensure_ascii=False).encode(encoding)) == {"a": "Löhne 工资"}


def test_bytes_that_are_no_text_are_refused() -> None:
    """With the place of the first."""
    with pytest.raises(BadInput, match="not text in utf-8: byte 7"):
        read_json(b'{"a": "\xff"}')
