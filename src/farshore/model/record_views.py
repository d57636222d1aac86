"""What a site tells of its records: alerts, events, VPGs as kept; and which are asked for. Times in unix ns."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from farshore.model.vpg import VpgVm


class _View(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AlertView(_View):
    """Something that a person should see to. A dismissed one stands until its matter is gone, and says so."""

    alert_id: str
    level: str
    entity: str
    help_id: str
    fact: str
    remedy: str
    raised_ns: int
    dismissed: bool = False
    vpg_id: str = ""


class EventView(_View):
    """Something that happened. `kind` in Farshore's own word; `origin` and `result` of what was audited."""

    event_id: int
    kind: str
    text: str
    who: str = ""
    vpg_id: str = ""
    occurred_ns: int
    origin: str = ""
    result: str = ""


class KnownVpg(_View):
    """What a site's own record says of a VPG: nobody is asked, so it is told at once, whatever else does not answer."""

    vpg_id: str
    name: str
    vms: tuple[VpgVm, ...] = ()
    reverse_protection: bool = False
    """What the failover or move that is under way said; False without one."""


class EventFilter(_View):
    """Which events are asked for; None: no matter. Times are inclusive, the newest `limit` are told."""

    event_id: int | None = None
    kinds: tuple[str, ...] | None = None
    who: str | None = None
    vpg_id: str | None = None
    of_vpgs: bool | None = None
    """True: those of a VPG; False: those of none."""
    from_ns: int | None = None
    to_ns: int | None = None
    limit: int = 1000


class ReportFilter(_View):
    """Which operations' reports are asked for; None: no matter. Times are of the beginning and inclusive."""

    types: tuple[str, ...]
    vpg_names: tuple[str, ...] | None = None
    states: tuple[int, ...] | None = None
    from_ns: int | None = None
    to_ns: int | None = None
    skip: int = 0
    limit: int = 100


class HeldVmView(_View):
    """A VM that is held from being started since a failover or move has replaced it."""

    vm_id: str
    vm_name: str
    reason: str
    needed_by: str = ""
    """Why it cannot be released now, in words; empty when it can."""
