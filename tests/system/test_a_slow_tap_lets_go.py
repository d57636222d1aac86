"""A tap that answers every write, but late: its guests go on without it, and it is tried again later [I15]."""

import os
import signal
import threading
import time

import pytest

from tests.recovery_lab import RecoveryLab
from tests.storage_lab import until

STOPPED_SECONDS, RUNNING_SECONDS = 0.12, 0.02


class Slowing(threading.Thread):
    """Stops a process for most of the time, never for long."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self._pid, self._over = pid, threading.Event()
        self.start()

    def run(self):
        while not self._over.wait(RUNNING_SECONDS):
            os.kill(self._pid, signal.SIGSTOP)
            time.sleep(STOPPED_SECONDS)  # what it is slowed by, not a wait for anything
            os.kill(self._pid, signal.SIGCONT)

    def end(self):
        """Let it run."""
        self._over.set()
        self.join()


@pytest.mark.timeout(180)
def test_the_disks_leave_a_slow_tap_and_come_back_when_it_is_well():
    """No write fails or takes 2 s, it is said why, the guests are as quick as before, and checkpoints follow."""
    with RecoveryLab(vms=1, disks=2, size="8M") as lab:
        lab.begin()
        until(lab.checkpoints, 60, "a first checkpoint")
        (tap,) = [pid for pid, role in lab.processes("north") if role == "tap"]
        vpg_id = lab.vpg_id

        def interrupted():
            status = lab.call("north", "protection_status", vpg_id)
            return status if status["state"] == "interrupted" else None

        slowing = Slowing(tap)
        try:
            status = until(interrupted, 30, "the disks have left the tap")
            assert "the tap is slow: writes waited" in status["reason"], status
            before = len(lab.chain.acknowledged[0])
            until(lambda: len(lab.chain.acknowledged[0]) > before + 50, 5, "the guest is as quick as before")
            assert interrupted(), "it is left alone for a while"
        finally:
            slowing.end()
        came_ns = time.time_ns()

        def newest():
            (checkpoint,) = lab.call("south", "list_checkpoints", vpg_id, limit=1, newest_first=True)
            return checkpoint["time_ns"] > came_ns

        until(newest, 60, "checkpoints again")
        lab.chain.end()
        assert not lab.chain.failures
        assert lab.chain.worst_seconds < 2
        lab.check_law()
