"""A request's body as a wire model: from JSON or XML; absent, empty, null and {} mean all defaults.

What the model does not know is ignored and noted, to be told in the answer's `Warning` header [G10].
"""

from __future__ import annotations

import re
from typing import TypeVar

from fastapi import Request
from pydantic import ValidationError

from farshore.api.wire.json_text import read_json
from farshore.api.wire.model import Wire
from farshore.api.wire.negotiation import is_xml
from farshore.api.wire.notes import note_deprecated, note_unknown
from farshore.api.wire.xml_text import read_xml
from farshore.errors import BadInput

_REMEDY = "Mend the body and send it again; nothing was changed."
_WORDS = {"missing": "it is mandatory", "extra_forbidden": "it is not known"}

_NOTHING = re.compile(rb'|\{\s*\}|null|""|<[^<>/?!]+/>')
"""Bodies that hold nothing."""

Model = TypeVar("Model", bound=Wire)


async def raw_body(request: Request) -> bytes:
    """The whole body; its length is bounded by a layer outside (api/bounded.py)."""
    return await request.body()


async def read_body(request: Request, kind: type[Model]) -> Model:
    """The body as `kind`. Raises BadInput naming the member and what is allowed, or line and column."""
    raw = await raw_body(request)
    data = read_xml(raw, kind) if is_xml(request.headers, raw) else read_json(raw)
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise BadInput(f"The body must be an object, not {_what(data)}.", _REMEDY)
    try:
        model = kind.read(data)
    except ValidationError as error:
        raise BadInput(_first(error, kind), _REMEDY) from error
    note_unknown(request, model.unknown_members())
    note_deprecated(request, [name for name in data if name.lower() in kind.deprecated])
    return model


async def ignore_body(request: Request) -> None:
    """For actions whose body is empty [G6]: take any, ignore it, and say so if it held something."""
    raw = (await raw_body(request)).strip()
    if not _NOTHING.fullmatch(raw):
        note_unknown(request, ["the whole body"])


def _what(data: object) -> str:
    names = {list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number"}
    return names.get(type(data), "that")


def _first(error: ValidationError, kind: type[Wire]) -> str:
    """The first thing that is wrong, in words."""
    found = error.errors(include_url=False, include_context=False)[0]
    members = [str(part) for part in found["loc"]]
    said = _WORDS.get(found["type"]) or found["msg"].removeprefix("Value error, ")
    where = ".".join(members)
    return f"{where}: {said}." if where else f"{kind.__name__}: {said}."
