"""The recovery site's half: the journal."""

from __future__ import annotations

from typing import Any

from farshore.model.vpg import Vpg
from farshore.operations.engine import site, step
from farshore.site.specs import keep_spec


@step
async def keep_journal(vpg_json: dict[str, Any]) -> None:
    """Does: have the recovery site's appliance keep the journal of the VPG. Twice: it does already.

    Fails: Unavailable, Fault.
    """
    vpg = Vpg.model_validate(vpg_json)
    await site().appliances.order(vpg.recovery_site_id, "keep_vpg", spec=keep_spec(vpg))
