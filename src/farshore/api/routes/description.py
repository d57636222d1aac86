"""The API's own description, for tools: readable before signing in, since it says nothing of the site."""

from __future__ import annotations

import functools
import json

from fastapi import APIRouter, Response

from farshore.api.openapi import document
from farshore.api.wire.reply import JSON

router = APIRouter()


@functools.cache
def _text() -> str:
    return json.dumps(document())


@router.get("/v1/openapi.json")
async def describe() -> Response:
    """The OpenAPI document."""
    return Response(_text(), headers={"Content-Type": JSON})
