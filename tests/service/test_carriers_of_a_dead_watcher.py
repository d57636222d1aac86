"""Carriers that outlive their watcher, stopped, are ended by the next one: they keep nothing for long."""

import os
import signal

import pytest

from farshore.cli.processes import is_alive, site_processes
from tests.recovery_lab import RecoveryLab
from tests.storage_lab import until


@pytest.mark.timeout(120)
def test_watcher_and_journal_are_stopped_together():
    """The next watcher ends the old carrier, which would hold the journal for ever; checkpoints go on."""
    with RecoveryLab(vms=1, disks=1, size="8M") as lab:
        lab.begin()
        until(lab.checkpoints, 60, "a first checkpoint")
        (watcher,) = [p for p in site_processes(lab.folder_of("south")) if p.role == "watcher"]
        (carrier,) = [
            p
            for p in site_processes(lab.folder_of("south"))
            if "farshore.datapath.journal_carrier" in p.command and p.parent == watcher.pid
        ]
        newest = max(checkpoint["time_ns"] for checkpoint in journal_checkpoints(lab))
        os.kill(carrier.pid, signal.SIGSTOP)
        os.kill(watcher.pid, signal.SIGKILL)
        until(lambda: max(c["time_ns"] for c in journal_checkpoints(lab)) > newest, 30, "a checkpoint after it")
        assert carrier.pid not in [p.pid for p in site_processes(lab.folder_of("south"))]


@pytest.mark.timeout(120)
def test_every_carrier_is_stopped_before_its_watcher_dies():
    """None of them is left, protection goes on, and no write fails or takes 2 s."""
    with RecoveryLab(vms=1, disks=1, size="8M") as lab:
        lab.begin()
        until(lab.checkpoints, 60, "a first checkpoint")
        folder = lab.folder_of("north")
        (watcher,) = [p for p in site_processes(folder) if p.role == "watcher"]
        carriers = [p for p in site_processes(folder) if p.parent == watcher.pid and p.role == "carrier"]
        assert len(carriers) == 2, carriers
        newest = max(checkpoint["time_ns"] for checkpoint in journal_checkpoints(lab))
        for process in (*carriers, watcher):
            os.kill(process.pid, signal.SIGSTOP)
        os.kill(watcher.pid, signal.SIGKILL)
        until(lambda: max(c["time_ns"] for c in journal_checkpoints(lab)) > newest + 10**9, 30, "a checkpoint after it")
        assert not [carrier for carrier in carriers if is_alive(carrier.instance)]
        lab.chain.end()
        assert not lab.chain.failures
        assert lab.chain.worst_seconds < 2


def journal_checkpoints(lab):
    """As the carrier that runs lists them. Raises AssertionError while none answers."""
    try:
        return lab.call("south", "list_checkpoints", lab.vpg_id)
    except Exception as error:
        raise AssertionError(str(error)) from error
