"""From the call of a failover to the guest's first serial output, beside a plain QEMU start of that guest.

The bar is a difference: at most 1.5 s more than the plain start, the median of the rounds; the same with ten and with
a thousand checkpoints in the journal.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.first_output import first_byte, judge, one_guest, plain
from farshore.cli.access import Access
from farshore.cli.client import SiteClient
from tests.storage_lab import farshore

ROUNDS = 5
MORE_SECONDS_MAX = 1.5
CHECKPOINTS = (10, 1000)
WAIT_SECONDS_MAX = 600.0
AT_ONCE = 20
RUNNING = 1


def run() -> bool:
    """Paired rounds on one lab for each number of checkpoints; whether the bar was met by all."""
    met = []
    with one_guest() as (south, vm, folder):
        for wanted in CHECKPOINTS:
            there = _have_checkpoints(south, wanted)
            pairs = [(recovered(south), plain(vm, folder)) for _ in range(ROUNDS)]
            met.append(judge(f"failover to first output, {there} checkpoints", pairs, MORE_SECONDS_MAX))
    return all(met)


def _have_checkpoints(south: Path, wanted: int) -> int:
    """Cut tagged checkpoints until so many are listed; gives how many there are."""
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    with SiteClient(Access.load(south)) as site:
        (vpg,) = site.get("/vpgs")
        path = f"/vpgs/{vpg['VpgIdentifier']}/checkpoints"
        while (there := len(site.get(path))) < wanted:
            if time.monotonic() > deadline:
                raise RuntimeError(f"there are only {there} checkpoints")
            orders = [site.post(path, {"CheckpointName": f"bench {n}"}) for n in range(min(wanted - there, AT_ONCE))]
            for task in orders:
                _await_end(site, task["TaskIdentifier"], deadline)
    return there


def _await_end(site: SiteClient, task: str, deadline: float) -> None:
    while site.get(f"/tasks/{task}")["Status"]["State"] == RUNNING:
        if time.monotonic() > deadline:
            raise RuntimeError("a checkpoint is never durable")
        time.sleep(0.05)


def recovered(south: Path) -> float:
    """Seconds from the command to the recovered guest's first byte; the failover is rolled back again."""
    before = set((south / "log").glob("*.serial"))
    began = time.monotonic()
    command = subprocess.Popen(
        [sys.executable, "-m", "farshore", "vpg", "failover", "bench", "--yes", "--site-dir", os.fspath(south)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    elapsed = first_byte(lambda: set((south / "log").glob("*.serial")) - before, began)
    if command.wait():
        raise RuntimeError("the failover failed")
    farshore("vpg", "rollback", "bench", "--yes", "--site-dir", south)
    for path in (south / "log").glob("*.serial"):
        path.unlink()
    _await_protection(south)
    return elapsed


def _await_protection(south: Path) -> None:
    """Until a checkpoint is cut again: its order is taken only then."""
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while farshore("vpg", "checkpoint", "bench", "again", "--site-dir", south, check=False).returncode:
        if time.monotonic() > deadline:
            raise RuntimeError("the VPG is not protected again")
        time.sleep(0.2)
