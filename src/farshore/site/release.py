"""Letting go of this site's half of a VPG, which always works with the other site dead [I8]."""

from __future__ import annotations

import asyncio

from farshore.model.vpg import Vpg
from farshore.site.site import Site

RELEASE_SECONDS = 30.0


async def release_half(site: Site, vpg: Vpg) -> None:
    """Remove the journal here and stop the taps; a VPG that changed over may have left either. Safe to repeat.

    Raises Unavailable when the site's own appliance does not answer.
    """
    for call in ("forget_vpg", "stop_protecting"):
        await site.appliances.order(site.id, call, within=RELEASE_SECONDS, vpg_id=vpg.id)
    await asyncio.to_thread(site.tests.forget, vpg.id)
    await asyncio.to_thread(site.debts.drop, vpg.id)
    for matter in ("vpg", "both", "deadline", "hindered"):
        await asyncio.to_thread(site.alerts.clear, f"{matter} {vpg.id}")


async def tell_released(site: Site, vpg: Vpg) -> None:
    """Tell the other site that this one is done with the VPG, and forget it.

    Raises Unavailable; then say it again later.
    """
    arguments = {"vpg_id": vpg.id, "epoch": vpg.epoch}
    await site.client.call(site.other_site(vpg), "release_vpg", arguments, RELEASE_SECONDS)
    await asyncio.to_thread(site.vpgs.remove, vpg.id)
