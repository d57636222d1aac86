"""Accounts as they are read and written: our own resource, since the original's accounts are those of others."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from farshore.api.wire.links import ResourceLink
from farshore.api.wire.model import Wire
from farshore.model.access import Role

TEXT_CHARACTERS_MAX = 4096


def _role(value: Any) -> Role:
    try:
        return Role(value)
    except ValueError as error:
        raise ValueError("it must be viewer, operator or administrator") from error


def _kind(value: Any) -> str:
    text = str(value).strip().lower()
    if text not in {"user", "client"}:
        raise ValueError("it must be user or client")
    return text


def _identifiers(value: Any) -> list[str]:
    items = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str) and item.strip() for item in items):
        raise ValueError("it must be identifiers of VPGs")
    return [item.strip().lower() for item in items]


AccountRole = Annotated[Role, BeforeValidator(_role)]
Kind = Annotated[Literal["user", "client"], BeforeValidator(_kind)]
VpgIdentifiers = Annotated[list[str], Field(max_length=1000), BeforeValidator(_identifiers)]
Text = Annotated[str, Field(max_length=TEXT_CHARACTERS_MAX)]


class AccountApi(Wire):
    """An account. `VpgIdentifiers`: the VPGs that it is bound to; none: it is of the whole site."""

    name: str
    kind: str
    role: str
    vpg_identifiers: list[str]
    link: ResourceLink


class NewAccountDataApi(Wire):
    """Make an account. Without a password one is made up; a client's secret always is."""

    name: Text
    kind: Kind = "user"
    role: AccountRole
    vpg_identifiers: VpgIdentifiers = Field(default_factory=list)
    password: Text | None = None


class AccountRoleDataApi(Wire):
    """Give an account a role, bound to those VPGs."""

    role: AccountRole
    vpg_identifiers: VpgIdentifiers = Field(default_factory=list)


class PasswordDataApi(Wire):
    """Give an account another password; without one it is made up."""

    password: Text | None = None


class OwnPasswordDataApi(Wire):
    """Give oneself another password."""

    current_password: Text
    password: Text | None = None


class AccountSecretApi(Wire):
    """An account's new password or secret: told this once."""

    name: str
    secret: str
