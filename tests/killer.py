"""Ends the process at a chosen call of the fakes that tests of operations use."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass


@dataclass
class Killer:
    """Counts calls of all fakes of a process; ends it at `at` ("3:before", "3:after"; empty: never)."""

    at: str = ""
    calls: int = 0

    def before(self) -> None:
        """A call has come in."""
        self.calls += 1
        self._perhaps("before")

    def after(self) -> None:
        """Its effect is there, its answer is not."""
        self._perhaps("after")

    def _perhaps(self, when: str) -> None:
        if self.at == f"{self.calls}:{when}":
            os.kill(os.getpid(), signal.SIGKILL)
