"""The VPG's rows, at this site and at the other."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from farshore.errors import Unavailable
from farshore.model.vpg import Vpg
from farshore.operations.engine import in_thread, site, step
from farshore.site.release import release_half, tell_released
from farshore.site.vpgs import Phase, VpgRow

TELL_SECONDS = 15.0
RETRY_SECONDS = 0.5


@step
async def record_vpg(vpg: dict[str, Any], phase: Phase, version: int) -> dict[str, Any]:
    """Does: write the VPG's row here in that phase, as that version; gives the VPG. Twice: the same row.

    Fails: Conflict.
    """
    row = VpgRow(Vpg.model_validate(vpg | {"version": version}), phase)
    await in_thread(site().vpgs.put, row)
    return row.vpg.model_dump(mode="json")


@step
async def tell_peer(vpg: dict[str, Any], phase: Phase) -> None:
    """Does: give the row to the other site; again when its manager is just being started again.

    Twice: a row of the same rank changes nothing. Fails: Unavailable, Conflict.
    """
    row = VpgRow(Vpg.model_validate(vpg), phase)
    deadline = time.monotonic() + TELL_SECONDS
    while True:
        left = max(1.0, deadline - time.monotonic())
        try:
            await site().client.call(site().other_site(row.vpg), "put_vpg", {"row": row.to_json()}, left)
        except Unavailable:
            if deadline - time.monotonic() < RETRY_SECONDS:
                raise
            await asyncio.sleep(RETRY_SECONDS)
        else:
            return


@step
async def release_here(vpg: dict[str, Any]) -> None:
    """Does: let go of this site's half (journal or taps). Twice: it is gone. Fails: Unavailable."""
    await release_half(site(), Vpg.model_validate(vpg))


@step
async def release_row(vpg: dict[str, Any]) -> None:
    """Does: mark the row as released; people see it no more. Twice: it is. Fails: only with the database."""
    await in_thread(site().vpgs.release, vpg["id"])


@step
async def release_at_peer(vpg: dict[str, Any]) -> None:
    """Does: have the other site let go of its half, then forget the row here. Twice: both are gone.

    Fails: Unavailable. The row stays as released then, and the manager goes on telling until the other site has heard.
    """
    await tell_released(site(), Vpg.model_validate(vpg))
