"""How a VPG stands in a failover, a move or on its way home, in words; and what can be typed next."""

from __future__ import annotations

import shlex
from typing import Any

from farshore.cli.client import SiteClient
from farshore.cli.output import size_text

STAGES = {
    "recovering": "begun, not yet in Before Commit",
    "before_commit": "in Before Commit",
    "committing": "committing",
    "rolling_back": "rolling back",
}
POLICIES = ("rollback", "commit", "none")
"""The commit policies by their numbers."""

Fact = tuple[str, Any]


def duration_text(seconds: float) -> str:
    """A time for people: `90 s`, `15 min`, `3 h 20 min`, `2 d 4 h`."""
    whole = max(0, round(seconds))
    if whole < 120:
        return f"{whole} s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if hours < 2:
        return f"{minutes} min"
    return f"{hours} h {minutes % 60} min" if days < 2 else f"{days} d {hours % 24} h"


def recovery_of(vpg: dict[str, Any]) -> dict[str, Any] | None:
    """The failover or move that is neither committed nor rolled back."""
    found: dict[str, Any] | None = (vpg.get("ActiveProcessesApi") or {}).get("RunningRecovery")
    return found


def policy_text(policy: int, seconds: int | None) -> str:
    """What Before Commit comes to by itself: policy 0 rolls back, 1 commits, 2 waits."""
    if policy == 2:
        return "nothing by itself: it waits for a commit or a rollback"
    done = "rolled back" if policy == 0 else "committed"
    when = "" if seconds is None else f" after {seconds} s" + (f" ({duration_text(seconds)})" if seconds >= 600 else "")
    return f"{done} by itself{when}"


def vm_text(vm: dict[str, Any]) -> str:
    """A recovered VM: its name, whether it runs (if that is known), where its serial log is."""
    known = [part for part in (vm["PowerState"], vm.get("SerialLog")) if part and part != "unknown"]
    return f"{vm['VmName']} ({', '.join(known)})" if known else str(vm["VmName"])


def standing(vpg: dict[str, Any]) -> list[Fact]:
    """The facts of a recovery, of the way home and of a sync, as far as there are any."""
    facts: list[Fact] = []
    recovery = recovery_of(vpg)
    if recovery is not None:
        checkpoint = recovery.get("CheckpointIdentifier")
        at = f", checkpoint {checkpoint}" if checkpoint else ""
        facts.append((recovery["Kind"], STAGES.get(recovery["Stage"], recovery["Stage"]) + at))
        left = recovery.get("SecondsLeft")
        if recovery["Stage"] == "before_commit":
            facts.append(("then", policy_text(recovery["CommitPolicy"], left)))
        facts.append(("protect back", "yes" if recovery["IsReverseProtection"] else "no"))
        facts += [("recovered VM", vm_text(vm)) for vm in recovery["Vms"]]
    way_home = vpg.get("WayHome")
    if way_home is not None:
        facts.append(("way home", _way_home_text(way_home)))
    sync = vpg.get("Sync")
    if sync is not None:
        facts.append(("sync" if sync["IsRunning"] else "last sync", sync_text(sync)))
    return facts


def _way_home_text(way_home: dict[str, Any]) -> str:
    if way_home["HasBegun"]:
        return "begun: it is protected again at the first checkpoint after the sync"
    if way_home["IsAsked"]:
        return "asked for: it begins by itself as soon as the other site answers and the old VMs are off there"
    return "not protected: it waits until you protect it back"


def sync_text(sync: dict[str, Any]) -> str:
    """A sync's kind and figures."""
    of = f"{size_text(sync['DoneInBytes'])} of {size_text(sync['TotalInBytes'])}"
    parts = [str(sync["Kind"]), of if sync["TotalInBytes"] else "nothing to compare or send"]
    named = (("read", "ReadInBytes"), ("hashes", "HashesInBytes"), ("sent", "SentInBytes"))
    parts += [f"{word} {size_text(sync[member])}" for word, member in named if sync[member]]
    return ", ".join(parts)


def vpg_command(api: SiteClient, word: str, name: str, options: str = "") -> str:
    """A whole command line on that VPG, to be typed as it stands."""
    return f"farshore vpg {word} {shlex.quote(name)}{options}{api.named_by}"


def watch_command(api: SiteClient, recovery: dict[str, Any]) -> str:
    """How to look at what runs: the task that began the recovery, or the one that ends it, whose name is not told."""
    begins = recovery["Stage"] == "recovering"
    words = f"watch {recovery['TaskIdentifier']}" if begins else "list --state InProgress"
    return f"farshore task {words}{api.named_by}"


def next_commands(api: SiteClient, vpg: dict[str, Any]) -> list[str]:
    """What a person would type next, most likely first; none when nothing waits for anybody."""
    name = vpg["VpgName"]
    recovery, way_home = recovery_of(vpg), vpg.get("WayHome")
    if recovery is not None and recovery["Stage"] == "before_commit":
        return [vpg_command(api, "commit", name), vpg_command(api, "rollback", name)]
    if recovery is not None:
        return [watch_command(api, recovery)]
    if way_home is not None and not way_home["IsAsked"] and not way_home["HasBegun"]:
        return [vpg_command(api, "protect-back", name)]
    if (vpg.get("ActiveProcessesApi") or {}).get("RunningFailOverTestApi"):
        return [vpg_command(api, "test-stop", name)]
    return []
