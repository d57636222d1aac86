"""Whether clocks can be believed: this machine's, beside the time that has passed, and each peer's beside this one.

Nothing waits or is put in order by them: checkpoints follow the stream, and what is counted down is counted by the
monotonic clock. But the times that people see are theirs, and so is the age of a checkpoint, so an alert tells.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import structlog

from farshore.site.clock import now_ns
from farshore.site.peers import Peer
from farshore.site.site import Site

STEP_SECONDS = 5.0
"""A clock that is slewed moves by less between two looks."""
APART_SECONDS = 10.0
CALM_SECONDS = 3600.0
"""How long a step is told of after it came."""
OWN = "clock"
REMEDY = (
    "Set the clocks by NTP. Checkpoints go on and are listed in the order in which they were made; "
    "their times and ages, and so the RPO, are only as right as the clocks are."
)

log = structlog.get_logger("clocks")


class ClockWatch:
    """Looks at the clocks of one site and of its peers."""

    def __init__(
        self, site: Site, monotonic: Callable[[], float] = time.monotonic, wall_ns: Callable[[], int] = now_ns
    ) -> None:
        """The clocks are the machine's but in tests."""
        self._site = site
        self._monotonic = monotonic
        self._wall_ns = wall_ns
        self._at, self._at_wall_ns = monotonic(), wall_ns()
        self._calm_since = self._at

    async def turn(self) -> None:
        """Tell when this machine's clock was set since the last turn."""
        at, wall_ns = self._monotonic(), self._wall_ns()
        step = (wall_ns - self._at_wall_ns) / 1e9 - (at - self._at)
        self._at, self._at_wall_ns = at, wall_ns
        if abs(step) >= STEP_SECONDS:
            self._calm_since = at
            where, way = self._site.config.name, "forward" if step > 0 else "back"
            fact = f"The clock of site {where} was set {way} by {span(step)}."
            log.warning("the clock was set", seconds=round(step, 3))
            await asyncio.to_thread(self._site.alerts.raise_alert, OWN, fact, REMEDY)
            await asyncio.to_thread(self._site.alerts.record, "clock", fact)
        elif at - self._calm_since > CALM_SECONDS:
            await asyncio.to_thread(self._site.alerts.clear, OWN)

    async def compare(self, peer: Peer, told: dict[str, Any], asked_ns: int) -> None:
        """A peer has told its time, somewhen after `asked_ns` and before now."""
        answered_ns = self._wall_ns()
        theirs_ns = int(told.get("now_ns") or 0)
        if not theirs_ns:
            return
        apart = (theirs_ns - (asked_ns + answered_ns) / 2) / 1e9
        key = f"{OWN} {peer.site_id}"
        if abs(apart) - abs(answered_ns - asked_ns) / 2e9 < APART_SECONDS:
            await asyncio.to_thread(self._site.alerts.clear, key)
            return
        way = "ahead of" if apart > 0 else "behind"
        fact = f"The clock of site {peer.name} is {span(apart)} {way} that of site {self._site.config.name}."
        await asyncio.to_thread(self._site.alerts.raise_alert, key, fact, REMEDY)

    def now_ns(self) -> int:
        """The wall clock that it watches."""
        return self._wall_ns()


def span(seconds: float) -> str:
    """A length of time in words, by its size."""
    size = abs(seconds)
    for unit_seconds, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if size >= 0.9 * unit_seconds:
            return f"{size / unit_seconds:.1f} {unit}".replace(".0 ", " ")
    return f"{size:.0f} s"
