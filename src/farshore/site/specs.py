"""What the appliances are told of a VPG: made from its row, the same at every repetition."""

from __future__ import annotations

from typing import Any

from farshore.model.appliance_specs import JournalSeed, KeepSpec, ProtectSpec
from farshore.model.vpg import Vpg
from farshore.site.pairing import describe, described_peer
from farshore.site.site import Site


def keep_spec(vpg: Vpg, seed: JournalSeed | None = None) -> dict[str, Any]:
    """For the recovery site's appliance, which adds its own reserve and identity."""
    spec = KeepSpec(
        vpg_id=vpg.id,
        epoch=vpg.epoch,
        peer_site_id=vpg.protected_site_id,
        volumes=vpg.volumes,
        history_seconds=vpg.settings.history_seconds,
        seed=seed,
    )
    return spec.model_dump(mode="json")


def protect_spec(
    site: Site, vpg: Vpg, *, delta: bool = False, synced: dict[str, str] | None = None, journal_id: str = ""
) -> dict[str, Any]:
    """For the protected site's appliance. Reads the table of peers: call it in a thread. Raises NotFound."""
    if vpg.recovery_site_id == site.id:
        host, port = described_peer(dict(describe(site.config))).appliance_host_port()
    else:
        host, port = site.peers.get(vpg.recovery_site_id).appliance_host_port()
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
        delta=delta,
        synced=synced or {},
        journal_id=journal_id,
    )
    return spec.model_dump(mode="json")
