"""A tagged checkpoint: cut at the protected site, durable at the recovery site [I22]."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from farshore.errors import Conflict, FarshoreError, Unavailable
from farshore.model.vpg import Vpg
from farshore.operations.engine import site, step

CUT_SECONDS = 10.0
DURABLE_SECONDS = 1800.0
"""How long a cut checkpoint may take to become durable at the other site (the link may be down)."""
POLL_SECONDS = 0.25


@step
async def cut_checkpoint(vpg_json: dict[str, Any], tag: str, cut_name: str) -> dict[str, Any]:
    """Does: cut a marker with that tag; gives {"marker_id", "time_ns"}. Twice: once per `cut_name`, the same marker.

    Fails: Conflict (no cut is possible now), Unavailable.
    """
    vpg = Vpg.model_validate(vpg_json)
    call: dict[str, Any] = {"vpg_id": vpg.id, "tag": tag, "task": cut_name}
    cut: dict[str, Any] = await site().appliances.order(
        vpg.protected_site_id, "cut_checkpoint", within=CUT_SECONDS, **call
    )
    return cut


@step
async def cut_again(vpg_json: dict[str, Any], tag: str, cut_name: str) -> dict[str, Any]:
    """Does: as cut_checkpoint, but waits until a cut is possible. Twice: the same marker. Fails: Unavailable."""
    vpg = Vpg.model_validate(vpg_json)
    call: dict[str, Any] = {"vpg_id": vpg.id, "tag": tag, "task": cut_name}
    deadline = time.monotonic() + DURABLE_SECONDS
    while True:
        try:
            cut: dict[str, Any] = await site().appliances.order(vpg.protected_site_id, "cut_checkpoint", **call)
        except (Conflict, Unavailable):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(1.0)
        else:
            return cut


@step
async def await_durable(vpg_json: dict[str, Any], marker_id: str) -> dict[str, Any]:
    """Does: wait until the marker is a checkpoint at the recovery site; gives it, or {"void": reason}.

    Twice: looks again. Fails: Unavailable after the bound.
    """
    vpg = Vpg.model_validate(vpg_json)
    deadline = time.monotonic() + DURABLE_SECONDS
    last: FarshoreError | None = None
    while time.monotonic() < deadline:
        try:
            call: dict[str, Any] = {"vpg_id": vpg.id, "marker_id": marker_id}
            found: dict[str, Any] | None = await site().appliances.order(vpg.recovery_site_id, "find_marker", **call)
        except Unavailable as error:
            last = error
        else:
            if found is not None:
                return found
        await asyncio.sleep(POLL_SECONDS)
    fact = f"The checkpoint did not become durable at the recovery site within {DURABLE_SECONDS:g} s."
    raise Unavailable(fact, str(last) if last else "Look at the link between the sites.")
