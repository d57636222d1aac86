"""Volumes being taken out, each operation in a thread of its own; what a carrier that died left is gone on with."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import Any

from farshore.datapath.journal import Journal
from farshore.datapath.journal.taken import Taking
from farshore.datapath.journal_carrier.alone import Alone
from farshore.datapath.replica.old_disks import OldDisks
from farshore.datapath.replica.promotion import Promoter
from farshore.datapath.replica.take_out import Interrupted, begin, carry_out, check, still_pinned
from farshore.datapath.view.volume import VolumeView
from farshore.errors import BadInput, FarshoreError, NotFound

_LOG = logging.getLogger(__name__)
PINS_LOOK_SECONDS = 0.5


@dataclass(slots=True)
class _Progress:
    """As take_out_status tells it."""

    state: str = "running"
    done_bytes: int = 0
    total_bytes: int = 0
    reason: str = ""


class Takings:
    """Those of one carrier. `alone`: makes sure that no promotion runs; `stopping`: the carrier ends."""

    def __init__(
        self,
        journal: Journal,
        promoter: Promoter,
        old_disks: OldDisks,
        alone: Alone,
        stopping: threading.Event,
    ) -> None:
        self._journal = journal
        self._promoter = promoter
        self._old_disks = old_disks
        self._alone = alone
        self._stopping = stopping
        self._progress: dict[str, _Progress] = {}
        self._threads: list[threading.Thread] = []

    def resume(self) -> None:
        """Go on with what is not done."""
        for taking in self._journal.taken.takings:
            if not taking.done:
                self._start(taking)

    def take_out(self, operation: str, checkpoint_id: str, volumes: list[int], folder: str) -> None:
        """Begin, or go on; at once. Raises NotFound, BadInput, Conflict, and nothing is changed."""
        if not checkpoint_id.isdecimal():
            raise BadInput(f"'{checkpoint_id}' cannot be a checkpoint.", "List the checkpoints.")
        taking = Taking(operation, int(checkpoint_id), tuple(sorted(set(volumes))), folder)
        check(self._journal, taking)
        known = self._journal.taken.of(operation)
        running = self._progress.get(operation)
        if (known is None or not known.done) and (running is None or running.state == "failed"):
            self._start(taking)

    def status(self, operation: str) -> dict[str, Any]:
        """How far it is. Raises NotFound."""
        taking = self._journal.taken.of(operation)
        progress = self._progress.get(operation)
        if progress is None:
            if taking is None:
                raise NotFound(f"Operation {operation} takes nothing out here.", "Order it (again).")
            progress = _Progress("done" if taking.done else "running")
        paths = dict(taking.paths) if taking is not None and progress.state == "done" else {}
        return {
            "state": progress.state,
            "done_bytes": progress.done_bytes,
            "total_bytes": progress.total_bytes,
            "paths": paths,
            "reason": progress.reason,
        }

    def join(self) -> None:
        """Wait until none runs; `stopping` was set."""
        for thread in self._threads:
            thread.join()

    def _start(self, taking: Taking) -> None:
        self._progress[taking.operation] = progress = _Progress()
        thread = threading.Thread(target=self._run, args=(taking, progress), name=f"take-out-{taking.operation}")
        self._threads.append(thread)
        thread.start()

    def _run(self, taking: Taking, progress: _Progress) -> None:
        try:
            self._take_out(taking, progress)
        except Interrupted:
            _LOG.info("take-out %s is interrupted; the next carrier goes on", taking.operation)
        except (FarshoreError, OSError) as error:
            _LOG.warning("take-out %s failed: %s", taking.operation, error)
            progress.reason, progress.state = str(error), "failed"

    def _take_out(self, taking: Taking, progress: _Progress) -> None:
        with self._alone:
            while self._journal.floor.promoting is not None:
                self._promoter.finish()
                if self._stopping.is_set():
                    raise Interrupted
            taking = begin(self._journal, taking)
        while names := still_pinned(self._journal, taking):
            progress.reason = f"Waits for {', '.join(names)}, which pinned another checkpoint before."
            if self._stopping.wait(PINS_LOOK_SECONDS):
                raise Interrupted
        progress.reason = ""

        def tell(done: int, total: int) -> None:
            progress.done_bytes, progress.total_bytes = done, total
            if self._stopping.is_set():
                raise Interrupted

        with self._alone, self._old_disks.change():
            carry_out(
                self._journal,
                taking,
                lambda number: VolumeView(self._journal, number, taking.ordinal),
                tell,
                self._old_disks.let_go,
            )
        progress.state = "done"
