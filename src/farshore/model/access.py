"""Who may do what: three roles, and what each route of the API asks of who calls it.

The worst day decides: whoever is on duty then is an operator, so an operator may do all that recovers VMs: failover and
move, their commits and rollbacks. What stays for an administrator is what makes, changes or ends a protection, and what
is about the site itself and its accounts.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Role(StrEnum):
    """What an account may do; each one may do what those before it may."""

    viewer = "viewer"
    operator = "operator"
    administrator = "administrator"

    @classmethod
    def _missing_(cls, value: object) -> Role | None:
        text = str(value).strip().lower()
        return {"admin": cls.administrator}.get(text) or next((role for role in cls if role.value == text), None)


class Right(Enum):
    """What a route asks of who calls it."""

    anybody = "anybody"
    """No sign-in."""
    own = "own"
    """Any account, about itself: its session, its password."""
    read = "read"
    """Any account; one that is bound to VPGs sees those alone."""
    read_site = "read_site"
    """Any account that is not bound: what is told is of the whole site."""
    operate = "operate"
    """An operator; one that is bound to VPGs, on those alone."""
    administer = "administer"
    """An administrator."""


_NEEDS = {Right.operate: Role.operator, Right.administer: Role.administrator}
_ORDER = tuple(Role)


def permits(role: Role, right: Right, *, bound: bool) -> bool:
    """Whether an account of that role, bound to some VPGs or not, has the right."""
    if bound and right in {Right.read_site, Right.administer}:
        return False
    return _ORDER.index(role) >= _ORDER.index(_NEEDS.get(right, Role.viewer))


def lowest_role(right: Right) -> Role:
    """The role from which on one has the right."""
    return _NEEDS.get(right, Role.viewer)


AccountKind = Literal["user", "client"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Account(_Record):
    """Somebody who may sign in: a user with a password, or a client (a program) with a secret."""

    name: str
    kind: AccountKind = "user"
    role: Role = Role.administrator
    vpg_ids: tuple[str, ...] = ()
    """The VPGs that it is bound to; empty: all."""
    stamp: int = 0
    """Changes with the password or secret: what was opened with the old one ends."""


class AccountOrder(_Record):
    """An account as it shall be made. `secret` None: one is made up."""

    name: str = Field(min_length=1, max_length=128)
    kind: AccountKind = "user"
    role: Role
    vpg_ids: tuple[str, ...] = ()
    secret: str | None = None


class AuditRecord(_Record):
    """A change that somebody asked for, as it is written into the events."""

    who: str
    origin: str
    """The address that it came from; `host` for a command on the site's own host."""
    text: str
    result: str
    vpg_id: str = ""
