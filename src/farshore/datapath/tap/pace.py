"""Whether a tap is slow: it answers, but late, again and again. A guest's writes wait as long as its own ticks do.

A tap answers in the turn of its loop in which a request comes, so a request waits for as long as the loop is late. The
lateness of its ticks is a sample of that. Hung taps are another matter: heartbeat.py.
"""

from __future__ import annotations

from collections import deque

SLOW_SECONDS = 0.02
OVER_SECONDS = 10.0


class Pace:
    """The mean lateness of the last ticks."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._ticks: deque[tuple[float, float]] = deque()
        self._sum_seconds = 0.0

    def note(self, now: float, late_seconds: float) -> float | None:
        """A tick came so late at `now` (monotonic). The mean, once it is over the bound for the whole time."""
        self._ticks.append((now, late_seconds))
        self._sum_seconds += late_seconds
        whole = False
        while now - self._ticks[0][0] > OVER_SECONDS:
            self._sum_seconds -= self._ticks.popleft()[1]
            whole = True
        mean_seconds = self._sum_seconds / len(self._ticks)
        if not whole or mean_seconds <= SLOW_SECONDS:
            return None
        self._ticks.clear()
        self._sum_seconds = 0.0
        return mean_seconds
