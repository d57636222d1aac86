"""From what the appliances say of a VPG to what is judged (model/vpg_states.py), pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

from farshore.model.vpg_states import SyncKind, VpgFacts
from farshore.site.vpgs import VpgRow

UNHEALTHY_LINKS = {"no_space", "damaged"}


@dataclass(frozen=True)
class Heard:
    """Answers of both appliances; None: no answer (or, of checkpoints, none there)."""

    protection: dict[str, Any] | None = None
    journal: dict[str, Any] | None = None
    newest: dict[str, Any] | None = None
    oldest: dict[str, Any] | None = None
    connected: bool = True
    unwatched: bool = False
    """For a while nothing has been said of its protection, though its site answers."""
    promotion: dict[str, Any] | None = None
    both_run: str = ""
    """That old VMs run beside the recovered ones, in words."""
    recovered: list[dict[str, Any]] | None = None
    """The VMs of the failover or move under way, as they are at this site."""


def facts(row: VpgRow, heard: Heard, now_ns: int) -> VpgFacts:
    """What is so of the VPG."""
    protection, journal = heard.protection or {}, heard.journal or {}
    sync = protection.get("sync")
    age = None if heard.newest is None else max(0.0, (now_ns - heard.newest["time_ns"]) / 1e9)
    recovery, way_home = row.vpg.recovery, row.vpg.way_home
    home: Literal["needed", "asked", "began"] | None = None
    if way_home is not None:
        by_itself = way_home.asked and not heard.both_run
        home = "began" if way_home.began else "asked" if by_itself else "needed"
    return VpgFacts(
        recovery=(recovery.kind, recovery.stage) if recovery else None,
        promoting=(heard.promotion or {}).get("state") == "running",
        way_home=home,
        has_vms=bool(row.vpg.vms),
        creating=row.phase == "creating",
        deleting=row.phase == "removing",
        connected=heard.connected and protection.get("link", "connected") != "down",
        syncing=cast("SyncKind", sync["kind"]) if sync and protection.get("state") == "syncing" else None,
        paused=bool(protection.get("paused")),
        preparing=protection.get("state") in {"starting", "attaching"},
        interrupted=protection.get("state") in {"interrupted", "stopped"} or heard.unwatched,
        no_space=journal.get("state") == "no_space" or protection.get("link") == "no_space",
        damaged=journal.get("state") == "damaged",
        newest_checkpoint_age_seconds=age,
        rpo_seconds=row.vpg.settings.rpo_seconds,
    )


def reason(heard: Heard, *, changing_over: bool = False) -> str:
    """What is wrong or going on, in words; empty when there is nothing to say.

    `changing_over`: in a failover or move. That the old epoch is over is its doing then, and nothing wrong.
    """
    protection, journal = heard.protection or {}, heard.journal or {}
    if heard.both_run:
        return heard.both_run
    if not heard.connected:
        return "The other site does not answer."
    if heard.unwatched:
        return "The watcher of its protected site does not answer, or does not protect it."
    if journal.get("state") in UNHEALTHY_LINKS:
        return str(journal.get("reason") or f"The journal says {journal['state']}.")
    if protection.get("reason"):
        return str(protection["reason"])
    expected = changing_over and protection.get("link") == "old_epoch"
    if protection.get("link", "connected") != "connected" and not expected:
        return str(protection.get("link_reason") or f"The link to the recovery site is {protection['link']}.")
    return ""


def sync_percentage(heard: Heard) -> int:
    """How far the promotion or the sync is; 0 when none runs."""
    running = heard.promotion if (heard.promotion or {}).get("state") == "running" else None
    sync = running or (heard.protection or {}).get("sync")
    if not sync or not sync.get("total_bytes"):
        return 0
    return max(0, min(100, int(100 * sync["done_bytes"] / sync["total_bytes"])))
