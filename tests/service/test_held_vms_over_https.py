"""Held VMs and their release over HTTPS, in JSON and XML."""

from __future__ import annotations

from xml.etree.ElementTree import fromstring

from tests.service.made_up_site import Running

NAMESPACE = "{http://schemas.zerto.com/zvm/api}"


def test_held_vms_are_listed_and_released(running: Running) -> None:
    """In both notations, with what needs them; the site is told who released."""
    headers = running.sign_in()
    reply = running.http.get("/v1/heldVms", headers=headers)
    assert [(vm["VmName"], vm["CanRelease"], vm["NeededBy"]) for vm in reply.json()] == [
        ("old <db>", True, ""),
        ("web", False, "VPG x needs it."),
    ]
    xml = fromstring(running.http.get("/v1/heldVms", headers=headers | {"Accept": "application/xml"}).text)
    assert [one.text for one in xml.iter(f"{NAMESPACE}Reason")] == ["Moved & kept.", "Moved."]
    for notation in ("application/json", "application/xml"):
        reply = running.http.post("/v1/heldVms/held-1/release", headers=headers | {"Accept": notation})
        assert reply.status_code == 200
        assert "held-1" in reply.text
        name, (vm_id, who) = running.site.calls[-1]
        assert (name, vm_id) == ("release_vm", "held-1")
        assert who
    assert running.http.post("/v1/heldVms/stranger/release", headers=headers).status_code == 404
