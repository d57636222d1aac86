"""Filters in the query of a list: by text, by enumeration (number or name), by identifier in any case."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from urllib.parse import unquote

from fastapi import Request

from farshore.errors import BadInput
from farshore.model.enumerations import understand
from farshore.model.site_kinds import EntityKind
from farshore.model.vpg import Priority
from farshore.model.vpg_states import VpgStatus, VpgSubStatus


def texts_of(request: Request, key: str) -> list[str]:
    """What a text filter may mean: some clients send it unescaped, so a + may be itself. Empty: not asked for."""
    for pair in request.url.query.split("&"):
        name, _, raw = pair.partition("=")
        if unquote(name).lower() == key and raw:
            return list(dict.fromkeys([unquote(raw.replace("+", " ")), unquote(raw)]))
    return []


def check_enumerations(query: Mapping[str, str], member: str, kind: type[IntEnum], value: IntEnum) -> bool:
    """Whether the value is the one that the filter names, if it names one. Raises BadInput."""
    text = query.get(member.lower())
    if text is None:
        return True
    try:
        return understand(kind, text) == value
    except ValueError as error:
        raise BadInput(f"{member}: {error}.", "Name one of these.") from error


def is_true(text: str, member: str) -> bool:
    """A boolean of the query: true, false, 1 or 0 in any case. Raises BadInput."""
    found = {"true": True, "1": True, "false": False, "0": False}.get(text.strip().lower())
    if found is None:
        raise BadInput(f"{member}: it must be true, false, 1 or 0.", "Leave it out for all.")
    return found


def fits_states(query: Mapping[str, str], status: VpgStatus, substatus: VpgSubStatus, priority: Priority) -> bool:
    """Whether a VPG or VM in that state is asked for. Raises BadInput."""
    kinds = ("protectedSiteType", "recoverySiteType", "sourceType", "targetType")
    return (
        check_enumerations(query, "status", VpgStatus, status)
        and check_enumerations(query, "subStatus", VpgSubStatus, substatus)
        and check_enumerations(query, "priority", Priority, priority)
        and all(check_enumerations(query, kind, EntityKind, EntityKind.VCenter) for kind in kinds)
    )


def fits_sites(query: Mapping[str, str], protected: tuple[str, str], recovery: tuple[str, str]) -> bool:
    """Whether a VPG between those sites (identifier, name) is asked for."""
    return (
        query.get("protectedsiteidentifier", protected[0]).lower() == protected[0]
        and query.get("recoverysiteidentifier", recovery[0]).lower() == recovery[0]
        and query.get("sourcesite", protected[1]) == protected[1]
        and query.get("targetsite", recovery[1]) == recovery[1]
    )
