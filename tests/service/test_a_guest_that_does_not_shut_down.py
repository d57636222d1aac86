"""CA16 on storage VMs, whose disks cannot be taken away when asked for as long as somebody has them open."""

from __future__ import annotations

import os
import signal

import pytest

from farshore.model.site import SiteConfig
from tests.api_lab import FAILED, ApiLab
from tests.storage_lab import until

SHUTDOWN_SECONDS = 3.0

pytestmark = pytest.mark.timeout(400)


class Lab(ApiLab):
    """A guest is given 3 s to shut down instead of 5 min."""

    def __init__(self):
        super().__init__(vms=1)
        folder = self.folder_of("south")
        config = SiteConfig.load(folder)
        settings = config.settings.model_copy(update={"shutdown_seconds": SHUTDOWN_SECONDS})
        config.model_copy(update={"settings": settings}).save(folder)
        for pid, role in self.processes("south"):
            if role == "manager":
                os.kill(pid, signal.SIGKILL)
        self.await_protected("north")

    def failed(self, action, body):
        """Give an order that fails; why."""
        task = self.task("south", self.api["south"].order("POST", f"{self.path}/{action}", body))
        assert task["Status"]["State"] == FAILED, task
        return task["CompleteReason"]

    def check_last_writes(self):
        """What was recovered holds every record that was answered, to the last one."""
        self.chain.end()
        assert self.chain.failures  # it lost its disks in the midst of writing
        newest = self.call("south", "list_checkpoints", self.path.rpartition("/")[2])[-1]["id"]
        assert self.check_law(asked_ns=1 << 62, only=newest) == 1


def test_it_stays_as_it_is_or_is_halted_with_its_last_write():
    """Policy 1 fails and changes nothing; a move halts it by force; one that does as asked, or is off, is fine."""
    with Lab() as lab:
        reason = lab.failed("Failover", {"CommitPolicy": "None", "ShutdownPolicy": 1})
        assert "vm-1 did not shut down within 3 s" in reason
        assert "All is as before" in reason
        before = len(lab.chain.acknowledged[0])
        until(lambda: len(lab.chain.acknowledged[0]) > before + 10, 20, "it is written to")
        assert not lab.chain.failures
        lab.await_protected("north")
        lab.order("south", "move", {"CommitPolicy": "None"})
        lab.check_last_writes()
        lab.order("south", "moveRollback")
        lab.await_protected("north")
        assert lab.vms("north")["vm-1"]["power"] == "running"
        check_others(lab)


def check_others(lab):
    """Nobody has its disks open any more, so it does as it is asked; then it is off. What is not sure is said."""
    lab.order("south", "Failover", {"CommitPolicy": "None", "ShutdownPolicy": 1})
    lab.order("south", "FailoverRollback")
    lab.await_protected("north")
    lab.lab("kill", "north", "vms")
    task_id = lab.order("south", "Failover", {"CommitPolicy": "None", "ShutdownPolicy": 2})
    report = lab.run("south", "report", "show", task_id, "--json")
    assert "A VM was off already" in report["General"]["Notes"]
