"""Answers in the notation that the request asks for, with the notes that go with it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from fastapi import Request, Response
from pydantic import TypeAdapter

from farshore.api.wire.model import Wire
from farshore.api.wire.moments import DOTNET_DATES
from farshore.api.wire.negotiation import wants_xml, xml_type
from farshore.api.wire.notes import note_headers
from farshore.api.wire.xml_out import xml_of, xml_of_list, xml_of_text, xml_of_texts

JSON = "application/json; charset=utf-8"
_adapters: dict[type[Wire], TypeAdapter[list[Wire]]] = {}


class ErrorApi(Wire):
    """What went wrong."""

    message: str


def _context(request: Request) -> dict[str, str] | None:
    """How times are written for this caller."""
    return DOTNET_DATES if request.scope.get("farshore.dates") == "dotnet" else None


def _answer(
    request: Request, text: str | bytes, kind: str, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    told = {**note_headers(request), "Cache-Control": "no-store", **(headers or {})}
    # media_type of Starlette appends a charset of its own to text/*
    return Response(text, status, {**told, "Content-Type": kind})


def reply(request: Request, value: Wire, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """One object."""
    if wants_xml(request.headers):
        return _answer(request, xml_of(value), xml_type(request.headers), status, headers)
    return _answer(request, value.model_dump_json(by_alias=True, context=_context(request)), JSON, status, headers)


def reply_list(request: Request, kind: type[Wire], values: Sequence[Wire]) -> Response:
    """A list of objects of one kind."""
    if wants_xml(request.headers):
        return _answer(request, xml_of_list(values, kind), xml_type(request.headers))
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(list[kind])  # type: ignore[valid-type]  # known at run time
    text = _adapters[kind].dump_json(list(values), by_alias=True, context=_context(request))
    return _answer(request, text, JSON)


def reply_text(request: Request, value: str) -> Response:
    """A bare text: `"..."` in JSON, `<string>` in XML."""
    if wants_xml(request.headers):
        return _answer(request, xml_of_text(value), xml_type(request.headers))
    return _answer(request, json.dumps(value), JSON)


def reply_texts(request: Request, values: Sequence[str]) -> Response:
    """A list of texts."""
    if wants_xml(request.headers):
        return _answer(request, xml_of_texts(values), xml_type(request.headers))
    return _answer(request, json.dumps(list(values)), JSON)


def reply_error(request: Request, status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """An error, as `{"Message": ...}` or its XML."""
    told = message.encode(errors="replace").decode()  # it may quote half of a character
    return reply(request, ErrorApi(message=told), status, headers)
