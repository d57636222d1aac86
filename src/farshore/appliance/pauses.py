"""How long a protection waits before it tries again: short at first, longer while it keeps failing.

A tap that was let go since it slowed its guests is tried again much later: each try costs them some seconds [I15].
"""

from __future__ import annotations

FIRST_SECONDS = 0.2
MAX_SECONDS = 5.0
CALM_SECONDS = 30.0
SLOW_FIRST_SECONDS = 10.0
SLOW_MAX_SECONDS = 600.0
SLOW_CALM_SECONDS = 600.0


class Pauses:
    """The pause after each round."""

    def __init__(self) -> None:
        """Nothing has failed yet."""
        self._next_seconds = FIRST_SECONDS
        self._next_slow_seconds = SLOW_FIRST_SECONDS

    def after(self, round_seconds: float, *, slow: bool) -> float:
        """Seconds to wait after a round that lasted so long and ended because the tap was slow, or otherwise."""
        if round_seconds > SLOW_CALM_SECONDS:
            self._next_slow_seconds = SLOW_FIRST_SECONDS
        if slow:
            seconds, self._next_slow_seconds = (
                self._next_slow_seconds,
                min(2 * self._next_slow_seconds, SLOW_MAX_SECONDS),
            )
            return seconds
        if round_seconds > CALM_SECONDS:
            self._next_seconds = FIRST_SECONDS
        seconds, self._next_seconds = self._next_seconds, min(2 * self._next_seconds, MAX_SECONDS)
        return seconds
