"""XML out, as .NET's DataContract serializer writes it: one namespace, members by alphabet, nulls as i:nil.

Enumerations are written by name. Characters that XML cannot hold are written as the replacement character.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import IntEnum
from functools import cache
from typing import Any
from xml.sax.saxutils import escape

from farshore.api.wire.model import Wire
from farshore.model.enumerations import word

API = "http://schemas.zerto.com/zvm/api"
ARRAYS = "http://schemas.microsoft.com/2003/10/Serialization/Arrays"
STRINGS = "http://schemas.microsoft.com/2003/10/Serialization/"
INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml_of(value: Wire) -> str:
    """One object as a document."""
    name = type(value).__name__
    return f'<{name} xmlns="{API}" xmlns:i="{INSTANCE}">{_members(value)}</{name}>'


def xml_of_list(values: Sequence[Wire], kind: type[Wire]) -> str:
    """A list of objects as a document."""
    name = f"ArrayOf{kind.__name__}"
    return f'<{name} xmlns="{API}" xmlns:i="{INSTANCE}">{"".join(map(_item, values))}</{name}>'


def xml_of_text(value: str) -> str:
    """A bare text as a document."""
    return f'<string xmlns="{STRINGS}">{_text(value)}</string>'


def xml_of_texts(values: Sequence[str]) -> str:
    """A list of texts as a document."""
    inner = "".join(f"<string>{_text(value)}</string>" for value in values)
    return f'<ArrayOfstring xmlns="{ARRAYS}" xmlns:i="{INSTANCE}">{inner}</ArrayOfstring>'


@cache
def _order(kind: type[Wire]) -> list[tuple[str, str]]:
    return sorted((info.alias or field, field) for field, info in kind.model_fields.items())


def _members(value: Wire) -> str:
    return "".join(_member(name, getattr(value, field)) for name, field in _order(type(value)))


def _item(value: Any) -> str:
    if isinstance(value, Wire):
        return f"<{type(value).__name__}>{_members(value)}</{type(value).__name__}>"
    return f'<string xmlns="{ARRAYS}">{_text(value)}</string>'


def _member(name: str, value: Any) -> str:
    if value is None:
        return f'<{name} i:nil="true"/>'
    if isinstance(value, Wire):
        return f"<{name}>{_members(value)}</{name}>"
    if isinstance(value, list):
        return f"<{name}>{''.join(map(_item, value))}</{name}>"
    return f"<{name}>{_text(value)}</{name}>"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, IntEnum):
        return word(value)
    return escape(_FORBIDDEN.sub("\ufffd", str(value))).replace("\r", "&#13;")
