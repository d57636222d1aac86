"""What every route works with, kept on the application; and who the caller is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from farshore.api.audit import noted
from farshore.api.bound import services_for
from farshore.api.rights import right_of
from farshore.api.services import Services
from farshore.api.sessions import Caller, Sessions
from farshore.api.settings import ApiSettings
from farshore.api.settings_store import SettingsStore
from farshore.errors import NotPermitted, NotSignedIn
from farshore.model.access import Account, Right, lowest_role, permits

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


async def caller_of(request: Request) -> Caller:
    """Who sent it. Raises NotSignedIn; NotPermitted when the route asks for more than the account may."""
    sessions = state_of(request).sessions
    session = request.headers.get(SESSION_HEADER)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if session:
        caller = sessions.find(session)
    elif scheme.lower() == "bearer":
        caller = sessions.bearer(token.strip())
    else:
        raise NotSignedIn("You are not signed in.", "Sign in at POST /v1/session/add, or fetch a token.")
    caller = await sessions.current(caller)
    request.scope["farshore.dates"] = state_of(request).settings.classic_dates if caller.session else "iso"
    known = noted(request)
    known.who, known.vpg_id = caller.account.name, str(request.path_params.get("vpg_id", ""))
    _check_right(caller.account, right_of(request.method, str(getattr(request.scope.get("route"), "path", ""))))
    return caller


def _check_right(account: Account, right: Right) -> None:
    if permits(account.role, right, bound=bool(account.vpg_ids)):
        return
    bound = " and is bound to VPGs" if account.vpg_ids else ""
    fact = f"The account {account.name} is of the role {account.role.value}{bound}; it may not do this."
    needed = lowest_role(right).value
    raise NotPermitted(fact, f"Sign in with an account of the role {needed} that is not bound to VPGs.")


async def _caller(request: Request) -> Caller:
    return await caller_of(request)


SignedIn = Annotated[Caller, Depends(_caller)]
SIGNED_IN = [Depends(_caller)]
"""For a router: none of its routes can be reached without signing in, and each asks for its right (api/rights.py)."""


async def _services(request: Request, caller: SignedIn) -> Services:
    return services_for(state_of(request).services, caller.account)


Site = Annotated[Services, Depends(_services)]
"""The site, as the caller's account sees it."""


def query_of(request: Request) -> Mapping[str, str]:
    """The query's keys in lower case; unknown ones are nobody's business, empty values count as absent."""
    return {key.lower(): value for key, value in request.query_params.multi_items() if value != ""}


def base_of(request: Request) -> str:
    """Where the client reached this API: https://host:port."""
    known: str | None = request.scope.get("farshore.base")
    if known is None:
        known = request.scope["farshore.base"] = f"{request.url.scheme}://{request.url.netloc}"
    return known


def link(request: Request, path: str) -> str:
    """An absolute address of this API, as the client reached it."""
    return base_of(request) + path
