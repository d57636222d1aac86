"""The plans of a failover, a move, their commit and rollback, and of protecting back: in words, before they act."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from farshore.cli.client import SiteClient
from farshore.cli.output import time_ns_of
from farshore.cli.plan import Plan, unbroken
from farshore.cli.recovery_words import duration_text, policy_text, vpg_command
from farshore.errors import NotFound

REPLICA = "their disks become the replica there: what was written on them since the checkpoint is overwritten"


@dataclass(frozen=True)
class Sides:
    """A VPG's name and its two sites."""

    vpg: str
    protected: str
    recovery: str

    @classmethod
    def of(cls, vpg: dict[str, Any]) -> Sides:
        """Those of a VPG as the API tells it."""
        return cls(vpg["VpgName"], vpg["SourceSite"], vpg["TargetSite"])


def _command(api: SiteClient, word: str, name: str) -> str:
    return unbroken(vpg_command(api, word, name))


def find_checkpoint(api: SiteClient, vpg_id: str, wanted: str | None) -> dict[str, Any] | None:
    """The checkpoint of that identifier; with None the newest, or None when there is none. Raises NotFound."""
    if wanted is None:
        newest: list[dict[str, Any]] = api.get(f"/vpgs/{vpg_id}/checkpoints", limit=1)
        return newest[-1] if newest else None
    for checkpoint in api.get(f"/vpgs/{vpg_id}/checkpoints"):
        if checkpoint["CheckpointIdentifier"] == wanted.strip():
            found: dict[str, Any] = checkpoint
            return found
    raise NotFound(f"There is no checkpoint {wanted}.", "List them with `farshore vpg checkpoints`.")


def checkpoint_text(checkpoint: dict[str, Any] | None) -> str:
    """A checkpoint with its time, age and tag."""
    if checkpoint is None:
        return "none: the VPG has no checkpoint yet"
    age = (time.time_ns() - time_ns_of(checkpoint["TimeStamp"])) / 1e9
    tag = f", tagged {checkpoint['Tag']}" if checkpoint.get("Tag") else ""
    return f"{checkpoint['CheckpointIdentifier']} of {checkpoint['TimeStamp']}, {duration_text(age)} old{tag}"


def failover_plan(
    api: SiteClient,
    vpg: dict[str, Any],
    names: Sequence[str],
    checkpoint: dict[str, Any] | None,
    *,
    chosen: bool,
    only_some: bool,
    shutdown: int,
    shutdown_seconds: float,
    policy: int,
    seconds: int,
    reverse: bool,
) -> Plan:
    """Of a failover. `chosen`: the checkpoint was named; else it is the newest."""
    sides = Sides.of(vpg)
    what = checkpoint_text(checkpoint)
    if not chosen:
        what = f"the newest; now {what}" if shutdown == 0 else f"cut when the VMs are off: nothing is lost (now {what})"
    wait = duration_text(shutdown_seconds)
    protected = (
        "not touched: where they still run they go on, and what they write is not in the recovered ones",
        f"shut down; one that is not off after {wait} makes the failover fail, with all as before",
        f"shut down, and powered off when they are not off after {wait}",
    )[shutdown]
    others = "; the others stay protected, these form a VPG of their own at the commit" if only_some else ""
    return Plan(
        f"Failover of VPG {sides.vpg} from {sides.protected} to {sides.recovery}",
        (
            ("VMs", ", ".join(names) + others),
            *_superseded(vpg),
            *_scripts(vpg, "it goes on all the same"),
            ("checkpoint", what),
            ("protected VMs", protected),
            ("then", f"Before Commit: the recovered VMs run at {sides.recovery}; {policy_text(policy, seconds)}"),
            ("at the commit", _after_failover(api, sides, reverse=reverse, some=only_some)),
            ("way back", f"until the commit: {_command(api, 'rollback', sides.vpg)}"),
        ),
    )


def _superseded(vpg: dict[str, Any]) -> list[tuple[str, str]]:
    """What a failover puts an end to first."""
    processes = vpg.get("ActiveProcessesApi") or {}
    ended = []
    if processes.get("RunningFailOverTestApi"):
        ended.append("the failover test that runs is stopped")
    if (processes.get("RunningRecovery") or {}).get("Kind") == "move":
        ended.append("the move that is under way is given up")
    return [("first", " and ".join(ended))] if ended else []


def _after_failover(api: SiteClient, sides: Sides, *, reverse: bool, some: bool) -> str:
    if reverse:
        when = "as soon as it answers and the old VMs are off there"
        return f"protected back to {sides.protected} by itself, {when}; {REPLICA}"
    back = _command(api, "protect-back", f"{sides.vpg} (recovered DATE)" if some else sides.vpg)
    return f"the recovered VMs stay and are not protected until: {back}; the old ones and their disks stay as they are"


