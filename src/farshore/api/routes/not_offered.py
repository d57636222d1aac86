"""What the original offers and Farshore does not: answered 501 with a sentence, whatever is asked below these paths."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Response

from farshore.api.offers import NOT_OFFERED
from farshore.api.state import SIGNED_IN
from farshore.errors import Unsupported

router = APIRouter(dependencies=SIGNED_IN)


def _refuse(what: str, instead: str) -> Callable[..., Awaitable[Response]]:
    async def refuse() -> Response:
        raise Unsupported(f"{what}: Farshore does not offer that; nothing was changed.", instead)

    return refuse


for _one in NOT_OFFERED:
    for _method, _path in _one.routes():
        router.add_api_route(_path, _refuse(_one.what, _one.instead), methods=[_method], name=f"no {_path}")
