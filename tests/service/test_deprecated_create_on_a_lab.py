"""The deprecated create on two real sites [C1]: what it makes protects VMs that are written to, in JSON and in XML."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from farshore.datapath.journal import Journal
from farshore.datapath.view.volume import VolumeView
from farshore.nbd.client import NbdClient
from tests.service.test_operations_on_a_lab import ApiOf
from tests.storage_lab import StorageLab, until

pytestmark = pytest.mark.timeout(180)
ARRAYS = "http://schemas.microsoft.com/2003/10/Serialization/Arrays"
BLOCK_BYTES = 64 << 10


@pytest.fixture(scope="module")
def lab() -> Iterator[StorageLab]:
    """Two VMs with a disk each; no VPG."""
    with StorageLab(vms=2, disks=1, size="8M") as made:
        yield made


def post(api: ApiOf, body: dict[str, Any] | str) -> httpx.Response:
    """The deprecated create, in the notation of the body."""
    api.request("GET", "/v1/localsite")  # signs in
    context = ssl.create_default_context(cafile=api.site["ca"])
    with httpx.Client(base_url=api.site["url"], verify=context, trust_env=False, headers=api.headers) as client:
        if isinstance(body, dict):
            return client.post("/v1/vpgs", json=body)
        return client.post("/v1/vpgs", content=body, headers={"Content-Type": "application/xml"})


def body_of(notation: str, name: str, sites: tuple[str, str], vm_id: str) -> dict[str, Any] | str:
    """What an old client sends."""
    source, target = sites
    if notation == "json":
        return {
            "VpgName": name,
            "SourceSiteIdentifier": source,
            "TargetSiteIdentifier": target,
            "VmsIdentifiers": [vm_id],
        }
    return (
        f'<VpgCreateDataApi xmlns="http://schemas.zerto.com/zvm/api"><SourceSiteIdentifier>{source}'
        f"</SourceSiteIdentifier><TargetSiteIdentifier>{target}</TargetSiteIdentifier><VmsIdentifiers>"
        f'<string xmlns="{ARRAYS}">{vm_id}</string></VmsIdentifiers><VpgName>{name}</VpgName></VpgCreateDataApi>'
    )


def written_at(folder: Path, length: int) -> bytes:
    """The beginning of the only volume at the newest checkpoint, from the journal's files alone."""
    journal = Journal.open(folder)
    try:
        with VolumeView(journal, 0, journal.checkpoints()[-1].ordinal) as view:
            found = bytearray(length)
            view.read_into(memoryview(found), 0)
            return bytes(found)
    finally:
        journal.close()


@pytest.mark.parametrize("notation", ["json", "xml"])
def test_c1_what_the_deprecated_create_makes_protects(lab: StorageLab, notation: str) -> None:
    """Completes; what was written before it and after it is at the other site; a second VPG of the VM is refused."""
    north, south = ApiOf(lab.site("north")), ApiOf(lab.site("south"))
    sites = tuple(api.request("GET", "/v1/localsite").json()["SiteIdentifier"] for api in (north, south))
    vm = lab.made["vms"][("json", "xml").index(notation)]
    (vm_id,) = (
        one["VmIdentifier"]
        for one in north.request("GET", f"/v1/virtualizationsites/{sites[0]}/vms").json()
        if one["VmName"] == vm["name"]
    )
    disk = NbdClient(vm["disks"][0]["nbd_socket"], vm["disks"][0]["nbd_export"])
    try:
        before, after = os.urandom(BLOCK_BYTES), os.urandom(BLOCK_BYTES)
        disk.pwrite(0, before)
        name = f"old {notation}"
        reply = post(north, body_of(notation, name, (sites[0], sites[1]), vm_id))
        assert reply.status_code == 200, reply.text
        assert reply.headers["deprecation"] == "true"
        task_id = reply.text.split("<TaskIdentifier>")[1].split("<")[0] if notation == "xml" else None
        north.completed(task_id or reply.json()["TaskIdentifier"])
        (vpg,) = (one for one in south.vpgs() if one["VpgName"] == name)
        path = f"/v1/vpgs/{vpg['VpgIdentifier']}"
        until(lambda: south.request("GET", f"{path}/checkpoints").json(), 60, "a first checkpoint")
        disk.pwrite(BLOCK_BYTES, after)
        south.completed(south.order("POST", f"{path}/checkpoints", {"CheckpointName": "after"}))
        folder = Path(lab.site("south")["folder"]) / "journal" / vpg["VpgIdentifier"]
        assert written_at(folder, 2 * BLOCK_BYTES) == before + after
        again = post(north, body_of(notation, "again", (sites[0], sites[1]), vm_id))
        assert again.status_code == 409, again.text
        assert name in again.text
        assert "again" not in {one["VpgName"] for one in south.vpgs()}
    finally:
        disk.close()