def _after_move(api: SiteClient, sides: Sides, *, reverse: bool, keep: bool) -> str:
    if reverse:
        return f"protected back to {sides.protected} by itself; the old VMs' disks become the replica there"
    back = _command(api, "protect-back", sides.vpg)
    if keep:
        return f"not protected until: {back}; the old VMs stay, powered off, and are not started by mistake"
    return f"not protected until: {back}; the old VMs and their disks at {sides.protected} are DELETED"


def _scripts(vpg: dict[str, Any], when_failing: str) -> list[tuple[str, str]]:
    """The VPG's scripts, if it has any."""
    pre, post = vpg.get("PreRecoveryScript"), vpg.get("PostRecoveryScript")
    told = [f"{pre} runs first at {vpg['TargetSite']}; when it fails {when_failing}"] if pre else []
    told += [f"{post} runs when the recovered VMs were started"] if post else []
    return [("scripts", "; ".join(told))] if told else []


def move_plan(
    api: SiteClient,
    vpg: dict[str, Any],
    names: Sequence[str],
    *,
    force: bool,
    shutdown_seconds: float,
    policy: int,
    seconds: int,
    reverse: bool,
    keep: bool,
    despite_script: bool,
) -> Plan:
    """Of a move. `despite_script`: it goes on when the VPG's pre-recovery script fails."""
    sides = Sides.of(vpg)
    graceful = f"shut down, and powered off when they are not off after {duration_text(shutdown_seconds)}"
    return Plan(
        f"Move of VPG {sides.vpg} from {sides.protected} to {sides.recovery}",
        (
            ("VMs", ", ".join(names)),
            *_scripts(vpg, "it goes on all the same" if despite_script else "the move ends, with all as before"),
            ("checkpoint", "cut when the VMs are off: nothing is lost"),
            ("protected VMs", "powered off at once" if force else graceful),
            ("then", f"Before Commit: the VMs run at {sides.recovery}; {policy_text(policy, seconds)}"),
            ("at the commit", _after_move(api, sides, reverse=reverse, keep=keep)),
            ("way back", f"until the commit, the old VMs run again: {_command(api, 'rollback', sides.vpg)}"),
        ),
    )


def commit_plan(api: SiteClient, vpg: dict[str, Any], recovery: dict[str, Any], *, reverse: bool, keep: bool) -> Plan:
    """Of the commit of what is in Before Commit."""
    sides = Sides.of(vpg)
    moved, some = recovery["Kind"] == "move", len(recovery["Vms"]) < vpg["VmsCount"]
    alone = "; they leave the VPG, whose other VMs stay protected, and form one of their own" if some else ""
    gone = "" if some else "; all others of before are gone"
    after = (
        _after_move(api, sides, reverse=reverse, keep=keep)
        if moved
        else _after_failover(api, sides, reverse=reverse, some=some)
    )
    return Plan(
        f"Commit of the {recovery['Kind']} of VPG {sides.vpg} to {sides.recovery}",
        (
            (
                "VMs",
                ", ".join(vm["VmName"] for vm in recovery["Vms"])
                + ": they run on while their disks are made whole"
                + alone,
            ),
            ("checkpoint", f"{recovery.get('CheckpointIdentifier')}{gone}"),
            ("then", after),
            ("way back", "none: a commit is not undone. Later, protected back, the VPG can be moved home"),
        ),
    )


def rollback_plan(vpg: dict[str, Any], recovery: dict[str, Any]) -> Plan:
    """Of the rollback of what is in Before Commit."""
    sides = Sides.of(vpg)
    names = ", ".join(vm["VmName"] for vm in recovery["Vms"])
    return Plan(
        f"Rollback of the {recovery['Kind']} of VPG {sides.vpg}",
        (
            (
                "recovered VMs",
                f"{names}: removed at {sides.recovery}, with all that they wrote since they were recovered",
            ),
            ("protected VMs", f"those that it shut down run again at {sides.protected}; the others were not touched"),
            ("then", "protected as before; all checkpoints are there"),
            ("way back", f"another {recovery['Kind']}"),
        ),
    )


def protect_back_plan(vpg: dict[str, Any], names: Sequence[str]) -> Plan:
    """Of protecting back a VPG that was committed at the other site."""
    sides = Sides.of(vpg)
    exact = (vpg.get("WayHome") or {}).get("IsExact")
    sync = "only what was written since is sent" if exact else "hashes are compared, and what differs is sent"
    return Plan(
        f"Protect VPG {sides.vpg} back, from {sides.protected} to {sides.recovery}",
        (
            ("VMs", f"{', '.join(names)}: they run on"),
            ("old disks", f"at {sides.recovery} they become the replica; the VMs there must be off and stay off"),
            ("sync", sync),
            ("lost", "what was written on the old disks after the checkpoint that was recovered"),
            ("way back", "until the first checkpoint after the sync the old disks stay as they are"),
        ),
    )
