"""The watcher's watchdog: a thread that waits for nothing else; it beats for the process and kills taps that are late.

A tap that hangs stalls its guests, so it is killed after TAP_SECONDS_MAX (its own kernel timer does the same after
1.5 s). When the watcher's loop itself has not turned for LOOP_SECONDS_MAX, the process ends: it is started again, its
taps end with it.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable

from farshore.datapath.tap.heartbeat import KIND_TAP, Board

WATCHER_SLOT = 0
TAP_SECONDS_MAX = 1.0
LOOP_SECONDS_MAX = 10.0
PERIOD_SECONDS = 0.1


class Watchdog:
    """See the module."""

    def __init__(self, board: Board, log: Callable[[str], None]) -> None:
        """`log` is called from the thread."""
        self.board = board
        self.log = log
        self._turned_at = time.monotonic()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._ending.set()
        self._thread.join()

    async def tick(self) -> None:
        """Shows the thread that the loop turns. Runs until cancelled."""
        while True:
            self._turned_at = time.monotonic()
            await asyncio.sleep(PERIOD_SECONDS)

    def _run(self) -> None:
        while not self._ending.wait(PERIOD_SECONDS):
            self.board.beat(WATCHER_SLOT)
            for beat in self.board.kill_late(TAP_SECONDS_MAX, (KIND_TAP,)):
                self.log(f"killed the tap {beat.pid}: its last beat was {beat.age_seconds:.1f} s ago")
            if time.monotonic() - self._turned_at > LOOP_SECONDS_MAX:
                self.log("the watcher's loop hangs: it ends, and is started again")
                os._exit(70)
