"""Spans of time and pages of a list, as a query asks for them."""

from __future__ import annotations

from collections.abc import Mapping

from farshore.api.wire.moments import read_moment
from farshore.errors import BadInput

PAGE_MAX = 1000


def time_of(query: Mapping[str, str], member: str, *, end: bool = False) -> int | None:
    """The time that a filter names, None when it names none; with `end` the last nanosecond of it. Raises BadInput."""
    text = query.get(member.lower())
    return None if text is None else read_moment(text, member, end=end)


def whole_of(query: Mapping[str, str], member: str, default: int, least: int, most: int) -> int:
    """A whole number of the query. Raises BadInput."""
    text = query.get(member.lower())
    if text is None:
        return default
    if text.isascii() and text.isdigit() and least <= int(text[:10]) <= most:
        return int(text)
    raise BadInput(f"{member}: {text} is not a whole number from {least} to {most}.", "Leave it out for the default.")


def page_of(query: Mapping[str, str], default: int) -> tuple[int, int]:
    """(how many to skip, how many to give) by `pageNumber`, from 1 on (0 is the first page too), and `pageSize`."""
    size = whole_of(query, "pageSize", default, 1, PAGE_MAX)
    number = whole_of(query, "pageNumber", 1, 0, 1_000_000)
    return max(0, number - 1) * size, size
