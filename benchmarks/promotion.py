"""Live promotion of a recovered disk that is written to meanwhile, beside `qemu-img commit` of the same scratch.

At least as fast, with little and with much on the scratch; and the longest write of its user while it goes on, which is
what a pause would show in, under 100 ms. From the two sizes: what a promotion costs at all, and what a GiB of it does.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import shutil
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Self

from benchmarks.measuring import paired, running, short_folder, tell
from farshore.hypervisor.driver import Overlay
from farshore.hypervisor.registry import Hypervisors
from farshore.model.vm import DiskDefinition, VmDefinition
from farshore.nbd.client import NbdClient

PIECE_BYTES = 64 << 20
SPREAD = 4
"""How much larger the disk is than what is written on its scratch."""
RUNS = ((8, 9), (64, 3))
"""Pieces on the scratch, and rounds."""
PAUSE_SECONDS_MAX = 0.1
GIB = 1 << 30
BASE, SCRATCH = "base.raw", "scratch.qcow2"


def run() -> bool:
    """Paired rounds on copies of one scratch, for each size; whether all bars were met."""
    times: list[tuple[float, float, float]] = []
    met = True
    for pieces, rounds in RUNS:
        with short_folder() as folder:
            _make(folder, pieces)
            pairs, pauses = _rounds(folder, rounds)
        written = pieces * PIECE_BYTES
        speeds = [(written / 1e6 / mine, written / 1e6 / theirs) for mine, theirs in pairs]
        met &= tell(f"live promotion / qemu-img commit, {written >> 20} MiB", speeds, "MB/s", 1.0)
        met &= _tell_pause(pauses)
        times.append((written / GIB, *(statistics.median(seconds) for seconds in zip(*pairs, strict=True))))
    _tell_parts(times)
    return met


def _rounds(folder: Path, rounds: int) -> tuple[list[tuple[float, float]], list[float]]:
    """Seconds of ours and of the peer, and the longest write beside each of ours."""
    pauses: list[float] = []

    def ours() -> float:
        seconds, pause = asyncio.run(live(folder / "live"))
        pauses.append(pause)
        return seconds

    pairs = paired(rounds, ours, lambda: image_tool(folder / "tool"))
    return pairs, pauses[1:]


def _tell_pause(pauses: list[float]) -> bool:
    pause, longest = statistics.median(pauses), max(pauses)
    met = pause < PAUSE_SECONDS_MAX
    figures = f"{pause * 1000:12.1f} {'':12} ms         longest {longest * 1000:.1f}, "
    words = f"under {PAUSE_SECONDS_MAX * 1000:g}: {'ok' if met else 'MISSED'}"
    print(f"{'longest write meanwhile (median of rounds)':44} {figures}{words}", flush=True)
    return met


def _tell_parts(times: list[tuple[float, float, float]]) -> None:
    """Print the straight line through the medians of both sizes."""
    (little, *fast), (much, *slow) = times
    slopes = [(long - short) / (much - little) for long, short in zip(slow, fast, strict=True)]
    fixed = [short - slope * little for short, slope in zip(fast, slopes, strict=True)]
    for name, (mine, theirs) in (("its fixed part", fixed), ("and each GiB", slopes)):
        print(f"{name:44} {mine * 1000:12,.0f} {theirs * 1000:12,.0f} ms", flush=True)


def _make(folder: Path, pieces: int) -> None:
    """A plain file, and a scratch with pieces of random data all over it."""
    base, scratch = folder / BASE, folder / SCRATCH
    size = pieces * PIECE_BYTES * SPREAD
    base.touch()
    os.truncate(base, size)
    piece = scratch.with_name("piece")
    piece.write_bytes(random.randbytes(PIECE_BYTES))
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", scratch, str(size)], check=True)
    places = [place * PIECE_BYTES * SPREAD for place in range(pieces)]
    orders = [word for place in places for word in ("-c", f"write -q -s {piece} {place} {PIECE_BYTES}")]
    subprocess.run(["qemu-io", "-f", "qcow2", *orders, scratch], check=True, stdout=subprocess.DEVNULL)
    piece.unlink()


@contextmanager
def _copies(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Copies of what `_make` made, to work on: in the kernel's cache, with nothing left to be written to the disk.

    Of the base what will be written: memory that a virtual machine's host has yet to find costs more than the copying.
    """
    folder.mkdir()
    base, scratch = folder / BASE, folder / SCRATCH
    subprocess.run(["cp", "--sparse=always", folder.parent / BASE, folder.parent / SCRATCH, folder], check=True)
    os.sync()
    with base.open("rb") as file:
        for place in range(0, base.stat().st_size, PIECE_BYTES * SPREAD):
            file.seek(place)
            file.read(PIECE_BYTES)
    yield base, scratch
    shutil.rmtree(folder)


