"""CA8: whatever a failover or move meets at the recovery site, it fails with VM and cause, and all is as before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from farshore.errors import BadInput, Conflict, FarshoreError, Fault
from farshore.operations.steps import start_recovered_vms as steps
from tests.faked_site import FakedSite, with_site
from tests.kill_points import COMPLETED, FAILED
from tests.operations_harness import VPG

MET: dict[str, FarshoreError] = {
    "name taken": Conflict("The name name-vm2 is taken by another VM.", ""),
    "no network": BadInput("The network blue of VM name-vm2 does not exist.", ""),
    "full store": Fault("The scratch image of VM name-vm2 could not be made: No space left on device", ""),
    "exits at once": Fault("The process of the VM name-vm2 ended with 1: no accelerator found", ""),
}


def left(faked: FakedSite) -> dict[str, Any]:
    """All that may not differ after a failure: of both sites, and of the row."""
    south, north = faked.south.state(), faked.north.appliance.state()
    kinds = ("pins", "views", "recovered", "promotions", "adopted", "held", "deleted")
    here = {kind: south[kind] for kind in kinds}
    there = {kind: north[kind] for kind in ("power", "halts", "held", "deleted", "adopted")}
    return here | {"north": there, "recovery": faked.vpg.recovery, "deadlines": faked.site.deadlines.all()}


@pytest.mark.parametrize("kind", ["failover", "move"])
@pytest.mark.parametrize("met", [*MET, "dies after its start"])
def test_a_failure_at_the_recovery_site_leaves_all_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, met: str
) -> None:
    """Twice: no second VM, no scratch, no pin; the VPG protects with the row's epoch; then it goes through, once."""
    monkeypatch.setattr(steps, "START_SECONDS", 0.5)

    async def test(faked: FakedSite) -> None:
        order = faked.failover if kind == "failover" else faked.move
        before = left(faked)
        for _ in range(2):
            with monkeypatch.context() as patch:
                _meet(patch, faked, met)
                task = await faked.ended(await order())
            assert task.state == FAILED
            assert "name-vm2" in task.reason
            assert met not in MET or MET[met].fact in task.reason
            assert "All is as before." in task.reason
            assert left(faked) == before
            spec = faked.north.appliance.state()["protect"][VPG]
            assert (spec["epoch"], len(spec["vm_ids"])) == (faked.vpg.epoch, 2)
            assert faked.south.state()["keep"][VPG]["epoch"] == faked.vpg.epoch
        assert (await faked.ended(await order())).state == COMPLETED
        assert [len(vms) for vms in faked.south.state()["recovered"].values()] == [2]

    with_site(tmp_path, test)


def _meet(patch: pytest.MonkeyPatch, faked: FakedSite, met: str) -> None:
    """From now on starting the VMs meets this."""
    start = type(faked.south)._start_recovered_vms

    def started(self: Any, state: dict[str, Any], **args: Any) -> Any:
        if met in MET:
            raise MET[met]
        vms = start(self, state, **args)
        vms[1]["power"] = "off"
        return vms

    patch.setattr(type(faked.south), "_start_recovered_vms", started)
