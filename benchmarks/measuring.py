"""What all benchmarks share: fio runs, peers started and stopped, paired rounds, the median and the quartiles."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """One fio job. `name` as it is shown."""

    name: str
    pattern: str
    block: str
    depth: int


TAP_JOBS = (Job("4 KiB QD32", "randwrite", "4k", 32), Job("64 KiB QD16", "write", "64k", 16))
GUEST_JOBS = (Job("4 KiB QD1", "randwrite", "4k", 1), Job("4 KiB QD32", "randwrite", "4k", 32))


@contextlib.contextmanager
def short_folder() -> Iterator[Path]:
    """A folder whose path leaves room for sockets; removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="fsb", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def running(command: Sequence[str], path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A server, from when its socket answers until the end of the block."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while True:
            with socket.socket(socket.AF_UNIX) as probe:
                if probe.connect_ex(os.fspath(path)) == 0:
                    break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not come up")
            time.sleep(0.02)
        yield process
    finally:
        process.terminate()
        process.wait()


def fio(uri: str, job: Job, seconds: float = 1.0, size: str = "900M") -> float:
    """Writes per second of one run of fio over NBD, with data that do not compress."""
    command = [
        "fio", "--name=t", "--ioengine=nbd", f"--uri={uri}", f"--rw={job.pattern}", f"--bs={job.block}",
        f"--iodepth={job.depth}", "--time_based", f"--runtime={seconds}", f"--size={size}", "--norandommap",
        "--randrepeat=1", "--refill_buffers", "--output-format=json",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout[done.stdout.index("{") :])["jobs"][0]["write"]["iops"])


def paired(rounds: int, ours: Callable[[], float], peer: Callable[[], float]) -> list[tuple[float, float]]:
    """(ours, peer) of each round, run in turn, after one round that is thrown away."""
    ours()
    peer()
    return [(ours(), peer()) for _ in range(rounds)]


def tell(name: str, pairs: list[tuple[float, float]], unit: str, bar: float) -> bool:
    """Print the medians and the ratio with its quartiles; whether the bar is met."""
    ratios = sorted(a / b for a, b in pairs)
    middle = statistics.median(ratios)
    low, high = (statistics.quantiles(ratios, n=4)[i] for i in (0, 2)) if len(ratios) > 2 else (ratios[0], ratios[-1])
    ours, peer = (statistics.median(values) for values in zip(*pairs, strict=True))
    verdict = "ok" if middle >= bar else "MISSED"
    print(
        f"{name:44} {ours:12,.1f} {peer:12,.1f} {unit:10} ratio {middle:5.2f} ({low:.2f}..{high:.2f}), "
        f"at least {bar}: {verdict}  load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    return middle >= bar
