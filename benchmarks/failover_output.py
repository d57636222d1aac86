"""From the call of a failover to the guest's first serial output, beside a plain QEMU start of that guest.

The bar is a difference: at most 1.5 s more than the plain start, the median of the rounds; the same with ten and with
a thousand checkpoints in the journal.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.first_output import first_byte, judge, one_guest, plain
from tests.storage_lab import farshore

ROUNDS = 5
MORE_SECONDS_MAX = 1.5
CHECKPOINTS = (10, 1000)
WAIT_SECONDS_MAX = 600.0
AT_ONCE = 4


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
    while (there := _count(south)) < wanted:
        if time.monotonic() > deadline:
            raise RuntimeError(f"there are only {there} checkpoints")
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda number: _cut(south, number), range(min(wanted - there, 40))))
    return there


def _count(south: Path) -> int:
    return len(farshore("vpg", "checkpoints", "bench", "--site-dir", south, "--json"))


def _cut(south: Path, number: int) -> None:
    farshore("vpg", "checkpoint", "bench", f"bench {number}", "--no-wait", "--site-dir", south)


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
