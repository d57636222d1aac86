"""What another site may ask of this one's appliance, and about which VPGs."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from farshore.errors import NotFound, NotPermitted
from farshore.model.vpg import Vpg
from farshore.site.peer_calls import APPLIANCE_CALLS, PeerCalls

HERE, PEER, OTHER = "site-here", "site-peer", "site-other"
ABOUT_VMS = ("halt_vms", "revive_vms", "retire_protection", "end_vms", "hold_vms", "release_vms", "delete_vms")


class Listening:
    """An appliance that only notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def at(self, site_id: str) -> Listening:
        """It is this site's."""
        assert site_id == HERE
        return self

    async def call(self, call: str, _seconds: float, /, **_args: Any) -> str:
        """Note it."""
        self.asked.append(call)
        return "done"


def asked(caller: str, call: str, **args: Any) -> list[str]:
    """The calls that reach the appliance when `caller` asks; the VPG "v" is between this site and PEER."""
    vpg = Vpg(id="v", name="v", protected_site_id=HERE, recovery_site_id=PEER, owner_site_id=PEER)

    def row(vpg_id: str) -> SimpleNamespace:
        if vpg_id != "v":
            raise NotFound("There is no such VPG.")
        return SimpleNamespace(vpg=vpg)

    appliance = Listening()
    site: Any = SimpleNamespace(id=HERE, vpg=row, appliances=appliance)
    answer = asyncio.run(PeerCalls(site).appliance(caller, {"call": call, "args": args, "seconds": 5}))
    assert answer == "done"
    return appliance.asked


@pytest.mark.parametrize("call", ABOUT_VMS)
def test_the_vpgs_other_site_may_have_its_vms_halted_held_and_deleted(call: str) -> None:
    """It is asked for by the manager that recovers the VPG; by nobody else, and of no other VPG."""
    assert asked(PEER, call, vpg_id="v") == [call]
    with pytest.raises(NotPermitted):
        asked(OTHER, call, vpg_id="v")
    with pytest.raises(NotFound):
        asked(PEER, call, vpg_id="w")


@pytest.mark.parametrize("call", ["protect_vpg", "keep_vpg"])
def test_a_site_has_only_its_own_vpgs_protected_and_kept(call: str) -> None:
    """The stream goes to, or comes from, the very site that asks."""
    assert asked(PEER, call, spec={"vpg_id": "v", "peer_site_id": PEER}) == [call]
    for caller, named in ((PEER, OTHER), (OTHER, OTHER), (OTHER, PEER)):
        with pytest.raises(NotPermitted):
            asked(caller, call, spec={"vpg_id": "v", "peer_site_id": named})
    with pytest.raises(NotFound):
        asked(PEER, call, spec={"vpg_id": "w", "peer_site_id": PEER})


@pytest.mark.parametrize(
    "call",
    ["forget_vpg", "raise_epoch", "open_views", "start_recovered_vms", "promote_recovered", "adopt_recovered",
     "retire_journal", "pin_checkpoint", "remove_recovered_vms", "nothing"],
)  # fmt: skip
def test_what_only_its_own_manager_orders_is_refused_to_another_site(call: str) -> None:
    """Recovery is ordered by the manager of the site where it is."""
    assert call not in APPLIANCE_CALLS
    with pytest.raises(NotPermitted):
        asked(PEER, call, vpg_id="v")
