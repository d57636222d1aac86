"""Operations on two whole sites with storage-daemon VMs, while managers are killed and a site is dead.

The same orders as in tests/unit/test_operations_survive_kills.py, with nothing faked.
"""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

SOURCE = str(Path(__file__).parents[2] / "src")
COMPLETED = 6


def lab(folder: Path, *words: str) -> str:
    """Run `farshore lab`."""
    command = [sys.executable, "-m", "farshore", "lab", *words, "--dir", str(folder)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": SOURCE}, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-2000:]
    return done.stdout


class ApiOf:
    """A session with a site's API, taken up again after the manager was killed."""

    def __init__(self, site: dict[str, Any]) -> None:
        """`site` as `lab up --json` describes it."""
        self.site = site
        self.folder = Path(site["folder"])
        self.headers: dict[str, str] = {}

    def request(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """One request; waits for a manager that is being started again."""
        context = ssl.create_default_context(cafile=self.site["ca"])
        deadline = time.monotonic() + 60
        with httpx.Client(base_url=self.site["url"], verify=context, trust_env=False, timeout=30) as client:
            while True:
                try:
                    if not self.headers:
                        reply = client.post("/v1/session/add", auth=(self.site["user"], self.site["password"]))
                        self.headers = {"x-zerto-session": reply.headers["x-zerto-session"]}
                    reply = client.request(method, path, json=body, headers=self.headers)
                except httpx.TransportError:
                    assert time.monotonic() < deadline
                    time.sleep(0.2)
                else:
                    if reply.status_code != 401:
                        return reply
                    self.headers = {}

    def order(self, method: str, path: str, body: Any = None) -> str:
        """Give an order; its task."""
        reply = self.request(method, path, body)
        assert reply.status_code == 200, reply.text
        return str(reply.json()["TaskIdentifier"])

    def completed(self, task_id: str) -> dict[str, Any]:
        """The task, once it has completed."""
        until(lambda: self.request("GET", f"/v1/tasks/{task_id}").json()["Status"]["State"] != 1)
        task: dict[str, Any] = self.request("GET", f"/v1/tasks/{task_id}").json()
        assert task["Status"]["State"] == COMPLETED, task
        return task

    def vpgs(self) -> list[dict[str, Any]]:
        """The VPGs that it lists."""
        return list(self.request("GET", "/v1/vpgs").json())

    def left_behind(self) -> list[str]:
        """What operations have at the appliance: pins, views, recovered VMs, scratch."""
        kinds = ("appliance/views/*", "appliance/recovered/*", "scratch/*", "journal/*/pins/*")
        return [str(path) for kind in kinds for path in self.folder.glob(kind)]


def until(condition: Callable[[], Any], seconds: float = 60) -> None:
    """Wait for it."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.fixture(scope="module")
def sites() -> Iterator[tuple[Path, ApiOf, ApiOf]]:
    """A lab with one VPG, protected from north to south."""
    top = Path(tempfile.mkdtemp(prefix="fs", dir="/tmp"))
    folder = top / "lab"
    try:
        up = ["up", "--vms", "2", "--disks", "2", "--size", "8M", "--guest", "storage", "--vpg", "shop", "--json"]
        described = json.loads(lab(folder, *up))
        by_name = {site["name"]: ApiOf(site) for site in described["sites"]}
        yield folder, by_name["north"], by_name["south"]
    finally:
        lab(folder, "down")
        shutil.rmtree(top, ignore_errors=True)


def test_a_failover_test_whose_manager_is_killed(sites: tuple[Path, ApiOf, ApiOf]) -> None:
    """Killed (-9) right after the reply, the test still starts [G11]; its stop, ordered at north, goes the same way."""
    folder, north, south = sites
    path = f"/v1/vpgs/{south.vpgs()[0]['VpgIdentifier']}"
    task = south.order("POST", f"{path}/FailoverTest")
    lab(folder, "kill", "south", "manager")
    south.completed(task)
    assert south.left_behind()
    assert south.request("DELETE", path).status_code == 409  # a test runs
    task = north.order("POST", f"{path}/FailoverTestStop", {"FailoverTestSuccess": True, "FailoverTestSummary": "fine"})
    lab(folder, "kill", "south", "manager")
    north.completed(task)
    south.completed(task)
    assert south.left_behind() == []
    assert north.request("POST", f"{path}/FailoverTestStop").status_code == 409


def told(api: ApiOf, path: str) -> Any:
    """What a GET tells."""
    reply = api.request("GET", path)
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_what_both_sites_tell_of_what_is_there_and_was_done(sites: tuple[Path, ApiOf, ApiOf]) -> None:
    """Volumes, points in time, datastores, appliance, the reports and events of the test before."""
    _, north, south = sites
    vpg = south.vpgs()[0]
    for site, kind in ((north, "Protected"), (south, "Recovery")):
        volumes = told(site, f"/v1/volumes?vpgIdentifier={vpg['VpgIdentifier']}")
        assert [(v["VolumeType"], v["Size"]["ProvisionedInBytes"]) for v in volumes] == [(kind, 8 << 20)] * 4
        assert told(site, "/v1/datastores")
        assert [vra["HostIdentifier"] for vra in told(site, "/v1/vras")]
        kinds = [report["General"]["RecoveryType"] for report in told(site, "/v1/reports/recovery")]
        assert "Stop Failover Test" in kinds
        assert len(told(site, "/v1/reports/resources")) == len(told(site, "/v1/statistics/vms")) == 2
    vm_id = told(south, "/v1/vms")[0]["VmIdentifier"]
    points = told(south, f"/v1/vms/{vm_id}/pointsInTime")
    assert points[0]["Checkpoint"] == told(south, f"/v1/vpgs/{vpg['VpgIdentifier']}/checkpoints/stats")["Earliest"]
    (test,) = told(south, f"/v1/events?eventType=FailOverTest&vpgIdentifier={vpg['VpgIdentifier']}&entityType=VPG")
    assert (test["EventCompletedSuccessfully"], test["Kind"]) == (True, "FailOverTest")
    (report,) = told(south, f"/v1/reports/recovery?recoveryType=FailoverTest&vpgName={vpg['VpgName']}&state=Success")
    assert report["RecoverySettings"]["Steps"]
    assert report["General"]["VpgIdentifier"] == vpg["VpgIdentifier"]


def test_a_vpg_deleted_by_force_while_the_protected_site_is_dead(sites: tuple[Path, ApiOf, ApiOf]) -> None:
    """Without force 503 and nothing changed; with force this half goes, and the other site lets go when it is back."""
    folder, north, south = sites
    path = f"/v1/vpgs/{south.vpgs()[0]['VpgIdentifier']}"
    lab(folder, "kill", "north", "all")
    assert south.request("DELETE", path).status_code == 503
    assert len(south.vpgs()) == 1
    assert [volume["VolumeType"] for volume in told(south, "/v1/volumes")] == ["Recovery"] * 4  # north is dead
    south.completed(south.order("DELETE", path, {"Force": True}))
    assert south.vpgs() == []
    assert list((south.folder / "journal").iterdir()) == []
    lab(folder, "start", "north")
    until(lambda: north.vpgs() == [])
    assert list((north.folder / "appliance" / "protect").iterdir()) == []
