"""Failover, move and the way home on two whole sites with storage-daemon VMs, while managers are killed (-9).

The same orders as in tests/unit/test_recoveries_survive_kills.py, with nothing faked: the disks are read at the end.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from farshore.nbd.client import NbdClient
from tests.service.test_operations_on_a_lab import ApiOf, lab, until

MEETING_SLA, FAILING_OVER, NOT_MEETING = 1, 5, 2
BEFORE_COMMIT, NEEDS_CONFIGURATION = 15, 7
BLOCK = 64 << 10


class Pair:
    """A lab of two sites with one VPG, protected from north to south."""

    def __init__(self, folder: Path) -> None:
        """Bring it up, and write what can be told apart onto each disk."""
        self.folder = folder
        up = ["up", "--vms", "2", "--disks", "2", "--size", "8M", "--guest", "storage", "--vpg", "shop", "--json"]
        described: dict[str, Any] = json.loads(lab(folder, *up))
        by_name = {site["name"]: ApiOf(site) for site in described["sites"]}
        self.north, self.south = by_name["north"], by_name["south"]
        for vm in described["vms"]:
            for disk in vm["disks"]:
                with NbdClient(disk["nbd_socket"], disk["nbd_export"]) as client:
                    client.pwrite(BLOCK, os.urandom(BLOCK))

    def of(self, name: str = "shop") -> dict[str, Any]:
        """The VPG as south lists it."""
        return next((vpg for vpg in self.south.vpgs() if vpg["VpgName"] == name), {})

    def path(self, name: str = "shop") -> str:
        """Where its actions are."""
        return f"/v1/vpgs/{self.of(name)['VpgIdentifier']}"

    def protected(self, name: str, source: str) -> bool:
        """Whether it is protected from that site, with nothing going on."""
        vpg = self.of(name)
        return bool(vpg) and (vpg["Status"], vpg["SubStatus"], vpg["SourceSite"]) == (MEETING_SLA, 0, source)

    def disks(self, site: ApiOf, names: tuple[str, ...]) -> dict[str, str]:
        """Hashes of the disks of the VMs of those names in a site's inventory, by VM and disk."""
        found = {}
        for path in (site.folder / "vms").glob("*.json"):
            vm = json.loads(path.read_text())
            if vm["name"] in names:
                for disk in vm["disks"]:
                    found[f"{vm['name']} {disk['id']}"] = hashlib.sha256(Path(disk["path"]).read_bytes()).hexdigest()
        return found


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """One lab for the whole story, test by test."""
    top = Path(tempfile.mkdtemp(prefix="fs", dir="/tmp"))
    try:
        yield Pair(top / "lab")
    finally:
        lab(top / "lab", "down")
        shutil.rmtree(top, ignore_errors=True)


def test_a_failover_whose_manager_is_killed_and_its_rollback(pair: Pair) -> None:
    """Killed right after each reply [G11]; Before Commit shows at both sites; after the rollback all is as before."""
    until(lambda: pair.protected("shop", "north"))
    task = pair.south.order("POST", f"{pair.path()}/Failover", {"CommitPolicy": "None"})
    lab(pair.folder, "kill", "south", "manager")
    pair.south.completed(task)
    for site in (pair.south, pair.north):
        assert [(vpg["Status"], vpg["SubStatus"]) for vpg in site.vpgs()] == [(FAILING_OVER, BEFORE_COMMIT)]
    assert pair.south.request("DELETE", pair.path()).status_code == 409
    task = pair.north.order("POST", f"{pair.path()}/FailoverRollback")
    lab(pair.folder, "kill", "south", "manager")
    pair.north.completed(task)
    assert pair.south.left_behind() == []
    until(lambda: pair.protected("shop", "north"))


def test_a_move_and_the_way_home(pair: Pair) -> None:
    """M1, M3: moved out and home, each time protected back by itself; not one byte of a disk differs in the end."""
    before = pair.disks(pair.north, ("vm-1", "vm-2"))
    assert len(before) == 4
    assert len(set(before.values())) == 4
    for to, to_name, home in ((pair.south, "south", "north"), (pair.north, "north", "south")):
        until(lambda home=home: pair.protected("shop", home))  # type: ignore[misc]
        task = pair.north.order("POST", f"{pair.path()}/move")
        lab(pair.folder, "kill", to_name, "manager")
        pair.north.completed(task)
        task = pair.south.order("POST", f"{pair.path()}/moveCommit")
        lab(pair.folder, "kill", to_name, "manager")
        pair.south.completed(task)
        assert pair.disks(to, ("vm-1", "vm-2")) == before
        assert to.left_behind() == []
        until(lambda to_name=to_name: pair.protected("shop", to_name))  # type: ignore[misc]


def test_one_vm_is_failed_over_while_the_other_stays_protected(pair: Pair) -> None:
    """F7: checkpoints of the others go on in Before Commit; afterwards each has a VPG, protected in its direction."""
    until(lambda: pair.protected("shop", "north"))
    vms = [vm["VmIdentifier"] for vm in pair.north.request("GET", "/v1/vms").json() if vm["VmName"] == "vm-1"]
    order = {"CommitPolicy": "None", "VmIdentifiers": vms, "ShutdownPolicy": 2}
    pair.south.completed(pair.south.order("POST", f"{pair.path()}/Failover", order))
    checkpoints = f"{pair.path()}/checkpoints"
    count = len(pair.south.request("GET", checkpoints).json())
    until(lambda: len(pair.south.request("GET", checkpoints).json()) > count)
    task = pair.south.order("POST", f"{pair.path()}/FailoverCommit", {"IsReverseProtection": True})
    lab(pair.folder, "kill", "south", "manager")
    pair.south.completed(task)
    until(lambda: pair.protected("shop", "north"))
    new = next(vpg["VpgName"] for vpg in pair.south.vpgs() if vpg["VpgName"].startswith("shop (recovered "))
    until(lambda: pair.protected(new, "south"))


def test_both_sites_run_and_a_person_decides(pair: Pair) -> None:
    """CA7: committed by the policy with the old VM running; told at both sites, nothing touched, nothing begun."""
    until(lambda: pair.protected("shop", "north"))
    path = pair.path()
    order = {"CommitPolicy": "Commit", "TimeToWaitBeforeShutdownInSec": 1, "IsReverseProtection": True}
    pair.south.completed(pair.south.order("POST", f"{path}/Failover", order))
    until(lambda: pair.of()["SubStatus"] == NEEDS_CONFIGURATION)
    assert (pair.of()["Status"], pair.of()["SourceSite"]) == (NOT_MEETING, "south")
    reply = pair.north.request("GET", path)
    assert reply.status_code == 200
    running = {vm["VmName"] for vm in pair.north.request("GET", "/v1/vms").json() if not vm.get("Problem")}
    assert "vm-2" in running
    assert pair.south.request("POST", f"{path}/Failover").status_code == 409
    until(lambda: not list((pair.north.folder / "appliance" / "protect").glob(f"{path.rsplit('/', 1)[1]}.json")))
