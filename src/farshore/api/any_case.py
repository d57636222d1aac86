"""Paths in any case [G2], with doubled slashes and a slash at the end: an ASGI layer before the routes.

It compares a path piece by piece with the routes' own patterns and, where one fits, puts the fixed pieces in the case
in which the route is written. Pieces that stand for an identifier keep theirs, and so does the rest of a path whose
pattern ends in `{rest:path}`. Of two patterns that fit, the one with more fixed pieces wins; with a rest it comes last.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

from starlette.types import ASGIApp, Receive, Scope, Send

Pattern = tuple[str | None, ...]
"""The pieces of a route's path; None stands for an identifier."""


def pattern(path: str) -> Pattern:
    """A route's path, taken apart."""
    return tuple(None if piece.startswith("{") else piece for piece in path.split("/") if piece)


class AnyCase:
    """The layer. `paths` are the routes' own, as `/v1/vpgs/{vpg_id}`."""

    def __init__(self, app: ASGIApp, paths: Iterable[str]) -> None:
        self._app = app
        self._patterns: dict[int, list[Pattern]] = {}
        paths = set(paths)
        if len({path.lower() for path in paths}) < len({pattern(path) for path in paths}):
            raise ValueError("two routes write one path in different case: only one of them would be found")
        for found in {pattern(path) for path in paths}:
            self._patterns.setdefault(len(found), []).append(found)
        self._rests = [pattern(path)[:-1] for path in sorted(paths) if path.endswith(":path}")]
        for patterns in self._patterns.values():
            patterns.sort(key=lambda one: one.count(None))

    def canonical(self, path: str) -> str | None:
        """The path as its route is written; None when no route fits."""
        pieces = [piece for piece in path.split("/") if piece]
        for wanted in self._patterns.get(len(pieces), []):
            pairs = list(zip(wanted, pieces, strict=True))
            if all(fixed is None or fixed.lower() == piece.lower() for fixed, piece in pairs):
                return "/" + "/".join(fixed or piece for fixed, piece in pairs)
        for begin in self._rests:
            pairs = list(zip(begin, pieces, strict=False))
            if len(pieces) > len(begin) and all(fixed is None or fixed.lower() == p.lower() for fixed, p in pairs):
                return "/" + "/".join([*(fixed or piece for fixed, piece in pairs), *pieces[len(begin) :]])
        return None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, its path put right."""
        if scope["type"] == "http":
            path = self.canonical(scope["path"])
            if path is not None and path != scope["path"]:
                scope = {**scope, "path": path, "raw_path": quote(path).encode()}
        await self._app(scope, receive, send)
