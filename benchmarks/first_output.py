"""From the call of a failover test to the guest's first serial output, beside a plain QEMU start of that guest.

The bar is a difference: at most 2 s more than the plain start, the median of the rounds.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.storage_lab import farshore

ROUNDS = 5
MORE_SECONDS_MAX = 2.0
OUTPUT_SECONDS_MAX = 60.0


def run() -> bool:
    """Paired rounds on one lab; whether the bar was met."""
    with one_guest() as (south, vm, folder):
        pairs = [(recovered(south), plain(vm, folder)) for _ in range(ROUNDS)]
    return judge("test's call to first output / plain QEMU start", pairs, MORE_SECONDS_MAX)


@contextlib.contextmanager
def one_guest() -> Iterator[tuple[Path, dict[str, Any], Path]]:
    """A lab with one protected guest: south's folder, the guest's definition, a folder for scratch."""
    folder = Path(tempfile.mkdtemp(prefix="fsb", dir="/tmp"))
    lab = folder / "lab"
    try:
        words = ("--guest", "real", "--vms", 1, "--disks", 2, "--size", "128M", "--vpg", "bench", "--json")
        made = farshore("lab", "up", "--dir", lab, *words, timeout=300)
        south = next(Path(site["folder"]) for site in made["sites"] if site["name"] == "south")
        (definition,) = (lab / "north" / "vms").glob("*.json")
        yield south, json.loads(definition.read_text()), folder
    finally:
        farshore("lab", "down", "--dir", lab, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def judge(name: str, pairs: list[tuple[float, float]], more_seconds_max: float) -> bool:
    """Print the medians of (ours, peer) and how much more ours is; whether that is within the bar."""
    ours, peer = (statistics.median(values) for values in zip(*pairs, strict=True))
    more = statistics.median(a - b for a, b in pairs)
    verdict = "ok" if more <= more_seconds_max else "MISSED"
    figures = f"{ours:12.2f} {peer:12.2f} s          more {more:.2f} s, at most {more_seconds_max:g}: {verdict}"
    print(f"{name:44} {figures}", flush=True)
    return more <= more_seconds_max


def recovered(south: Path) -> float:
    """Seconds from the command to the recovered guest's first byte; the test is stopped again."""
    before = set((south / "log").glob("*.serial"))
    began = time.monotonic()
    command = subprocess.Popen(
        [sys.executable, "-m", "farshore", "vpg", "test", "bench", "--no-wait", "--site-dir", os.fspath(south)],
        stdout=subprocess.DEVNULL,
    )
    elapsed = first_byte(lambda: set((south / "log").glob("*.serial")) - before, began)
    command.wait()
    _stop_test(south)
    return elapsed


def _stop_test(south: Path) -> None:
    deadline = time.monotonic() + OUTPUT_SECONDS_MAX
    while farshore("vpg", "test-stop", "bench", "--site-dir", south, check=False).returncode:
        if time.monotonic() > deadline:
            raise RuntimeError("the test could not be stopped")
        time.sleep(0.2)
    for path in (south / "log").glob("*.serial"):
        path.unlink()


def plain(vm: dict[str, Any], folder: Path) -> float:
    """Seconds from the start of QEMU by hand to the same guest's first byte, its disks as snapshots."""
    serial = folder / "plain.serial"
    serial.unlink(missing_ok=True)
    command = [
        "qemu-system-x86_64", "-machine", "q35,accel=tcg", "-m", str(vm["memory_mib"]), "-nodefaults",
        "-display", "none",
        "-no-reboot", "-kernel", vm["kernel"], "-initrd", vm["initrd"], "-append", vm["append"],
        "-serial", f"file:{serial}",
    ]  # fmt: skip
    for disk in vm["disks"]:
        source = f"file.driver=file,file.filename={disk['path']},file.locking=off"
        command += ["-drive", f"{source},format=raw,if=virtio,snapshot=on"]
    began = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        return first_byte(lambda: {serial}, began)
    finally:
        process.kill()
        process.wait()


def first_byte(candidates: Any, began: float) -> float:
    """Seconds from `began` until one of the files that `candidates` gives holds something."""
    while True:
        if any(path.exists() and path.stat().st_size for path in candidates()):
            return time.monotonic() - began
        if time.monotonic() - began > OUTPUT_SECONDS_MAX:
            raise RuntimeError("no guest output")
        time.sleep(0.01)
