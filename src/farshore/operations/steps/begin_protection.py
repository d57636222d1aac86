"""The protected site's half: the taps."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from farshore.errors import Unavailable
from farshore.model.vpg import Vpg
from farshore.operations.engine import in_thread, site, step
from farshore.site.specs import protect_spec

BEGIN_SECONDS = 60.0
POLL_SECONDS = 0.3
BEGUN = ("syncing", "protecting", "paused")


@step
async def begin_protection(vpg_json: dict[str, Any]) -> None:
    """Does: tell the protected site's appliance to tap and send. Twice: it does already.

    Fails: Unavailable, Conflict.
    """
    vpg = Vpg.model_validate(vpg_json)
    spec = await in_thread(protect_spec, site(), vpg)
    await site().appliances.order(vpg.protected_site_id, "protect_vpg", spec=spec)


@step
async def await_protection(vpg_json: dict[str, Any]) -> str:
    """Does: wait until the writes of all its VMs are tapped, or the VPG is paused; gives the state.

    Twice: looks again. Fails: Unavailable.
    """
    vpg = Vpg.model_validate(vpg_json)
    deadline = time.monotonic() + BEGIN_SECONDS
    while True:
        status = await site().appliances.order(vpg.protected_site_id, "protection_status", vpg_id=vpg.id)
        if status["state"] in BEGUN and int(status["volumes"]) == len(vpg.volumes):
            return str(status["state"])
        if time.monotonic() > deadline:
            fact = f"Protection did not begin within {BEGIN_SECONDS:g} s ({status['state']}: {status.get('reason')})."
            raise Unavailable(fact, "Look at the watcher's log of the protected site.")
        await asyncio.sleep(POLL_SECONDS)


@step
async def stop_protection(vpg_json: dict[str, Any]) -> None:
    """Does: take the taps away. Twice: they are gone. Fails: Unavailable."""
    vpg = Vpg.model_validate(vpg_json)
    await site().appliances.order(vpg.protected_site_id, "stop_protecting", vpg_id=vpg.id)
