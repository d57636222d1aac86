"""What every route works with, kept on the application; and who the caller is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from farshore.api.services import Services
from farshore.api.sessions import Caller, Sessions
from farshore.api.settings import ApiSettings
from farshore.api.settings_store import SettingsStore
from farshore.errors import NotPermitted, NotSignedIn

SESSION_HEADER = "x-zerto-session"


@dataclass(frozen=True)
class ApiState:
    """One API's parts."""

    services: Services
    settings: ApiSettings
    sessions: Sessions
    store: SettingsStore


def state_of(request: Request) -> ApiState:
    """The parts of the API that got this request."""
    state = request.app.state.farshore
    assert isinstance(state, ApiState)
    return state


def caller_of(request: Request) -> Caller:
    """Who sent it. Raises NotSignedIn; NotPermitted when a viewer wants to change something."""
    sessions = state_of(request).sessions
    session = request.headers.get(SESSION_HEADER)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if session:
        caller = sessions.find(session)
    elif scheme.lower() == "bearer":
        caller = sessions.bearer(token.strip())
    else:
        raise NotSignedIn("You are not signed in.", "Sign in at POST /v1/session/add, or fetch a token.")
    if request.method != "GET" and caller.account.role != "admin":
        fact = f"The account {caller.account.name} may look but not change anything."
        raise NotPermitted(fact, "Sign in with an account of the role admin.")
    return caller


async def _caller(request: Request) -> Caller:
    return caller_of(request)


async def _services(request: Request) -> Services:
    return state_of(request).services


SignedIn = Annotated[Caller, Depends(_caller)]
SIGNED_IN = [Depends(_caller)]
"""For a router: none of its routes can be reached without signing in."""
Site = Annotated[Services, Depends(_services)]


def query_of(request: Request) -> Mapping[str, str]:
    """The query's keys in lower case; unknown ones are nobody's business, empty values count as absent."""
    return {key.lower(): value for key, value in request.query_params.multi_items() if value != ""}


def link(request: Request, path: str) -> str:
    """An absolute address of this API, as the client reached it."""
    return f"{request.url.scheme}://{request.url.netloc}{path}"
