"""Signing in, both ways; and what may be read before it.

Classic: `POST /v1/session/add` with Basic, answered by a GUID in the header x-zerto-session and no body. Without
credentials the answer is 401 with a Basic challenge: PowerShell sends them only then. ZVM 10: a form to the token path.
"""

from __future__ import annotations

import base64
import binascii
import time
from typing import Any, Literal

from fastapi import APIRouter, Request, Response

from farshore.api.audit import address_of, noted
from farshore.api.routes.resources import RESOURCES
from farshore.api.state import SESSION_HEADER, caller_of, link, query_of, state_of
from farshore.api.wire.links import ResourceLink
from farshore.api.wire.moments import moment, read_moment
from farshore.api.wire.reply import reply, reply_list, reply_text
from farshore.api.wire.sites import ServerDateTimeApi
from farshore.errors import BadInput, NotSignedIn
from farshore.model.access import Account

REALM = "/auth/realms/zerto"
TOKEN_PATH = f"{REALM}/protocol/openid-connect/token"
router = APIRouter()


def _basic(request: Request) -> tuple[str, str]:
    """User and password. Raises NotSignedIn."""
    scheme, _, coded = request.headers.get("authorization", "").partition(" ")
    try:
        if scheme.lower() != "basic":
            raise NotSignedIn("No user and password came with the request.", "Send them as HTTP Basic.")
        raw = base64.b64decode(coded.strip(), validate=True)
    except binascii.Error as error:
        raise NotSignedIn("The Basic credentials cannot be read.", "Send base64 of user:password.") from error
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("latin-1")  # older clients
    user, _, password = text.partition(":")
    return user, password


@router.post("/v1/session/add")
async def open_session(request: Request) -> Response:
    """Sign in the classic way; the body is of no matter."""
    sessions = state_of(request).sessions
    account = await sessions.verify_user(*_basic(request), address_of(request.scope))
    return Response(headers={SESSION_HEADER: sessions.open(account), "Cache-Control": "no-store"})


@router.delete("/v1/session")
async def close_session(request: Request) -> Response:
    """Sign out; settings objects of the session go with it."""
    state = state_of(request)
    caller = await caller_of(request)
    noted(request).who = ""  # nothing is changed by it that is to be written down
    if caller.session:
        state.sessions.close(caller.session)
        state.store.drop_session(caller.session)
    return reply_text(request, "")


async def _account_of(request: Request, form: dict[str, str]) -> tuple[Account, str]:
    """The account that a token request proves, and the client that it names. Raises NotSignedIn, BadInput."""
    sessions = state_of(request).sessions
    address = address_of(request.scope)
    client = form.get("client_id", "")
    secret = form.get("client_secret", "")
    if not client and request.headers.get("authorization", "").lower().startswith("basic "):
        client, secret = _basic(request)
    match form.get("grant_type"):
        case "password":
            return await sessions.verify_user(form.get("username", ""), form.get("password", ""), address), client
        case "client_credentials":
            return await sessions.verify_client(client, secret, address), client
        case "refresh_token":
            account, client = sessions.read_token(form.get("refresh_token", ""), "refresh")
            return await sessions.as_it_is(account), client
    fact = "grant_type must be password, client_credentials or refresh_token."
    raise BadInput(fact, "Send it as a form (application/x-www-form-urlencoded).")


def _seconds(form: dict[str, str], default: int) -> int:
    asked = form.get("expires_in", "")
    return max(30, min(86_400, int(asked))) if asked.isascii() and asked.isdigit() and len(asked) < 10 else default


@router.post(TOKEN_PATH)
async def give_token(request: Request) -> Any:
    """Sign in for a bearer token."""
    form = {key: str(value) for key, value in (await request.form()).items()}
    account, client = await _account_of(request, form)
    state = state_of(request)
    seconds = _seconds(form, state.settings.token_seconds)
    refresh: Literal["refresh"] = "refresh"
    return {
        "access_token": state.sessions.sign_token(account, "access", client, seconds),
        "expires_in": seconds,
        "refresh_token": state.sessions.sign_token(account, refresh, client, state.settings.refresh_seconds),
        "refresh_expires_in": state.settings.refresh_seconds,
        "token_type": "Bearer",
        "not-before-policy": 0,
        "scope": form.get("scope") or "profile email",
    }


@router.get(f"{REALM}/.well-known/openid-configuration")
async def discovery(request: Request) -> Any:
    """Where tokens are to be had."""
    return {
        "issuer": link(request, REALM),
        "token_endpoint": link(request, TOKEN_PATH),
        "grant_types_supported": ["password", "client_credentials", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
    }


@router.get("/v1")
async def resources(request: Request) -> Response:
    """What there is, readable before signing in: one old client calls nothing that is not listed."""
    links = [
        ResourceLink(href=link(request, f"/v1/{name}"), identifier=name, rel=name, type="ResourceApi")
        for name in RESOURCES
    ]
    return reply_list(request, ResourceLink, links)


def _local(time_ns: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(time_ns / 1e9)) + moment(time_ns)[19:23]


@router.get("/v1/serverDateTime")
async def server_time(request: Request) -> Response:
    """What time it is here; readable before signing in, as a sign of life."""
    now = time.time_ns()
    return reply(request, ServerDateTimeApi(server_date_time_utc=moment(now), server_date_time_local=_local(now)))


@router.get("/v1/serverDateTime/serverDateTimeUtc")
async def server_time_utc(request: Request) -> Response:
    """The time in UTC."""
    return reply_text(request, moment(time.time_ns()))


@router.get("/v1/serverDateTime/serverDateTimeLocal")
async def server_time_local(request: Request) -> Response:
    """The site's local time, without an offset."""
    return reply_text(request, _local(time.time_ns()))


@router.get("/v1/serverDateTime/dateTimeArgument")
async def understood_time(request: Request) -> Response:
    """How a time in a query is understood."""
    return reply_text(request, moment(read_moment(query_of(request).get("datetime", ""), "dateTime")))
