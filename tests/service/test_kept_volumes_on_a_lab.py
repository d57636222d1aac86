"""A VPG is deleted over HTTPS, its recovery volumes are kept: on two whole sites whose processes are killed meanwhile.

The kept files are held against the law of the order of writes, and against the VMs' own disks, byte by byte.
"""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from farshore.lab.disk_examination import examine_disk
from farshore.lab.law import check_prefix
from farshore.nbd.client import NbdClient
from tests.api_lab import COMPLETED, ApiLab
from tests.clone_lab import XMLNS
from tests.recovery_lab import read_whole
from tests.storage_lab import until

pytestmark = pytest.mark.timeout(240)


class _Content:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def pread(self, offset: int, length: int) -> bytes:
        return self.content[offset : offset + length]


class KeepLab(ApiLab):
    """Two VMs that are written to, in one VPG."""

    def delete(self, notation: str, **members: bool) -> str:
        """Order the deletion at the protected site, in that notation; its task."""
        api, path = self.api["north"], f"/v1/vpgs/{self.vpg_id}"
        if notation == "json":
            return api.order("DELETE", path, members)
        api.request("GET", "/v1/localsite")  # signs in
        body = "".join(f"<{name}>{value}</{name}>" for name, value in members.items())
        context = ssl.create_default_context(cafile=api.site["ca"])
        headers = api.headers | {"Content-Type": "application/xml"}
        with httpx.Client(base_url=api.site["url"], verify=context, trust_env=False, timeout=30) as client:
            text = f'<VpgDeleteDataApi xmlns="{XMLNS}">{body}</VpgDeleteDataApi>'
            reply = client.request("DELETE", path, content=text, headers=headers)
        assert reply.status_code == 200, reply.text
        return reply.text.split("<TaskIdentifier>")[1].split("<")[0]

    def kept(self) -> dict[str, Any]:
        """The one set that is kept."""
        (found,) = self.api["south"].request("GET", "/v1/keptVolumes").json()
        return dict(found)

    def contents(self, kept: dict[str, Any]) -> list[bytes]:
        """The kept files in the chain's order; each says what it is, there and in the note beside it."""
        note = json.loads((Path(kept["Folder"]) / "kept.json").read_text())
        names = {(v["vm_name"], v["disk_id"]): Path(kept["Folder"]) / v["file"] for v in note["volumes"]}
        assert set(names.values()) == {Path(v["Path"]) for v in kept["Volumes"]}
        assert {path for path in Path(kept["Folder"]).iterdir() if path.suffix == ".raw"} == set(names.values())
        return [names[vm["name"], disk["id"]].read_bytes() for vm in self.made["vms"] for disk in vm["disks"]]

    def vm_contents(self) -> list[bytes]:
        """What the VMs have on their disks."""
        disks = []
        for vm in self.made["vms"]:
            for disk in vm["disks"]:
                with NbdClient(disk["nbd_socket"], disk["nbd_export"]) as client:
                    disks.append(read_whole(client))
        return disks

    def is_gone(self) -> bool:
        """Whether nothing of a VPG is at either site."""
        here, there = self.folder_of("south"), self.folder_of("north")
        places = (here / "journal", here / "appliance/keep", here / "appliance/keeps", there / "appliance/protect")
        left = [path for place in places if place.is_dir() for path in place.iterdir()]
        return not left and self.api["south"].vpgs() == self.api["north"].vpgs() == []


@pytest.fixture(scope="module")
def lab() -> Iterator[KeepLab]:
    """One for all."""
    with KeepLab() as made:
        yield made


def test_the_volumes_of_a_deleted_vpg_are_kept_whatever_is_killed(lab: KeepLab) -> None:
    """While it is written to: manager and watcher killed after the reply. Whole, lawful, no older than the order."""
    newest = lab.call("south", "list_checkpoints", lab.vpg_id, limit=1, newest_first=True)[0]
    task_id = lab.delete("json", KEEPRECOVERYVOLUMES=True, force=False)
    lab.lab("kill", "south", "manager")
    lab.kill_watcher("south")
    task = lab.task("south", task_id)
    assert task["Status"]["State"] == COMPLETED, task
    kept = lab.kept()
    assert f"kept as {kept['KeptVolumesIdentifier']}: 4 as of checkpoint" in task["CompleteReason"]
    assert int(kept["CheckpointIdentifier"]) >= int(newest["id"])
    contents = lab.contents(kept)
    findings = [examine_disk(layout, _Content(c)) for layout, c in zip(lab.chain.layouts, contents, strict=True)]
    assert [fault for finding in findings for fault in finding.faults] + check_prefix(findings) == []
    for which, finding in enumerate(findings):
        assert finding.top >= lab.chain.last_before(which, newest["time_ns"])
    until(lab.is_gone, 30, "the VPG is gone at both sites")
    assert lab.chain.failures == []
    assert lab.run("south", "volumes", "list", "--json")[0]["VpgName"] == "group"
    lab.run("south", "volumes", "remove", kept["KeptVolumesIdentifier"], "--yes")
    assert lab.api["south"].request("GET", "/v1/keptVolumes").json() == []
    until(lambda: not os.path.exists(kept["Folder"]), 30, "the files are gone")
    told = [event["Kind"] for event in lab.api["south"].request("GET", "/v1/events").json()]
    assert "kept_removed" in told


def test_kept_volumes_are_the_vms_disks_when_nothing_is_written(lab: KeepLab) -> None:
    """Protected anew under another identifier, then deleted by force in XML: the same bytes on every disk."""
    lab.chain.end()
    words = [word for vm in lab.made["vms"] for word in ("--vm", vm["name"])]
    lab.run("north", "vpg", "create", "again", *words, "--checkpoint-interval", "1", "--json")
    lab.vpg = "again"
    lab.checkpoint_now(lab.vpg_id, "all of it")
    task = lab.task("south", lab.delete("xml", Force=True, keepRecoveryVolumes=True))
    assert task["Status"]["State"] == COMPLETED, task
    kept = lab.kept()
    assert kept["VpgName"] == "again"
    for content, disk in zip(lab.contents(kept), lab.vm_contents(), strict=True):
        assert content == disk
    until(lab.is_gone, 30, "the VPG is gone at both sites")
