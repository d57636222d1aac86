"""How the numbers of an enumeration are said in words, and how a number or a word is understood.

A member that Python will not let us call by its word has an underscore behind it: `None_` is `None` to clients.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, TypeVar

Choice = TypeVar("Choice", bound=IntEnum)


def word(member: IntEnum) -> str:
    """The member's name as clients know it."""
    return member.name.removesuffix("_")


def words(kind: type[IntEnum]) -> list[str]:
    """All names of an enumeration, in the order of their numbers."""
    return [word(member) for member in sorted(kind)]


def allowed_text(kind: type[IntEnum]) -> str:
    """All names with their numbers, for a message: `Low (0), Medium (1), High (2)`."""
    return ", ".join(f"{word(member)} ({member.value})" for member in sorted(kind))


def understand(kind: type[Choice], value: Any) -> Choice:
    """The member that `value` means: a number or a name in any case, quoted or not. Raises ValueError naming all."""
    if isinstance(value, kind):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value in kind._value2member_map_:
        return kind(value)
    if isinstance(value, str):
        text = value.strip()
        if text.isascii() and text.isdigit() and len(text) < 10 and int(text) in kind._value2member_map_:
            return kind(int(text))
        for member in kind:
            if word(member).lower() == text.lower():
                return member
    raise ValueError(f"it must be one of {allowed_text(kind)}")
