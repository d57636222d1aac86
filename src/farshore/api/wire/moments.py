"""Times on the wire: written in UTC with three decimals, for some as `/Date(ms)/`; read in the forms that clients send.

Without an offset a time is the site's local time. A time with three decimals stands for its whole millisecond, so that
a checkpoint's own `TimeStamp` finds it, as the end of a span too.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated

from pydantic import PlainSerializer, SerializationInfo

from farshore.errors import BadInput

_FORM = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d)(?::(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?)?)?)?\s*(Z|[+-]\d\d:?\d\d)?",
    re.IGNORECASE | re.ASCII,
)
_DOTNET = re.compile(r"\\?/Date\((\d{1,15})(?:[+-]\d{4})?\)\\?/", re.ASCII)
"""Milliseconds of UTC, whatever the offset behind them says."""


DOTNET_DATES: dict[str, str] = {"dates": "dotnet"}
"""The serialization context of an answer whose times are written as `/Date(ms)/` (JSON only)."""


def _as_asked(value: str | None, info: SerializationInfo) -> str | None:
    if value is None or info.context is not DOTNET_DATES:
        return value
    stamp = datetime.fromisoformat(value)
    return f"/Date({int(stamp.timestamp()) * 1000 + stamp.microsecond // 1000})/"


Moment = Annotated[str, PlainSerializer(_as_asked, when_used="json")]
"""A time as `moment` makes it; in JSON it is written the way that the caller's dialect asks for."""
MomentOrNone = Annotated[str | None, PlainSerializer(_as_asked, when_used="json")]


def moment(time_ns: int) -> str:
    """`2026-11-25T09:30:00.123Z`."""
    seconds, rest = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1_000_000:03d}Z"


def moment_or_none(time_ns: int | None) -> str | None:
    """The same; None stays None."""
    return None if time_ns is None else moment(time_ns)


def read_moment(text: str, member: str, *, end: bool = False) -> int:
    """Unix nanoseconds of a time that a client sent; with `end` the last one of its millisecond. Raises BadInput."""
    found = _FORM.fullmatch(text.strip())
    dotnet = _DOTNET.fullmatch(text.strip())
    try:
        time_ns = _nanoseconds(found.groups()) if found else int(dotnet[1]) * 1_000_000 if dotnet else None
    except (ValueError, OverflowError, OSError):  # the 31st of February, the year 0
        time_ns = None
    if time_ns is None:
        raise BadInput(f"{member}: {text!r} is not a time.", "Write it as 2026-11-25T09:30:00.000Z.")
    return time_ns // 1_000_000 * 1_000_000 + 999_999 if end else time_ns


def _nanoseconds(parts: tuple[str | None, ...]) -> int:
    numbers = [int(part or first) for part, first in zip(parts[:6], (1, 1, 1, 0, 0, 0), strict=True)]
    year, month, day, hour, minute, second = numbers
    stamp = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - its zone follows, or is the site's own
    fraction, zone = parts[6:]
    if zone is not None:
        offset = timedelta()
        if zone.upper() != "Z":
            sign = -1 if zone[0] == "-" else 1
            offset = sign * timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
        stamp = stamp.replace(tzinfo=timezone(offset))
    return int(stamp.timestamp()) * 1_000_000_000 + int((fraction or "").ljust(9, "0"))
