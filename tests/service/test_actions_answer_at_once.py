"""Whatever the site does, an action is answered within 3 s, the time-out of one client: here its appliance hangs."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from farshore.model.vpg import Volume, Vpg, VpgVm
from farshore.site.persistence import open_database
from farshore.site.site import database_path
from farshore.site.vpgs import VpgRow, Vpgs
from tests.managers import RunningManager
from tests.service.test_client_walks import ACTIONS

ANSWER_SECONDS_MAX = 3.0
VPGS = [f"{number:08d}-0000-4000-8000-000000000000" for number in range(8)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningManager]:
    """A manager with VPGs whose appliance takes every connection and never says a word."""
    manager = RunningManager(tmp_path_factory.mktemp("hangs") / "site", "south")
    here = manager.config.site_id
    database = open_database(database_path(manager.folder))
    with database.transaction() as connection:
        for vpg_id in VPGS:
            vpg = Vpg(
                id=vpg_id,
                name=f"vpg {vpg_id[:8]}",
                protected_site_id=here,
                recovery_site_id=here,
                owner_site_id=here,
                vms=(VpgVm(vm_id="vm-1", vm_name="db"), VpgVm(vm_id="vm-2", vm_name="web")),
                volumes=(Volume(number=0, vm_id="vm-1", disk_id="disk0", size_bytes=1 << 30),),
            )
            Vpgs(database).insert(connection, VpgRow(vpg, "active"))
    database.close()
    with socket.create_server(("127.0.0.1", manager.config.appliance_port), backlog=128):
        manager.start()
        yield manager
        manager.kill()


def _timed(site: RunningManager, method: str, path: str) -> tuple[float, int]:
    with site.client() as client:
        client.headers.update(site.headers)
        began = time.monotonic()
        reply = client.request(method, path, json={"CheckpointName": "now"} if method == "POST" else None)
        return time.monotonic() - began, reply.status_code


def test_every_action_is_answered_while_the_appliance_hangs(site: RunningManager) -> None:
    """Eight at a time, each on a VPG of its own: begun, refused, or told that nobody answers, but told."""
    actions = sorted({action.path for action in ACTIONS})
    calls = [("POST", f"/v1/vpgs/{vpg}/{action}") for action in actions for vpg in VPGS]
    calls += [
        ("DELETE", f"/v1/vpgs/{VPGS[0]}"),
        ("GET", "/v1/vpgs"),
        ("GET", f"/v1/vpgs/{VPGS[0]}"),
        ("GET", "/v1/vms"),
    ]
    calls += [("GET", f"/v1/vpgs/{VPGS[0]}/checkpoints"), ("GET", "/v1/tasks"), ("GET", "/v1/reports/recovery")]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda call: _timed(site, *call), calls))
    late = {call: seconds for call, (seconds, _) in zip(calls, answers, strict=True) if seconds > ANSWER_SECONDS_MAX}
    assert late == {}
    assert {status for _, status in answers} <= {200, 409, 501, 503}
