"""The API as one application: the site behind it, its settings, its routes, and how errors are told."""

from __future__ import annotations

import logging
import math
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from farshore.api.any_case import AnyCase
from farshore.api.audit import Audit, noted
from farshore.api.bounded import Bounded
from farshore.api.last_resort import LastResort
from farshore.api.routes import (
    accounts,
    alerts,
    catalog,
    clone_actions,
    description,
    empty_lists,
    events,
    held_vms,
    kept_volumes,
    not_offered,
    recovery_actions,
    reports,
    sign_in,
    sites,
    tasks,
    virtualization_sites,
    vms,
    vpg_actions,
    vpg_exports,
    vpg_settings,
    vpg_settings_parts,
    vpg_settings_vms,
    vpgs,
)
from farshore.api.services import Services
from farshore.api.sessions import Sessions
from farshore.api.settings import ApiSettings
from farshore.api.settings_store import SettingsStore
from farshore.api.state import ApiState
from farshore.api.wire.reply import reply_error
from farshore.errors import FarshoreError, TooMany

STATUS = {
    "bad_input": 400,
    "not_signed_in": 401,
    "too_large": 413,
    "too_many": 429,
    "not_permitted": 403,
    "not_found": 404,
    "conflict": 409,
    "unsupported": 501,
    "unavailable": 503,
}
"""HTTP status by kind of error; 500 for the rest."""

ROUTERS = (
    sign_in.router,
    description.router,
    accounts.router,
    sites.router,
    virtualization_sites.router,
    tasks.router,
    vms.router,
    held_vms.router,
    kept_volumes.router,
    vpgs.router,
    vpg_actions.router,
    clone_actions.router,
    recovery_actions.router,
    reports.router,
    alerts.router,
    events.router,
    catalog.router,
    empty_lists.router,
    vpg_exports.router,  # before the settings objects: its words stand where their identifiers do
    vpg_settings_vms.router,
    vpg_settings_parts.router,
    vpg_settings.router,
    not_offered.router,  # last: its paths hold everything below them
)

log = logging.getLogger("farshore.api")


def create_app(services: Services, settings: ApiSettings | None = None) -> FastAPI:
    """The ASGI application; run by the manager's ports."""
    settings = settings or ApiSettings()
    app = FastAPI(title="Farshore", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.state.farshore = ApiState(
        services, settings, Sessions(services, settings), SettingsStore(settings.settings_idle_seconds)
    )
    paths: list[str] = []
    for router in ROUTERS:
        app.include_router(router)
        paths += [str(getattr(route, "path", "")) for route in router.routes]
    app.add_middleware(AnyCase, paths=paths)
    app.add_middleware(Bounded)
    app.add_middleware(Audit, services=services)
    app.add_exception_handler(FarshoreError, _tell_farshore)
    app.add_exception_handler(HTTPException, _tell_http)
    app.add_middleware(LastResort)  # added last: it stands outside the others
    return app


async def _tell_farshore(request: Request, error: Any) -> Response:
    status = STATUS.get(error.kind, 500)
    noted(request).refusal = str(error)
    headers = {"WWW-Authenticate": _challenge(request)} if status == 401 else None
    if isinstance(error, TooMany):
        headers = {"Retry-After": str(max(1, math.ceil(error.wait_seconds)))}
    if status == 500:
        log.error("a request failed: %s %s: %s", request.method, request.url.path, error)
    return reply_error(request, status, str(error), headers)


def _challenge(request: Request) -> str:
    """What to sign in with: .NET sends Basic credentials only when it was asked for them."""
    return 'Basic realm="farshore"' if request.url.path == "/v1/session/add" else 'Bearer realm="farshore"'


async def _tell_http(request: Request, error: Any) -> Response:
    words = {
        404: f"There is nothing at {request.url.path}. Read GET /v1 for what there is.",
        405: f"{request.method} is not offered at {request.url.path}.",
    }
    return reply_error(request, error.status_code, words.get(error.status_code, str(error.detail)), error.headers)
