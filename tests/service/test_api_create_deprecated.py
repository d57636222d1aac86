"""The deprecated create over HTTPS [C1]: `POST /v1/vpgs` with the body that old clients send, in JSON and in XML."""

from __future__ import annotations

from typing import Any

import pytest

from farshore.model.vpg import Priority
from tests.service.made_up_site import NORTH, SOUTH, Running

ARRAYS = "http://schemas.microsoft.com/2003/10/Serialization/Arrays"
JSON_BODY: dict[str, Any] = {
    "VpgName": "shop",
    "SourceSiteIdentifier": NORTH.upper(),
    "TargetSiteIdentifier": SOUTH,
    "VmsIdentifiers": ["vm-1", "vm-2", "vm-1"],
    "Priority": "High",
}
XML_BODY = (
    '<VpgCreateDataApi xmlns="http://schemas.zerto.com/zvm/api"><Priority>2</Priority>'
    f"<SourceSiteIdentifier>{NORTH}</SourceSiteIdentifier><TargetSiteIdentifier>{SOUTH}</TargetSiteIdentifier>"
    f'<VmsIdentifiers><string xmlns="{ARRAYS}">vm-1</string><string xmlns="{ARRAYS}">vm-2</string></VmsIdentifiers>'
    "<VpgName>shop</VpgName></VpgCreateDataApi>"
)


@pytest.fixture(scope="module", autouse=True)
def classic(running: Running) -> None:
    """Signed in the classic way."""
    running.http.headers.update(running.sign_in())


@pytest.mark.parametrize("notation", ["json", "xml"])
def test_c1_the_deprecated_create_orders_what_the_old_body_says(api: Running, notation: str) -> None:
    """The order of a settings object with nothing else set; told as deprecated, with what replaces it; a task."""
    if notation == "json":
        reply = api.http.post("/v1/vpgs", json=JSON_BODY)
        task = reply.json()["TaskIdentifier"]
    else:
        headers = {"Content-Type": "application/xml", "Accept": "application/xml"}
        reply = api.http.post("/v1/vpgs", content=XML_BODY, headers=headers)
        task = reply.text.split("<TaskIdentifier>")[1].split("<")[0]
    assert reply.status_code == 200, reply.text
    assert reply.headers["deprecation"] == "true"
    assert '/v1/vpgSettings>; rel="successor-version"' in reply.headers["link"]
    assert "warning" not in reply.headers
    ((kind, arguments),) = [call for call in api.site.calls if call[0] != "tasks"]
    order = arguments["order"]
    assert (kind, order.vpg_id, order.name, order.vm_ids) == ("CreateProtectionGroup", None, "shop", ("vm-1", "vm-2"))
    assert (order.protected_site_id, order.recovery_site_id) == (NORTH.lower(), SOUTH.lower())
    assert order.settings.priority is Priority.High
    assert api.http.get(f"/v1/tasks/{task}").json()["TaskIdentifier"] == task


@pytest.mark.parametrize("member", ["VpgName", "SourceSiteIdentifier", "TargetSiteIdentifier", "VmsIdentifiers"])
def test_c1_what_a_vpg_cannot_do_without_is_mandatory(api: Running, member: str) -> None:
    """400 names the member, also when it is empty; deprecated all the same, and nothing is ordered."""
    empty: object = [] if member == "VmsIdentifiers" else ""
    for body in ({k: v for k, v in JSON_BODY.items() if k != member}, JSON_BODY | {member: empty}):
        reply = api.http.post("/v1/vpgs", json=body)
        assert reply.status_code == 400
        assert member in reply.json()["Message"]
        assert reply.headers["deprecation"] == "true"
    assert api.http.post("/v1/vpgs").status_code == 400
    assert [call for call in api.site.calls if call[0] != "tasks"] == []


def test_c1_members_of_other_platforms_are_told_as_ignored(api: Running) -> None:
    """They change nothing."""
    more = {"DatastoreIdentifier": "ds-1", "ZorgIdentifier": "z", "ResourcePoolIdentifier": None, "Elsewhere": 1}
    reply = api.http.post("/v1/vpgs", json=JSON_BODY | more)
    assert reply.status_code == 200
    told = reply.headers["warning"]
    assert "DatastoreIdentifier, ZorgIdentifier" in told
    assert "Elsewhere" in told
    assert "ResourcePool" not in told
