"""CA6: several VPGs are failed over while the protected site hangs: connections to it open, and nobody ever answers."""

from __future__ import annotations

import contextlib
import os
import signal
import time

import pytest

from farshore.cli.processes import site_processes
from tests.api_lab import COMPLETED, FAILED, MEETING_SLA, RUNNING
from tests.recovery_lab import RecoveryLab
from tests.service.test_operations_on_a_lab import ApiOf
from tests.storage_lab import until

FAILING_OVER, BEFORE_COMMIT = 5, 15
SECONDS_MAX = 60
LEFT_ALONE = "vpg-0"

pytestmark = pytest.mark.timeout(400)


class Lab(RecoveryLab):
    """A VPG for each VM."""

    def __init__(self, count):
        super().__init__(vms=count, disks=1, size="8M")
        try:
            self.south = ApiOf(self.site("south"))
            self.names = [f"vpg-{number}" for number in range(count)]
            for name, vm in zip(self.names, self.made["vms"], strict=True):
                self.run("north", "vpg", "create", name, "--vm", vm["name"], "--checkpoint-interval", 5, "--json")
            until(lambda: all(v["Status"] == MEETING_SLA for v in self.vpgs().values()), 120, "all are protected")
        except BaseException:
            self.close()
            raise

    def vpgs(self):
        """{name: VPG} as south lists them."""
        return {vpg["VpgName"]: vpg for vpg in self.south.vpgs()}

    def order(self, name, action, **body):
        """Give an order to south; its task."""
        return self.south.order("POST", f"/v1/vpgs/{self.vpgs()[name]['VpgIdentifier']}/{action}", body)

    def task(self, task_id):
        """How a task stands."""
        return self.south.request("GET", f"/v1/tasks/{task_id}").json()

    def signal_north(self, number):
        """To all of its processes, the VMs' too."""
        for process in site_processes(self.folder_of("north")):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, number)

    def left_of(self, task_id):
        """Whatever an operation has at south."""
        operation, south = task_id.split(".")[0], self.folder_of("south")
        kinds = ("appliance/views", "appliance/recovered", "scratch", "journal/*/pins")
        return [path for kind in kinds for path in south.glob(f"{kind}/*{operation}*")]


@pytest.mark.parametrize("count", [3, pytest.param(11, marks=pytest.mark.slow)])
def test_no_step_waits_for_a_site_that_hangs(count):
    """All in Before Commit within 60 s; one whose VMs shall be shut down there fails in that time, nothing changed."""
    with Lab(count) as lab:
        names = [name for name in lab.names if name != LEFT_ALONE]
        lab.signal_north(signal.SIGSTOP)
        try:
            began = time.monotonic()
            tasks = [lab.order(name, "Failover", CommitPolicy="None", ShutdownPolicy=0) for name in names]
            until(lambda: all(lab.task(task)["Status"]["State"] != RUNNING for task in tasks), SECONDS_MAX, "ended")
            seconds = time.monotonic() - began
            print(f"{len(names)} VPGs were in Before Commit after {seconds:.1f} s")
            assert seconds < SECONDS_MAX
            assert [lab.task(task)["Status"]["State"] for task in tasks] == [COMPLETED] * len(names)
            found = {name: (vpg["Status"], vpg["SubStatus"]) for name, vpg in lab.vpgs().items() if name in names}
            assert found == dict.fromkeys(names, (FAILING_OVER, BEFORE_COMMIT))
            vms = [vm for vm in lab.call("south", "call", "list_vms") if vm["recovered"]]
            assert [vm["power"] for vm in vms] == ["running"] * len(names)
            check_that_a_shutdown_fails(lab)
        finally:
            lab.signal_north(signal.SIGCONT)
        until(lambda: lab.vpgs()[LEFT_ALONE]["Status"] == MEETING_SLA, 120, "what was not failed over is protected")


def check_that_a_shutdown_fails(lab):
    """The task ends as Failed, naming the site; of all that the operation had nothing is left."""
    began = time.monotonic()
    task_id = lab.order(LEFT_ALONE, "Failover", CommitPolicy="None", ShutdownPolicy=1)
    task = until(lambda: (found := lab.task(task_id))["Status"]["State"] != RUNNING and found, SECONDS_MAX, "its end")
    print(f"with a shutdown it failed after {time.monotonic() - began:.1f} s: {task['CompleteReason']}")
    assert task["Status"]["State"] == FAILED
    assert "north" in task["CompleteReason"]
    assert lab.left_of(task_id) == []
    assert lab.vpgs()[LEFT_ALONE]["Status"] != FAILING_OVER
