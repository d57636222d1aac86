"""Pause, resume and a sync by hashes of real VMs that are written to, over HTTPS [S1-S3]."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from farshore.cli.processes import site_processes
from tests.recovery_lab import RecoveryLab, Reference
from tests.service.test_operations_on_a_lab import ApiOf
from tests.storage_lab import farshore, until

pytestmark = pytest.mark.timeout(240)
PAUSED_BY_A_PERSON, NONE = 25, 0


@pytest.fixture(scope="module")
def lab() -> Iterator[RecoveryLab]:
    """One VM with two disks, protected, with a first checkpoint."""
    with RecoveryLab(vms=1, disks=2, size="16M") as made:
        made.begin()
        until(made.checkpoints, 60, "a first checkpoint")
        made.chain.end()
        yield made


class Steered:
    """The VPG of a lab by its sites' APIs, and a writer of its disks."""

    def __init__(self, lab: RecoveryLab) -> None:
        self.lab, self.vpg_id = lab, lab.vpg_id
        self.north, self.south = (ApiOf(lab.site(name)) for name in ("north", "south"))
        self.path = f"/v1/vpgs/{self.vpg_id}"

    def status(self) -> dict:
        """Of the protected site's appliance."""
        return self.lab.call("north", "protection_status", self.vpg_id)

    def order(self, api: ApiOf, action: str) -> dict:
        """Give the order; its task, completed."""
        return api.completed(api.order("POST", f"{self.path}/{action}"))

    def protecting(self) -> dict:
        """Wait until it protects; its status."""

        def found():
            status = self.status()
            return status if status["state"] == "protecting" else None

        return until(found, 60, "it protects")

    def newest(self) -> int:
        """The newest checkpoint."""
        (found,) = self.lab.call("south", "list_checkpoints", self.vpg_id, limit=1, newest_first=True)
        return int(found["id"])

    def check(self, writer: Reference, tag: str) -> None:
        """A checkpoint that is cut now holds what was written, to the last byte."""
        checkpoint = self.lab.checkpoint_now(self.vpg_id, tag)
        numbers = self.lab.volumes(checkpoint, self.vpg_id)
        writer.check(lambda name: self.lab.view_of(checkpoint, numbers[name]))

    def written(self, count: int) -> Reference:
        """So many writes."""
        writer = Reference(self.lab.protected_disks(), seed=count)
        for _ in range(count):
            writer.write_once()
        writer.end()
        return writer


def test_s2_pause_stops_the_stream_and_nothing_else(lab: RecoveryLab) -> None:
    """Ordered at the recovery site: no more checkpoints, those that are there stay, it says so everywhere."""
    steered = Steered(lab)
    steered.protecting()
    reply = steered.south.request("POST", f"{steered.path}/pause")
    assert reply.status_code == 200
    task = steered.south.completed(reply.json()["TaskIdentifier"])
    assert "paused" in task["CompleteReason"]
    assert steered.status()["state"] == "paused"
    newest = steered.newest()
    for api in (steered.north, steered.south):
        until(lambda api=api: api.vpgs()[0]["SubStatus"] == PAUSED_BY_A_PERSON, 20, "it says that it is paused")
        for refused in ("pause", "forcesync"):
            assert api.request("POST", f"{steered.path}/{refused}").status_code == 409
    assert steered.south.request("POST", f"{steered.path}/Checkpoints", {"CheckpointName": "x"}).status_code == 409
    assert steered.south.request("POST", f"{steered.path}/move").status_code == 409
    assert "Resume it first" in steered.south.request("POST", f"{steered.path}/Failover", {"ShutdownPolicy": 2}).text
    steered.written(20)
    for site, role in (("north", "watcher"), ("north", "manager"), ("south", "watcher")):
        for process in site_processes(lab.folder_of(site)):
            if process.role == role:
                os.kill(process.pid, signal.SIGKILL)
    lab.await_appliance("north")
    lab.await_appliance("south")
    until(lambda: steered.status()["state"] == "paused", 30, "it stays paused")
    test = steered.south.order("POST", f"{steered.path}/FailoverTest")
    steered.south.completed(test)
    steered.order(steered.south, "FailoverTestStop")
    assert steered.newest() == newest


def test_s3_resume_reads_what_changed_and_no_more(lab: RecoveryLab) -> None:
    """By bitmap; then checkpoints come, and hold all that was written before, while and after it was paused."""
    steered = Steered(lab)
    assert steered.status()["state"] == "paused"
    newest, writer = steered.newest(), steered.written(10)
    task = steered.order(steered.north, "resume")
    assert "Bitmap sync" in task["CompleteReason"]
    last = steered.protecting()["last_sync"]
    assert last["kind"] == "bitmap"
    assert 0 < last["read_bytes"] < 12 << 20  # of 32 MiB
    until(lambda: steered.newest() > newest, 30, "checkpoints again")
    steered.check(writer, "after the resume")
    for api in (steered.north, steered.south):
        until(lambda api=api: api.vpgs()[0]["SubStatus"] == NONE, 20, "nothing going on")
        assert api.request("POST", f"{steered.path}/resume").status_code == 409


def test_s1_forcesync_compares_every_volume(lab: RecoveryLab) -> None:
    """All is read, next to nothing sent; checkpoints before it stay, and one after it is right to the last byte."""
    steered = Steered(lab)
    steered.protecting()
    writer = steered.written(5)
    before = steered.lab.checkpoint_now(steered.vpg_id, "before")
    task = steered.order(steered.south, "forcesync")
    assert "Delta sync" in task["CompleteReason"]
    last = steered.protecting()["last_sync"]
    assert (last["kind"], last["total_bytes"]) == ("delta", 32 << 20)
    assert last["sent_bytes"] < 1 << 20
    steered.check(writer, "after the comparison")
    listed = lab.call("south", "list_checkpoints", steered.vpg_id)
    assert before in [checkpoint["id"] for checkpoint in listed]


def test_s2_a_pause_is_taken_with_the_other_site_away(lab: RecoveryLab) -> None:
    """At the protected site alone, and resumed there: that says that it goes on by itself."""
    steered = Steered(lab)
    steered.protecting()
    farshore("lab", "kill", "south", "all", "--dir", lab.folder / "lab")
    steered.order(steered.north, "pause")
    assert steered.status()["state"] == "paused"
    until(lambda: steered.north.request("POST", f"{steered.path}/forcesync").status_code in (409, 503), 5, "refused")
    task = steered.order(steered.north, "resume")
    assert "It goes on by itself" in task["CompleteReason"]
