"""CA7: the protected site is cut off with its VMs writing, fails over, and comes back still believing it protects."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import time

import pytest

from farshore.errors import FarshoreError
from tests.api_lab import NEEDS_CONFIGURATION, ApiLab
from tests.storage_lab import until

pytestmark = pytest.mark.timeout(400)
PROTECT_BACK = ("vpg", "protect-back", "group")


def contents(lab):
    """Hashes of all that came from the stream at south: the VMs' disks, and the journal's own files."""
    disks = [path for vm in lab.vms("south").values() for path in (disk["path"] for disk in vm["disks"])]
    journal = [path for path in (lab.folder_of("south") / "journal").rglob("*") if path.is_file()]
    return {str(path): hashlib.sha256(open(path, "rb").read()).hexdigest() for path in [*disks, *journal]}


def kill_but_vms(lab, site, signal_number, *roles):
    """A signal to the site's processes of these roles (none named: to all but VMs)."""
    for pid, role in lab.processes(site):
        if role in roles or (not roles and role != "vm"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal_number)


def fail_over_while_cut_off(lab):
    """The link is down, north's VMs write on, and south commits without protecting back; gives when it failed over."""
    lab.lab("link", "down")
    lab.order("south", "Failover", {"CommitPolicy": "None"})
    lab.order("south", "FailoverCommit", {})
    assert lab.state("south")[1] == NEEDS_CONFIGURATION
    assert {vm["power"] for vm in lab.vms("south").values()} == {"running"}


def refused(lab):
    """Whether north's appliance has heard that its stream is of an older epoch."""
    try:
        return lab.call("north", "protection_status", lab.vpg_id)["link"] == "old_epoch"
    except FarshoreError:
        return False  # it is just being started


def writes_on(lab):
    """North's VMs are written to, and no write fails."""
    before = len(lab.chain.acknowledged[0])
    until(lambda: len(lab.chain.acknowledged[0]) > before + 10, 20, "north's VMs are written to")
    assert not lab.chain.failures


def test_what_a_site_writes_that_was_failed_over_reaches_nothing():
    """Restarted and believing, it is refused; told since when both ran; nothing is ended; a person decides."""
    with ApiLab(vms=1) as lab:
        began = time.time()
        fail_over_while_cut_off(lab)
        writes_on(lab)
        before = contents(lab)
        kill_but_vms(lab, "north", signal.SIGKILL)
        lab.lab("start", "north")
        until(lambda: lab.call("north", "protection_status", lab.vpg_id)["state"] != "starting", 60, "it protects")
        kill_but_vms(lab, "north", signal.SIGSTOP, "manager")  # so that it goes on believing
        lab.lab("link", "up")
        until(lambda: refused(lab), 60, "the old stream is refused")
        writes_on(lab)
        assert contents(lab) == before
        kill_but_vms(lab, "north", signal.SIGCONT, "manager")
        protect = lab.folder_of("north") / "appliance" / "protect"
        until(lambda: not list(protect.iterdir()), 60, "north has taken its taps off")
        check_that_it_is_told(lab, began)
        assert contents(lab) == before
        check_that_a_person_decides(lab)


def check_that_it_is_told(lab, began):
    """At both sites: needs configuration, and an alert that says which VM ran at both, and since when."""
    for site in ("north", "south"):
        alert = until(lambda site=site: lab.alerts(site).get(f"both {lab.vpg_id}"), 30, f"{site} tells it")
        since = alert.partition("both ran since ")[2].partition(",")[0]
        assert abs(time.mktime(time.strptime(since[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone - began) < 30, alert
        assert "vm-1" in alert
        until(lambda site=site: lab.state(site)[1] == NEEDS_CONFIGURATION, 30, f"{site} shows it")
        assert lab.vms(site)["vm-1"]["power"] == "running"
    writes_on(lab)


def check_that_a_person_decides(lab):
    """Protecting back asks first, is refused while the old VM runs, and begins once that was powered off."""
    asked = lab.run("south", *PROTECT_BACK, check=False)
    assert asked.returncode == 2, asked.stdout + asked.stderr
    told = lab.run("south", *PROTECT_BACK, "--yes", check=False)
    assert told.returncode not in (0, 2)
    assert "runs at site north as well" in told.stdout + told.stderr
    writes_on(lab)
    lab.lab("kill", "north", "vms")
    lab.run("south", *PROTECT_BACK, "--yes")
    lab.await_protected("south")
    assert lab.vms("north")["vm-1"]["power"] == "off"
