"""Orders that change a protected VPG: what is refused, and a site that is silent while they are carried out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from farshore.errors import BadInput, Conflict, Unavailable
from farshore.manager.recovery_services import RecoveryServices
from farshore.manager.row_keeping import RowKeeping
from farshore.model.task import TaskType
from farshore.model.views import VpgOrder
from farshore.model.vpg import Vpg, VpgSettings
from farshore.site.vpgs import VpgRow
from tests.faked_site import FakedSite, with_site
from tests.operations_harness import NORTH, VPG

COMPLETED = 6


def order(faked: FakedSite, **changes: Any) -> VpgOrder:
    """The VPG as it is, with changes."""
    vpg = faked.vpg
    whole = {
        "vpg_id": VPG,
        "name": vpg.name,
        "protected_site_id": vpg.protected_site_id,
        "recovery_site_id": vpg.recovery_site_id,
        "settings": vpg.settings,
        "vm_ids": tuple(vm.vm_id for vm in vpg.vms),
    }
    return VpgOrder.model_validate(whole | changes)


def test_what_is_refused_leaves_all_as_it_is(tmp_path: Path) -> None:
    """No VM, a VM that is not there, another site, a name that is taken, a VPG in Before Commit, nobody to ask."""

    async def test(faked: FakedSite) -> None:
        services, before = RecoveryServices(faked.site, faked.orders), faked.vpg
        other = Vpg(
            id="o", name="other", protected_site_id=NORTH, recovery_site_id=faked.site.id, owner_site_id=faked.site.id
        )
        faked.site.vpgs.put(VpgRow(other, "active"))
        for changes, refusal in (
            ({"vm_ids": ()}, BadInput),
            ({"vm_ids": ("vm1", "nobody")}, BadInput),
            ({"protected_site_id": faked.site.id, "recovery_site_id": NORTH}, BadInput),
            ({"name": "other"}, Conflict),
        ):
            with pytest.raises(refusal):
                await services.update_vpg(order(faked, **changes), "tester")
        await faked.ended(await services.update_vpg(order(faked, vm_ids=("vm1",)), "tester"))
        before = faked.vpg
        faked.north.appliance.silent = True
        with pytest.raises(Unavailable):  # which disks the VM has is the protected site's to say
            await services.update_vpg(order(faked, vm_ids=("vm1", "vm2")), "tester")
        faked.north.appliance.silent = False
        assert faked.vpg == before
        await faked.ended(await faked.failover())
        with pytest.raises(Conflict, match="Before Commit"):
            await services.update_vpg(order(faked), "tester")

    with_site(tmp_path, test)


def test_a_silent_site_is_told_when_it_answers(tmp_path: Path) -> None:
    """The change is in force here at once; of two changes only the last one is told there."""

    async def test(faked: FakedSite) -> None:
        services, north = RecoveryServices(faked.site, faked.orders), faked.north.appliance
        north.silent = True
        faked.site.peers._heard.clear()  # as if it had been silent for long
        for name in ("first", "last"):
            settings = VpgSettings(history_seconds=7200)
            task = await faked.ended(await services.update_vpg(order(faked, name=name, settings=settings), "tester"))
            assert (task.type, task.state) == (TaskType.UpdateProtectionGroup.value, COMPLETED)
            assert "is told when it answers" in task.note
        assert faked.south.state()["keep"][VPG]["history_seconds"] == 7200
        assert [debt.arguments["spec"]["vpg_name"] for debt in faked.site.debts.all()] == ["last"]
        north.silent = False
        faked.hear()
        await RowKeeping(faked.site, faked.orders).turn()
        assert north.state()["protect"][VPG]["vpg_name"] == "last"
        assert faked.site.debts.all() == []

    with_site(tmp_path, test)
