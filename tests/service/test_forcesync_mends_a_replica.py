"""A byte of the replica that changed without anybody's doing is found and put right by forcesync [S1]."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from xml.etree.ElementTree import fromstring

import httpx
import pytest

from farshore.datapath.replica.image import image_path
from tests.api_lab import ApiLab
from tests.recovery_lab import Reference
from tests.service.recovery_requests import NOTATIONS
from tests.storage_lab import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
MIB = 1 << 20
DISK_BYTES = 16 * MIB
QUIET = 14 * MIB
"""From there on nothing is written to the disks, so no later record of the journal lies above the replica."""
API = "{http://schemas.zerto.com/zvm/api}"


class Quiet(Reference):
    """A writer that leaves the last part of each disk alone."""

    def write_once(self) -> None:
        """One write of 4 KiB."""
        name = self.random.choice(sorted(self.clients))
        offset, data = self.random.randrange(0, QUIET - 4096) & ~511, self.random.randbytes(4096)
        self.clients[name].pwrite(offset, data)
        self.content[name][offset : offset + 4096] = data
        self.writes += 1


@pytest.fixture(scope="module")
def lab() -> Iterator[ApiLab]:
    """One VM with two disks, protected, with a first checkpoint."""
    with ApiLab(vms=1, size="16M") as made:
        made.chain.end()
        promoted(made)
        yield made


def forcesync(lab: ApiLab, notation: str) -> str:
    """Order it, at the one site in JSON, at the other in XML; its task."""
    path = f"{lab.path}/forcesync"
    if notation == "json":
        return str(lab.api["south"].order("POST", path))
    api = lab.api["north"]
    api.request("GET", "/v1/localsite")  # signs in
    context = ssl.create_default_context(cafile=api.site["ca"])
    with httpx.Client(base_url=api.site["url"], verify=context, trust_env=False, timeout=30) as client:
        headers = api.headers | {"Content-Type": "application/xml", "Accept": "application/xml"}
        reply = client.post(path, content=b"", headers=headers)
    assert reply.status_code == 200, reply.text
    return str(fromstring(reply.text).findtext(f"{API}TaskIdentifier"))


def spoil(lab: ApiLab, number: int, at: int) -> None:
    """Change one byte of the replica's image, behind the product's back."""
    with open(image_path(lab.journal_folder(), number), "r+b") as image:
        assert image.seek(0, os.SEEK_END) == DISK_BYTES
        image.seek(at)
        image.write(b"\x01")


def promoted(lab: ApiLab) -> None:
    """Have the first sync written into the replica: for a moment the history is two seconds long."""
    first = int(lab.checkpoint_now(lab.vpg_id, "first"))
    lab.call("south", "call", "configure_journal", vpg_id=lab.vpg_id, history_seconds=2)
    until(lambda: int(lab.call("south", "list_checkpoints", lab.vpg_id, limit=1)[0]["id"]) > first, 60, "promoted")
    lab.call("south", "call", "configure_journal", vpg_id=lab.vpg_id, history_seconds=3600)


@pytest.mark.parametrize("notation", NOTATIONS)
def test_s1_forcesync_finds_a_byte_that_changed_by_itself(lab: ApiLab, notation: str) -> None:
    """While the VM writes: the checkpoint before it is wrong in that byte, the one after it right in all of them."""
    numbers = lab.volumes(lab.checkpoint_now(lab.vpg_id, "now"), lab.vpg_id)
    name = min(numbers)
    at = QUIET + MIB + (4711 if notation == "json" else 815)
    spoil(lab, numbers[name], at)
    before = lab.checkpoint_now(lab.vpg_id, "before")
    assert lab.view_of(before, numbers[name])[at] == 1  # or this test would show nothing
    writer = Quiet(lab.protected_disks(), seed=at)
    writer.start()
    try:
        site = "south" if notation == "json" else "north"
        task = lab.task(site, forcesync(lab, notation))
    finally:
        writer.end()
    assert task["Status"] == {"State": 6, "Progress": 100}, task
    assert writer.failures == []
    assert writer.writes > 0
    after = lab.checkpoint_now(lab.vpg_id, "after")
    writer.check(lambda disk: lab.view_of(after, numbers[disk]))
    assert before in [each["id"] for each in lab.call("south", "list_checkpoints", lab.vpg_id)]
