"""What a site says that it is, told to clients and to the other site, and the rules that hold by it (K2, M6)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from farshore.model.site_kinds import SiteKind
from farshore.site.kinds import kind_of, note_kind
from farshore.site.pairing import describe
from farshore.site.peer_calls import PeerCalls
from farshore.site.site import Site
from tests.faked_site import FakedSite, with_site
from tests.operations_harness import NORTH, VPG
from tests.service.api_of_faked_site import Sender, serving_faked
from tests.service.recovery_requests import NOTATIONS

BODIES = {
    "Checkpoints": ({"CheckpointName": "now"}, "<CheckpointName>now</CheckpointName>"),
    "plain move": ({"CommitPolicy": 2}, "<CommitPolicy>2</CommitPolicy>"),
    "move by force": ({"ForceShutdown": True}, "<ForceShutdown>true</ForceShutdown>"),
    "gentle move": ({"ForceShutdown": False}, "<ForceShutdown>false</ForceShutdown>"),
}


def set_kind(site: Site, kind: SiteKind) -> None:
    """The site was started with that setting."""
    settings = site.config.settings.model_copy(update={"kind": kind})
    site.config = site.config.model_copy(update={"settings": settings})


def order(http: httpx.Client, notation: str, action: str, what: str) -> httpx.Response:
    """The action with that body in that notation."""
    in_json, in_xml = BODIES[what]
    path = f"/v1/vpgs/{VPG}/{action}"
    if notation == "json":
        return http.post(path, json=in_json)
    body = f'<any xmlns="http://schemas.zerto.com/zvm/api">{in_xml}</any>'
    return http.post(path, content=body.encode(), headers={"Content-Type": "application/xml"})


async def replies(faked: FakedSite, calls: Any) -> Any:
    """What the calls of a signed-in client give."""
    async with serving_faked(faked) as (http, _):
        return await asyncio.to_thread(lambda: calls(Sender(http).http))


@pytest.mark.parametrize("notation", NOTATIONS)
def test_k2_a_site_in_a_cloud_cuts_no_checkpoint_by_hand(tmp_path: Path, notation: str) -> None:
    """Protected on Azure or AWS: 409, saying so, nothing cut. Every other kind of site: taken."""

    async def story(faked: FakedSite) -> None:
        for kind in (SiteKind.Azure, SiteKind.Aws, SiteKind.Kvm, SiteKind.Vcd, SiteKind.Csp):
            note_kind(faked.site, NORTH, {"kind": kind.value})
            reply = await replies(faked, lambda http: order(http, notation, "checkpoints", "Checkpoints"))
            if kind in {SiteKind.Azure, SiteKind.Aws}:
                assert reply.status_code == 409, reply.text
                assert "Azure or AWS" in reply.text
                assert faked.north.appliance.state()["cuts"] == {}
                continue
            assert reply.status_code == 200, reply.text
            (task,) = faked.site.tasks.newest(1)
            await faked.ended(task.id)

    with_site(tmp_path, story)


@pytest.mark.parametrize("notation", NOTATIONS)
def test_m6_a_service_provider_asks_for_force_shutdown(tmp_path: Path, notation: str) -> None:
    """Moving to its site: 400 that names the member when it is left out, nothing begun; either value is taken."""

    async def story(faked: FakedSite) -> None:
        set_kind(faked.site, SiteKind.Csp)
        before = len(faked.site.tasks.newest(100))
        reply = await replies(faked, lambda http: order(http, notation, "move", "plain move"))
        assert reply.status_code == 400, reply.text
        assert "ForceShutdown" in reply.text
        assert faked.vpg.recovery is None
        assert len(faked.site.tasks.newest(100)) == before
        said = "gentle move" if notation == "json" else "move by force"
        reply = await replies(faked, lambda http: order(http, notation, "move", said))
        assert reply.status_code == 200, reply.text
        (task,) = faked.site.tasks.newest(1)
        assert (await faked.ended(task.id)).state == 6

    with_site(tmp_path, story)


@pytest.mark.parametrize("kind", [each for each in SiteKind if each is not SiteKind.Csp])
def test_m6_no_other_recovery_site_asks_for_it(tmp_path: Path, kind: SiteKind) -> None:
    """Nor does the protected site's kind count."""

    async def story(faked: FakedSite) -> None:
        set_kind(faked.site, kind)
        note_kind(faked.site, NORTH, {"kind": "csp"})
        task = await faked.ended(await faked.move(force_shutdown=None))
        assert task.state == 6

    with_site(tmp_path, story)


def test_sites_tell_each_other_what_they_are(tmp_path: Path) -> None:
    """With every greeting, and it is kept; one that says nothing, or what is not known, is KVM."""

    async def story(faked: FakedSite) -> None:
        site = faked.site
        assert kind_of(site, NORTH) is kind_of(site, site.id) is SiteKind.Kvm
        set_kind(site, SiteKind.Vcd)
        assert describe(site.config)["kind"] == "vcd"
        north = replace(site.peers.get(NORTH))
        told = {name: getattr(north, name) for name in ("name", "peer_address", "appliance_address")}
        for said, meant in (({"kind": "aws"}, SiteKind.Aws), ({"kind": "moon"}, SiteKind.Kvm), ({}, SiteKind.Kvm)):
            assert (await PeerCalls(site).hello(NORTH, told | said))["kind"] == "vcd"
            assert kind_of(site, NORTH) is meant

    with_site(tmp_path, story)


def test_clients_see_what_each_site_is(tmp_path: Path) -> None:
    """As SiteType, of this site and of the other, in each list."""

    async def story(faked: FakedSite) -> None:
        set_kind(faked.site, SiteKind.Csp)
        note_kind(faked.site, NORTH, {"kind": "azure"})
        paths = ("localsite", "peersites", "virtualizationsites", f"virtualizationsites/{NORTH}")
        local, peers, sites, one = await replies(faked, lambda http: [http.get(f"/v1/{path}").json() for path in paths])
        assert local["SiteType"] == "CSP"
        assert [peer["SiteType"] for peer in peers] == ["Azure"]
        assert {each["SiteIdentifier"]: each["SiteType"] for each in sites} == {faked.site.id: "CSP", NORTH: "Azure"}
        assert one["SiteType"] == "Azure"

    with_site(tmp_path, story)
