"""Notes that go with an answer in its headers: what was ignored, what is deprecated, what else one should know."""

from __future__ import annotations

import re
from collections.abc import Iterable

from starlette.requests import Request

WARNING_CHARACTERS_MAX = 1000


def note(request: Request, text: str) -> None:
    """Tell it in the answer's `Warning` header."""
    request.scope.setdefault("farshore.notes", []).append(text)


def note_unknown(request: Request, members: Iterable[str]) -> None:
    """These members of the body were ignored."""
    listed = ", ".join(members)
    if listed:
        note(request, f"ignored: {listed}")


def note_deprecated(request: Request, members: Iterable[str]) -> None:
    """These members of the body are deprecated."""
    listed = ", ".join(members)
    if listed:
        request.scope["farshore.deprecated"] = True
        note(request, f"deprecated: {listed}")


def note_successor(request: Request, address: str) -> None:
    """The whole route is deprecated; `address` is what replaces it."""
    request.scope["farshore.deprecated"] = True
    request.scope["farshore.successor"] = address


def note_headers(request: Request) -> dict[str, str]:
    """The headers that tell all notes."""
    headers: dict[str, str] = {}
    notes = request.scope.get("farshore.notes")
    if notes:
        text = re.sub(r'[^\x20-\x7e]|["\\]', "?", "; ".join(notes))[:WARNING_CHARACTERS_MAX]
        headers["Warning"] = f'299 farshore "{text}"'
    if request.scope.get("farshore.deprecated"):
        headers["Deprecation"] = "true"
    successor = request.scope.get("farshore.successor")
    if successor:
        headers["Link"] = f'<{successor}>; rel="successor-version"'
    return headers
