"""Parts 1 and 2: two sites, paired; two VMs at north that write a chain of records."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from farshore.errors import Fault
from farshore.lab.demo.checks import Check, check_grew, check_paired
from farshore.lab.demo.evidence import layouts_by_name
from farshore.lab.demo.stage import DISK_SIZE, Stage
from farshore.lab.state import Lab
from farshore.lab.testimony import Testimony

WRITING_SECONDS = 90.0
RANDOM_BYTES_MIN = 64 << 20
RECORDS_BEFORE_PROTECTION = 10


def raise_sites(stage: Stage) -> None:
    """Part 1: a manager, a watcher and carriers each, own folders and databases, paired over mutual TLS."""
    stage.part(1, "Two sites on this machine, paired with a one-time token")
    words = ("lab", "up", "--dir", os.fspath(stage.folder), "--guest", "real", "--vms", "2", "--disks", "2")
    seconds = stage.command(*words, "--size", DISK_SIZE)
    stage.addresses = [site.address for site in Lab.load(stage.folder).sites]
    stage.measured.add("two sites up and paired, two VMs started", f"{seconds:.1f} s")
    for site in ("north", "south"):
        stage.command("site", "status", "--dir", os.fspath(stage.site(site)))
    peers: dict[str, Any] = {}
    for site in ("north", "south"):
        with stage.api(site) as api:
            peers[site] = api.get("/peersites")
    stage.check(check_paired(peers))


def boot_guests(stage: Stage) -> None:
    """Part 2: the guests have booted and write; a witness that is no part of the product notes what they say."""
    stage.part(2, "Two VMs with two disks each; their guests write a chain of numbered records")
    stage.command("vm", "list", "--site-dir", os.fspath(stage.site("north")))
    found = stage.ask("lab", "status", "--dir", os.fspath(stage.folder))
    stage.start_witness({vm["name"]: Path(vm["serial_log"]) for vm in found["vms"] if vm["site"] == "north"})
    layouts = stage.layouts = layouts_by_name(stage.site("north"))
    least = min(sum(extent.length for extent in layout.random) for layout in layouts.values())
    words = f"at least {least >> 20} MiB each"
    stage.check(Check("the disks hold at least 64 MiB of random data each", least >= RANDOM_BYTES_MIN, words))
    letters = [layout.letter for layout in layouts.values()]
    tops = wait_for_records(stage, dict.fromkeys(letters, RECORDS_BEFORE_PROTECTION))
    stage.check(check_grew("the guests write", dict.fromkeys(letters, 0), tops))


def witnessed_tops(stage: Stage, letters: list[str]) -> dict[str, int]:
    """The last record of each disk that the witness saw acknowledged."""
    if not stage.testimony_file.exists():
        return dict.fromkeys(letters, 0)
    testimony = Testimony.read(stage.testimony_file)
    return {letter: testimony.last_acknowledged(letter) for letter in letters}


def wait_for_records(stage: Stage, wanted: Mapping[str, int]) -> dict[str, int]:
    """Wait until each disk has come so far. Raises Fault with how far they are."""
    deadline = time.monotonic() + WRITING_SECONDS
    while True:
        tops = witnessed_tops(stage, list(wanted))
        if all(tops[letter] >= number for letter, number in wanted.items()):
            return tops
        if time.monotonic() > deadline:
            raise Fault(f"The guests did not write within {WRITING_SECONDS:.0f} s: {tops}.", "See their serial logs.")
        time.sleep(0.1)
