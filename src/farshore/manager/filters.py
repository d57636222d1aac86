"""What a caller's filter means for a query: a condition for each member that is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

Wanted = Iterable[tuple[Any, Callable[[Any], Any]]]
"""A member's value, None where it is not given, and what makes a condition of it."""


def conditions_of(wanted: Wanted) -> list[Any]:
    """The conditions, in the members' order."""
    return [compare(value) for value, compare in wanted if value is not None]
