"""The site as an account sees it that is bound to some VPGs: the others are as if they did not exist.

What is not listed here, and is not about one VPG, is refused: a new service is closed to such accounts until somebody
says how it is to be narrowed.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, cast

from farshore.api.services import Services
from farshore.errors import NotFound, NotPermitted
from farshore.model.access import Account

PASSED = frozenset({"local_site"})
"""What tells nothing of any VPG."""

Call = Callable[..., Awaitable[Any]]


def services_for(services: Services, account: Account) -> Services:
    """The site as the account sees it."""
    return cast("Services", _Bound(services, account)) if account.vpg_ids else services


class _Bound:
    def __init__(self, services: Services, account: Account) -> None:
        self._services = services
        self._account = account
        self._seen = frozenset(vpg_id.lower() for vpg_id in account.vpg_ids)

    def __getattr__(self, name: str) -> Call:
        method: Call = getattr(self._services, name)
        if name in PASSED:
            return method
        if name in NARROWED:
            return functools.partial(NARROWED[name], self, method)
        if _first_argument(method) == "vpg_id":
            return functools.partial(_of_one, self, method)
        raise NotPermitted(
            f"The account {self._account.name} is bound to VPGs; this is of the whole site.",
            "Sign in with an account that is not bound.",
        )

    def sees(self, vpg_id: str | None) -> bool:
        """Whether it is one of its VPGs."""
        return vpg_id is not None and vpg_id.lower() in self._seen


async def _of_one(bound: _Bound, method: Call, vpg_id: str, *arguments: Any, **named: Any) -> Any:
    """A call about one VPG."""
    if not bound.sees(vpg_id):
        raise NotFound(f"There is no VPG {vpg_id}.", "List them with GET /v1/vpgs.")
    return await method(vpg_id, *arguments, **named)


async def _get_vpg(bound: _Bound, method: Call, vpg_id: str) -> Any:
    return await method(vpg_id) if bound.sees(vpg_id) else None


async def _listed(bound: _Bound, method: Call, *arguments: Any, **named: Any) -> list[Any]:
    """A list whose items say of which VPG they are."""
    return [one for one in await method(*arguments, **named) if bound.sees(getattr(one, "vpg_id", None))]


async def _vms(bound: _Bound, method: Call, *arguments: Any, **named: Any) -> list[Any]:
    return [one for one in await method(*arguments, **named) if bound.sees(one.vpg.vpg_id)]


async def _one(bound: _Bound, method: Call, *arguments: Any, **named: Any) -> Any:
    """One thing that says of which VPG it is, or None."""
    found = await method(*arguments, **named)
    return found if found is not None and bound.sees(found.vpg_id) else None


async def _report(bound: _Bound, method: Call, task_id: str) -> Any:
    return await method(task_id) if await bound.task(task_id) is not None else None


def _first_argument(method: Call) -> str:
    names = list(inspect.signature(method).parameters)
    return names[0] if names else ""


NARROWED: dict[str, Callable[..., Awaitable[Any]]] = {
    "get_vpg": _get_vpg,
    "list_vpgs": _listed,
    "protected_vms": _vms,
    "tasks": _listed,
    "task": _one,
    "reports": _listed,
    "report": _report,
    "alerts": _listed,
    "events": _listed,
}
"""How a service is narrowed that is not about one VPG alone."""
