"""The recovery site's half: the journal."""

from __future__ import annotations

from typing import Any

from farshore.model.appliance_specs import KeepSpec
from farshore.model.vpg import Vpg
from farshore.operations.engine import site, step


@step
async def keep_journal(vpg_json: dict[str, Any]) -> None:
    """Does: have this site's appliance keep the journal of the VPG. Twice: it does already.

    Fails: Unavailable, Fault.
    """
    vpg = Vpg.model_validate(vpg_json)
    spec = KeepSpec(
        vpg_id=vpg.id,
        epoch=vpg.epoch,
        peer_site_id=vpg.protected_site_id,
        volumes=vpg.volumes,
        history_seconds=vpg.settings.history_seconds,
        reserve_bytes=site().config.settings.store_reserve_bytes,
        identity_dir=str(site().identity.folder),
    )
    await site().appliances.order(vpg.recovery_site_id, "keep_vpg", spec=spec.model_dump(mode="json"))
