"""Who may change the base images: one at a time, and promotion pauses when somebody else wants to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from farshore.errors import Unavailable


class Alone:
    """A lock. `with alone:` has precedence over promotion, which takes `turn()` and looks at `wanted` in its pauses."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = threading.Lock()
        self._waiting = 0

    @property
    def wanted(self) -> bool:
        """Whether somebody with precedence waits."""
        return self._waiting > 0

    def _acquire(self, timeout_seconds: float) -> bool:
        with self._count:
            self._waiting += 1
        try:
            return self._lock.acquire(timeout=timeout_seconds)
        finally:
            with self._count:
                self._waiting -= 1

    def __enter__(self) -> Self:
        self._acquire(-1)
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """As `with alone:`. Raises Unavailable when it takes longer."""
        if not self._acquire(seconds):
            raise Unavailable("The replica is being written at the moment.", "Try again in a few seconds.")
        try:
            yield
        finally:
            self._lock.release()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """For promotion."""
        with self._lock:
            yield