def image_tool(folder: Path) -> float:
    """Seconds of `qemu-img commit`, which ends with a flush, as the live one does."""
    with _copies(folder) as (base, scratch):
        subprocess.run(["qemu-img", "rebase", "-q", "-u", "-F", "raw", "-b", base, scratch], check=True)
        began = time.monotonic()
        subprocess.run(["qemu-img", "commit", "-q", "-d", scratch], check=True)
        return time.monotonic() - began


async def live(folder: Path) -> tuple[float, float]:
    """Seconds of a live promotion, from the call to its return, and the longest write meanwhile."""
    with _copies(folder) as (base, scratch):
        size = base.stat().st_size
        disk = DiskDefinition(id="a", path=str(base), size_bytes=size)
        definition = VmDefinition(id="vm", name="vm", hypervisor="storage_daemon", disks=(disk,))
        hypervisors = Hypervisors(folder / "site", folder / "run")
        view = folder / "view"
        with running(["nbdkit", "-f", "-r", "-U", str(view), "file", str(base)], view):
            (started,) = [await hypervisors.start_vm(definition, overlays={"a": Overlay(view, "", scratch)})]
            try:
                vm = await hypervisors.open_vm("vm")
                with User(started.disks[0].nbd_socket, size) as user:
                    began = time.monotonic()
                    await vm.promote("a", base, lambda _done, _total: None)
                    elapsed = time.monotonic() - began
                await vm.close()
                return elapsed, user.longest_seconds
            finally:
                await hypervisors.stop_vm("vm", force=True)


class User:
    """Writes 4 KiB about 500 times a second, on one connection, from a process of its own, as a guest is one."""

    def __init__(self, socket: Path | None, size: int) -> None:
        assert socket is not None
        of_its_own = multiprocessing.get_context("spawn")
        self._over, self._writes, self._longest = of_its_own.Event(), of_its_own.Event(), of_its_own.Value("d", 0.0)
        arguments = (socket, size, self._over, self._writes, self._longest)
        self._process = of_its_own.Process(target=_use, args=arguments, daemon=True)

    def __enter__(self) -> Self:
        """From when it writes."""
        self._process.start()
        if not self._writes.wait(30):
            raise RuntimeError("the disk's user does not write")
        return self

    def __exit__(self, *_: object) -> None:
        """It hangs up. Raises RuntimeError when a write of it has failed."""
        self._over.set()
        self._process.join()
        if self._process.exitcode != 0:
            raise RuntimeError("the disk's user failed")

    @property
    def longest_seconds(self) -> float:
        """Its longest write."""
        return float(self._longest.value)


def _use(socket: Path, size: int, over: Event, writes: Event, longest: Synchronized[float]) -> None:
    data = random.randbytes(4096)
    with NbdClient(socket, "a") as client:
        while not over.wait(0.002):
            began = time.monotonic()
            client.pwrite(random.randrange(size // 4096) * 4096, data)
            longest.value = max(longest.value, time.monotonic() - began)
            writes.set()
