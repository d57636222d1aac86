"""CA9: either site's clock is set back an hour and forward two days, as if somebody had set the machine's."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.api_lab import SITES, ApiLab
from tests.storage_lab import ROOT, until

HOUR, DAYS = 3600, 2 * 86400
FAILING_OVER = 5
WAIT_SECONDS = 600

pytestmark = [pytest.mark.timeout(400), pytest.mark.slow]


def summer_time_soon():
    """A time zone whose summer time begins in a minute."""
    begin = time.gmtime(time.time() + 60)
    return f"AAA0BBB,{begin.tm_yday - 1}/{begin.tm_hour}:{begin.tm_min:02},{(begin.tm_yday + 30) % 365}/2"


class Lab(ApiLab):
    """A lab each site of which has a clock that the test can set (tests/clocks)."""

    def __init__(self):
        self.clocks = Path(tempfile.mkdtemp(prefix="fsc", dir="/tmp"))
        for site in SITES:
            self.set(site, 0)
        path = f"{ROOT / 'src'}{os.pathsep}{ROOT / 'tests' / 'clocks'}"
        environment = {"PYTHONPATH": path, "FARSHORE_CLOCKS": str(self.clocks), "TZ": summer_time_soon()}
        super().__init__(vms=1, environment=environment)
        self.ids = {site: self.api[site].request("GET", "/v1/localsite").json()["SiteIdentifier"] for site in SITES}

    def set(self, site, seconds):
        """The site's clock is off by that from now on."""
        aside = self.clocks.parent / f"{self.clocks.name}.new"
        aside.write_text(str(seconds))
        aside.replace(self.clocks / site)

    def listed(self):
        """All checkpoints as the journal lists them."""
        return self.call("south", "list_checkpoints", self.path.rpartition("/")[2])

    def close(self):
        super().close()
        shutil.rmtree(self.clocks, ignore_errors=True)


def check_after(lab, site, seconds):
    """Checkpoints go on, in the stream's order, each once; none has gone; the RPO is no less than 0; it is told."""
    other = next(name for name in SITES if name != site)
    before = [checkpoint["id"] for checkpoint in lab.listed()]
    lab.set(site, seconds)
    until(lambda: len(lab.listed()) >= len(before) + 3, 30, f"{site} {seconds}: checkpoints go on")
    listed = lab.listed()
    ordinals = [int(checkpoint["id"]) for checkpoint in listed]
    assert ordinals == sorted(set(ordinals))
    assert [checkpoint["id"] for checkpoint in listed][: len(before)] == before
    if site == "north" and seconds:
        off = (listed[-1]["time_ns"] - time.time_ns()) / 1e9
        assert abs(off - seconds) < 20, "the test's own clock is not the product's"
    [vpg] = lab.api["south"].vpgs()
    assert vpg["ActualRPO"] >= 0
    times = {each["CheckpointIdentifier"]: each["TimeStamp"] for each in lab.checkpoints()}
    utc = datetime.fromtimestamp(listed[-1]["time_ns"] / 1e9, UTC).isoformat(timespec="seconds")[:19]
    assert times[listed[-1]["id"]][:19] == utc
    assert times[listed[-1]["id"]].endswith("Z")
    until(lambda: "was set" in lab.alerts(site).get("clock", ""), 20, f"{site} tells of its clock")
    key = f"clock {lab.ids[site]}"
    until(lambda: (key in lab.alerts(other)) == bool(seconds), 20, f"{other} tells of the clock of {site}")


def recovery_of(lab):
    """The failover in Before Commit, as the API shows it."""
    [vpg] = lab.api["south"].vpgs()
    return vpg["ActiveProcessesApi"]["RunningRecovery"]


def check_countdown(lab):
    """The time in Before Commit is not moved by a clock that is, and the latest checkpoint is the stream's last."""
    newest = int(lab.listed()[-1]["id"])
    policy = {"CommitPolicy": "Rollback", "TimeToWaitBeforeShutdownInSec": WAIT_SECONDS}
    lab.order("south", "Failover", policy)
    assert int(recovery_of(lab)["CheckpointIdentifier"]) >= newest
    began = time.monotonic()
    for seconds in (DAYS, -HOUR):
        lab.set("south", seconds)
        until(lambda: lab.alerts("south").get("clock", ""), 20, "the manager has seen it")
        turned = time.monotonic()
        until(lambda turned=turned: time.monotonic() > turned + 3, 5, "three turns of the countdown")
        recovery = recovery_of(lab)
        assert lab.state("south")[0] == FAILING_OVER
        assert WAIT_SECONDS - (time.monotonic() - began) - 30 <= recovery["SecondsLeft"] <= WAIT_SECONDS


def test_nothing_goes_by_the_clock():
    """Back and forward at north and at south, each put right again; then with a failover in Before Commit."""
    with Lab() as lab:
        for site in SITES:
            for seconds in (-HOUR, DAYS, 0):
                check_after(lab, site, seconds)
        check_countdown(lab)
        lab.chain.end()
        assert not lab.chain.failures
        assert lab.check_law() > 20
