"""The tap by itself: fio straight to its socket, beside nbdkit's memory plugin. At least 0.8."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from benchmarks.measuring import TAP_JOBS, fio, paired, running, short_folder, tell
from tests.service.tap_bench import TapBench

SIZE_BYTES = 1 << 30
ROUNDS = 7


@contextlib.contextmanager
def acknowledged(bench: TapBench) -> Iterator[None]:
    """Frees the window as a sender would, without sending: the tap is what is measured."""
    ending = threading.Event()

    def acknowledge() -> None:
        while not ending.wait(0.002):
            if bench.window.published > bench.window.acknowledged:
                bench.window.acknowledge(bench.window.published)

    thread = threading.Thread(target=acknowledge)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


def run() -> bool:
    """All jobs; whether every bar was met."""
    met = True
    with short_folder() as folder:
        bench = TapBench([SIZE_BYTES])
        path = folder / "m"
        try:
            with acknowledged(bench), running(["nbdkit", "-f", "-U", str(path), "memory", "1G"], path):
                for job in TAP_JOBS:
                    pairs = paired(
                        ROUNDS,
                        lambda job=job: fio(f"nbd+unix:///v0?socket={bench.socket}", job),
                        lambda job=job: fio(f"nbd+unix:///?socket={path}", job),
                    )
                    met &= tell(f"tap / nbdkit memory, {job.name}", pairs, "writes/s", 0.8)
        finally:
            bench.close()
    return met
