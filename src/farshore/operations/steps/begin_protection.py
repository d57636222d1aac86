"""The protected site's half: the taps."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from farshore.errors import Unavailable
from farshore.model.appliance_specs import ProtectSpec
from farshore.model.vpg import Vpg
from farshore.operations.engine import in_thread, site, step
from farshore.site.pairing import describe, described_peer
from farshore.site.site import Site

BEGIN_SECONDS = 60.0
POLL_SECONDS = 0.3
BEGUN = ("syncing", "protecting")


async def _recovery_appliance(acting: Site, vpg: Vpg) -> tuple[str, int]:
    """Where the protected site's appliance finds the recovery site's."""
    if vpg.recovery_site_id == acting.id:
        return described_peer(dict(describe(acting.config))).appliance_host_port()
    return (await in_thread(acting.peers.get, vpg.recovery_site_id)).appliance_host_port()


@step
async def begin_protection(vpg_json: dict[str, Any]) -> None:
    """Does: tell the protected site's appliance to tap and send. Twice: it does already.

    Fails: Unavailable, Conflict.
    """
    vpg = Vpg.model_validate(vpg_json)
    host, port = await _recovery_appliance(site(), vpg)
    spec = ProtectSpec(
        vpg_id=vpg.id,
        vpg_name=vpg.name,
        epoch=vpg.epoch,
        interval_seconds=vpg.settings.checkpoint_interval_seconds,
        window_bytes=vpg.settings.window_bytes,
        volumes=vpg.volumes,
        vm_ids=tuple(vm.vm_id for vm in vpg.vms),
        peer_site_id=vpg.recovery_site_id,
        peer_host=host,
        peer_port=port,
    )
    await site().appliances.order(vpg.protected_site_id, "protect_vpg", spec=spec.model_dump(mode="json"))


@step
async def await_protection(vpg_json: dict[str, Any]) -> str:
    """Does: wait until the VMs' writes are tapped; gives the state. Twice: looks again. Fails: Unavailable."""
    vpg = Vpg.model_validate(vpg_json)
    deadline = time.monotonic() + BEGIN_SECONDS
    while True:
        status = await site().appliances.order(vpg.protected_site_id, "protection_status", vpg_id=vpg.id)
        if status["state"] in BEGUN:
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
