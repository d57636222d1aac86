"""VMs that are held are released by a person's word, and not while a VPG needs them held."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from farshore.appliance.holding import Holding
from farshore.appliance.members import Members
from farshore.cli.vm_commands import release_plan
from farshore.errors import Conflict, NotFound
from farshore.hypervisor.inventory import Inventory
from farshore.manager.services import ManagerServices
from farshore.model.appliance_specs import JournalSeed, KeepSpec
from farshore.model.recovery import WayHome
from farshore.model.vm import VmDefinition
from farshore.site.vpg_views import VpgViews
from farshore.site.vpgs import VpgRow
from tests.faked_site import FakedSite, with_site
from tests.operations_harness import VPG


def held_vm(folder: Path, journals: dict[str, Any]) -> Holding:
    """A VM "old" that is held and of which no VPG is known any more, at a site with these journals."""
    inventory = Inventory(folder / "vms")
    disk = {"id": "a", "path": str(folder / "a.raw"), "size_bytes": 1 << 20}
    inventory.put(VmDefinition.model_validate({"id": "old", "name": "db", "disks": [disk]}))
    inventory.hold("old", "It was moved.")
    doors: Any = SimpleNamespace(hypervisors=SimpleNamespace(inventory=inventory))
    return Holding(doors, Members(folder / "members"), {}, journals)


def test_the_appliance_releases_a_vm_of_no_vpg(tmp_path: Path) -> None:
    """In a VPG's name it cannot be, since none is known; held_vms tells it until then; twice is once."""
    holding = held_vm(tmp_path, {})
    with pytest.raises(NotFound):
        asyncio.run(holding.release_vms("gone", ["old"]))
    told = {"vm_id": "old", "name": "db", "reason": "It was moved.", "base_of": ""}
    assert asyncio.run(holding.held_vms()) == [told]
    for _ in range(2):
        asyncio.run(holding.release_held("old"))
    assert holding.inventory.held("old") is None
    assert asyncio.run(holding.held_vms()) == []
    with pytest.raises(NotFound):
        asyncio.run(holding.release_held("stranger"))


def test_the_appliance_refuses_to_release_a_replica(tmp_path: Path) -> None:
    """A journal's base that a guest writes to is no replica any more; found through a link, too."""
    (tmp_path / "a.raw").touch()
    (tmp_path / "link.raw").symlink_to(tmp_path / "a.raw")
    seed = JournalSeed(bases={0: str(tmp_path / "link.raw")}, definitions={}, time_ns=1, tag="before")
    spec = KeepSpec(vpg_id="v1", epoch=1, peer_site_id="p", volumes=(), history_seconds=1, seed=seed)
    holding = held_vm(tmp_path, {"v1": SimpleNamespace(spec=spec)})
    with pytest.raises(Conflict, match="replica of VPG v1"):
        asyncio.run(holding.release_held("old"))
    assert holding.inventory.held("old") == "It was moved."
    assert [vm["base_of"] for vm in asyncio.run(holding.held_vms())] == ["v1"]


def hold(faked: FakedSite, **more: Any) -> ManagerServices:
    """VM vm9 is held at this site."""
    faked.south.save(faked.south.state() | {"held": {"vm9": "It was moved."}} | more)
    return ManagerServices(faked.site, faked.orders, VpgViews(faked.site))


def test_a_vm_is_released_and_an_event_tells_who_and_why_it_was_held(tmp_path: Path) -> None:
    """After the VPG was deleted; what is not held is not found."""

    async def test(faked: FakedSite) -> None:
        services = hold(faked)
        assert [(vm.vm_id, vm.needed_by) for vm in await services.held_vms()] == [("vm9", "")]
        await services.release_vm("vm9", "eve")
        assert faked.south.state()["held"] == {}
        event = faked.site.alerts.newest_events(1)[0]
        assert (event.kind, event.who) == ("released", "eve")
        assert "It was moved." in event.text
        with pytest.raises(NotFound):
            await services.release_vm("vm9", "eve")

    with_site(tmp_path, test)


def test_a_vm_is_not_released_while_a_vpg_needs_it_held(tmp_path: Path) -> None:
    """One that can be protected back onto its disks, or whose replica they are; not once that VPG is released."""

    async def test(faked: FakedSite) -> None:
        services = hold(faked)
        home = WayHome(
            asked=False, exact=False, source_vm_ids={"new": "vm9"}, instances={}, recovered_checkpoint_ns=None
        )
        row = VpgRow(faked.vpg, "active").raised("active", way_home=home)
        assert faked.site.vpgs.put(row)
        with pytest.raises(Conflict, match="protected back"):
            await services.release_vm("vm9", "eve")
        row = row.raised("active", way_home=None)
        assert faked.site.vpgs.put(row)
        services = hold(faked, bases={"vm9": VPG})
        with pytest.raises(Conflict, match="replica of VPG shop"):
            await services.release_vm("vm9", "eve")
        services = hold(faked, bases={})
        await services.release_vm("vm9", "eve")
        assert faked.south.state()["held"] == {}

    with_site(tmp_path, test)


def test_the_plan_says_why_and_what_may_be_lost() -> None:
    """Before anybody is asked."""
    plan = release_plan({"VmName": "db", "Reason": "It was moved."}).to_json()
    assert plan["why it is held"] == "It was moved."
    assert "not in them" in plan["what may be lost"]
