"""`python -m benchmarks.api_stand_in FOLDER`: an appliance that only tells how VPGs stand, over its real port.

It tells of any VPG the same: protecting, with the oldest and the newest checkpoint of a journal.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from farshore.appliance.appliance import Appliance
from farshore.appliance.port import AppliancePort
from farshore.identity.contexts import server_context
from farshore.model.site import SiteConfig

HOUR_NS = 3600 * 10**9


def _protection() -> dict[str, Any]:
    return {
        "epoch": 1,
        "state": "protecting",
        "reason": "",
        "sync": None,
        "last_sync": None,
        "link": "connected",
        "link_reason": "",
        "unacknowledged_bytes": 0,
        "received_bytes": 1 << 30,
        "holes": 0,
    }


def _checkpoint(number: int, time_ns: int) -> dict[str, Any]:
    return {"id": str(number), "time_ns": time_ns, "tag": None, "hole_before": False}


def _journal() -> dict[str, Any]:
    now = time.time_ns()
    ends = {"oldest_checkpoint": _checkpoint(1, now - HOUR_NS), "newest_checkpoint": _checkpoint(720, now)}
    return {"state": "keeping", "reason": "", "journal_bytes": 1 << 30, **ends}


async def _vpg_statuses(vpg_ids: list[str], operations: Sequence[str] = (), **_how: Any) -> dict[str, Any]:
    vpgs = {vpg_id: {"protection": _protection(), "journal": _journal()} for vpg_id in vpg_ids}
    return {"vpgs": vpgs, "operations": {one: {"promotion": None, "recovered": None} for one in operations}}


CALLS: dict[str, Callable[..., Any]] = {"vpg_statuses": _vpg_statuses}


async def serve(folder: Path) -> None:
    """Until it is killed."""
    config = SiteConfig.load(folder)
    stand_in = cast("Appliance", SimpleNamespace(config=config, calls=lambda: CALLS))
    port = AppliancePort(stand_in, server_context(folder / "identity", require_client=True), lambda _text: None)
    port.listen(config.host, config.appliance_port)
    await port.serve()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
