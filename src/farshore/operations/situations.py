"""What is so of a VPG at the moment, in the words of the table of actions (model/actions.py)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from farshore.errors import NotFound, Unavailable
from farshore.model.actions import Situation
from farshore.model.site_kinds import CLOUDS
from farshore.model.task import TaskType
from farshore.operations.engine import in_thread
from farshore.site.failover_tests import OPEN_STATES
from farshore.site.kinds import kind_of
from farshore.site.site import Site
from farshore.site.vpgs import VpgRow

ASK_SECONDS = 1.5


@dataclass(frozen=True)
class Standing:
    """The situations, and what the appliances said; None: no answer."""

    situations: frozenset[Situation]
    protection: dict[str, Any] | None
    newest_checkpoint: dict[str, Any] | None


async def _ask(site: Site, site_id: str, name: str, **arguments: Any) -> Any:
    try:
        return await site.appliances.ask(site_id, name, seconds=ASK_SECONDS, **arguments)
    except (Unavailable, NotFound):
        return None


async def stand(site: Site, row: VpgRow) -> Standing:
    """Look at the VPG; answers within `ASK_SECONDS` whoever is silent, and leaves out what is not known then."""
    vpg = row.vpg
    protection, newest = await asyncio.gather(
        _ask(site, vpg.protected_site_id, "protection_status", vpg_id=vpg.id),
        _ask(site, vpg.recovery_site_id, "list_checkpoints", vpg_id=vpg.id, limit=1, newest_first=True),
    )
    tests = await in_thread(site.tests.of, vpg.id, *OPEN_STATES)
    reading = await in_thread(site.tasks.reading, vpg.id)
    recovery, way_home = vpg.recovery, vpg.way_home
    at = (recovery.kind, recovery.stage) if recovery else ("", "")
    partial = recovery is not None and len(recovery.vm_ids) < len(vpg.vms)
    known = {
        Situation.Committing: at[1] == "committing",
        Situation.RollingBack: at[1] == "rolling_back",
        Situation.FailoverBeforeCommit: at == ("failover", "before_commit") and not partial,
        Situation.PartialFailoverBeforeCommit: at == ("failover", "before_commit") and partial,
        Situation.MoveBeforeCommit: at == ("move", "before_commit"),
        Situation.Moving: at == ("move", "recovering"),
        Situation.FailingOver: at == ("failover", "recovering"),
        Situation.NeedsConfiguration: way_home is not None and not way_home.began,
        Situation.Creating: row.phase == "creating",
        Situation.Deleting: row.phase == "removing",
        Situation.NoVms: not vpg.vms,
        Situation.NoCheckpoint: newest == [],
        Situation.TestRunning: bool(tests),
        Situation.CloneRunning: any(task.type == TaskType.Clone.value for task in reading),
        Situation.Paused: protection is not None and bool(protection.get("paused")),
        Situation.Syncing: protection is not None and protection["state"] == "syncing",
        Situation.ProtectedInCloud: await in_thread(kind_of, site, vpg.protected_site_id) in CLOUDS,
    }
    situations = frozenset(situation for situation, holds in known.items() if holds)
    return Standing(situations, protection, newest[0] if newest else None)
