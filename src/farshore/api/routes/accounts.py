"""Accounts: users and clients, what they may do, their passwords and secrets. Our own resource."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError

from farshore.api.audit import address_of
from farshore.api.services import Services
from farshore.api.state import SIGNED_IN, SignedIn, Site, link, state_of
from farshore.api.wire.accounts import (
    AccountApi,
    AccountRoleDataApi,
    AccountSecretApi,
    NewAccountDataApi,
    OwnPasswordDataApi,
    PasswordDataApi,
)
from farshore.api.wire.body import ignore_body, read_body
from farshore.api.wire.links import ResourceLink
from farshore.api.wire.reply import reply, reply_list, reply_text
from farshore.errors import BadInput, NotFound
from farshore.model.access import Account, AccountOrder

router = APIRouter(prefix="/v1/accounts", dependencies=SIGNED_IN)


def _tell(request: Request, account: Account) -> AccountApi:
    href = link(request, f"/v1/accounts/{account.name}")
    return AccountApi(
        name=account.name,
        kind=account.kind,
        role=account.role.value,
        vpg_identifiers=list(account.vpg_ids),
        link=ResourceLink(href=href, identifier=account.name, type="AccountApi"),
    )


async def _find(site: Services, name: str) -> Account:
    found = await site.account(name)
    if found is None:
        raise NotFound(f"There is no account {name}.", "List them with GET /v1/accounts.")
    return found


@router.get("")
async def list_accounts(request: Request, site: Site) -> Response:
    """All accounts by name."""
    return reply_list(request, AccountApi, [_tell(request, account) for account in await site.accounts()])


@router.post("")
async def add_account(request: Request, site: Site) -> Response:
    """Make an account; its password or secret is told this once."""
    body = await read_body(request, NewAccountDataApi)
    if body.kind == "client" and body.password is not None:
        raise BadInput("Password: a client has a secret, which is made up.", "Leave it out.")
    try:
        order = AccountOrder(
            name=body.name,
            kind=body.kind,
            role=body.role,
            vpg_ids=tuple(body.vpg_identifiers),
            secret=body.password,
        )
    except ValidationError as error:
        raise BadInput("Name: it must be 1 to 128 characters long.", "Choose another name.") from error
    return reply(request, AccountSecretApi(name=order.name, secret=await site.add_account(order)))


@router.get("/self")
async def get_self(request: Request, caller: SignedIn) -> Response:
    """The account that asks."""
    return reply(request, _tell(request, caller.account))


@router.post("/self/password")
async def change_own_password(request: Request, caller: SignedIn) -> Response:
    """Another password for oneself; all of one's sessions and tokens end."""
    state, account = state_of(request), caller.account
    body = await read_body(request, OwnPasswordDataApi)
    verify = state.sessions.verify_user if account.kind == "user" else state.sessions.verify_client
    proven = await verify(account.name, body.current_password, address_of(request.scope))
    if proven.name != account.name:
        raise BadInput("CurrentPassword: it is another account's.", "Give your own.")
    secret = await state.services.change_secret(account.name, body.password)
    state.sessions.look_again(account.name)
    return reply(request, AccountSecretApi(name=account.name, secret=secret))


@router.get("/{name}")
async def get_account(request: Request, name: str, site: Site) -> Response:
    """One account."""
    return reply(request, _tell(request, await _find(site, name)))


@router.put("/{name}")
async def change_account(request: Request, name: str, site: Site) -> Response:
    """Another role, bound to those VPGs; counts from the next request on."""
    await _find(site, name)
    body = await read_body(request, AccountRoleDataApi)
    changed = await site.change_account(name, body.role, tuple(body.vpg_identifiers))
    state_of(request).sessions.look_again(name)
    return reply(request, _tell(request, changed))


@router.delete("/{name}")
async def remove_account(request: Request, name: str, site: Site) -> Response:
    """Remove an account; its sessions and tokens end."""
    await _find(site, name)
    await ignore_body(request)
    await site.remove_account(name)
    state_of(request).sessions.look_again(name)
    return reply_text(request, name)


@router.post("/{name}/password")
async def change_password(request: Request, name: str, site: Site) -> Response:
    """Another password or secret, told this once; the account's sessions and tokens end."""
    known = await _find(site, name)
    body = await read_body(request, PasswordDataApi)
    if known.kind == "client" and body.password is not None:
        raise BadInput("Password: a client has a secret, which is made up.", "Leave it out.")
    secret = await site.change_secret(name, body.password)
    state_of(request).sessions.look_again(name)
    return reply(request, AccountSecretApi(name=name, secret=secret))
