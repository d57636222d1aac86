"""`farshore vpg failover`, `move`, `commit`, `rollback`, `protect-back`: each shows a plan and asks before it acts."""

from __future__ import annotations

import time
from enum import Enum
from typing import Annotated, Any

import typer

from farshore.cli.client import SiteClient
from farshore.cli.options import command
from farshore.cli.output import Output, time_text
from farshore.cli.plan import Plan
from farshore.cli.script_options import DespiteScript
from farshore.cli.vpg_commands import CheckpointOption, VpgName, Wait

app = typer.Typer()

TIMEOUT_SECONDS = 6 * 3600.0
"""Shutting down, promoting and deleting take as long as the disks are big."""
SECONDS_MAX = 2147483647


class Policy(Enum):
    """The commit policies by the words of the command line, in the order of their numbers."""

    ROLLBACK = "rollback"
    COMMIT = "commit"
    NONE = "none"

    @property
    def number(self) -> int:
        """As the API counts them."""
        return list(Policy).index(self)


class Shutdown(Enum):
    """What is done to the protected VMs first, likewise."""

    NONE = "none"
    GRACEFUL = "graceful"
    FORCE = "force"

    @property
    def number(self) -> int:
        """As the API counts them."""
        return list(Shutdown).index(self)


Yes = Annotated[bool, typer.Option("--yes", help="Do not ask; the plan is shown all the same.")]
WaitSeconds = Annotated[
    int | None,
    typer.Option(
        "--wait-seconds",
        metavar="SECONDS",
        min=0,
        max=SECONDS_MAX,
        help="Seconds in Before Commit after which the policy is carried out; the site's setting if not given.",
    ),
]
PolicyHelp = "What is done by itself after that time: roll back, commit, or none (wait for a person)."


def _vm_names(api: SiteClient, vpg: dict[str, Any], wanted: list[str] | None) -> list[str]:
    """Names of the VPG's VMs, or of those that are wanted."""
    from farshore.cli.find import pick

    there = [vm for vm in api.get("/vms", vpgName=vpg["VpgName"]) if vm["VpgIdentifier"] == vpg["VpgIdentifier"]]
    chosen = there if not wanted else [pick(there, one, "VmIdentifier", "VmName", "VM") for one in wanted]
    return list(dict.fromkeys(str(vm["VmName"]) for vm in chosen))


def _carry_out(
    api: SiteClient, out: Output, vpg: dict[str, Any], action: str, body: Any, plan: Plan, *, yes: bool, wait: bool
) -> None:
    """Show the plan and ask; order it; wait for its task; tell how the VPG stands and what can be typed next."""
    from farshore.cli.plan import agree

    agree(plan, yes=yes, as_json=out.as_json)
    asked = time_text(time.time_ns())
    _follow(api, out, vpg, api.post(f"/vpgs/{vpg['VpgIdentifier']}/{action}", body), plan, asked, wait=wait)


def _follow(
    api: SiteClient, out: Output, vpg: dict[str, Any], reply: Any, plan: Plan, asked: str, *, wait: bool
) -> None:
    from farshore.cli.client import task_id_of
    from farshore.cli.names import vpg_state_text
    from farshore.cli.recovery_words import next_commands, standing
    from farshore.cli.waiting import wait_for_task

    task_id = task_id_of(reply)
    data: dict[str, Any] = {"Plan": plan.to_json(), "Asked": asked, "TaskIdentifier": task_id}
    if not wait:
        out.result(data, f"Task {task_id}\nWatch it with: farshore task watch {task_id}{api.named_by}")
        return
    task = wait_for_task(api, task_id, out, what=plan.title, timeout_seconds=TIMEOUT_SECONDS)
    now = api.get(f"/vpgs/{vpg['VpgIdentifier']}")
    following = next_commands(api, now)
    lines = [
        f"Done: {plan.title}. {task.get('CompleteReason') or ''}".rstrip(),
        f"VPG {now['VpgName']}: {vpg_state_text(now['Status'], now['SubStatus'])}",
    ]
    lines += [f"{name}: {value}" for name, value in standing(now)]
    lines += [f"Next: {line}" for line in following]
    lines.append(f"Report: farshore report show {task_id}{api.named_by}")
    out.result({**data, "Task": task, "Vpg": now, "Next": following}, "\n".join(lines))


@command(app, "failover")
def failover(
    api: SiteClient,
    out: Output,
    vpg: VpgName,
    checkpoint: CheckpointOption = None,
    vm: Annotated[list[str] | None, typer.Option("--vm", metavar="VM", help="Only this VM; may be repeated.")] = None,
    shutdown: Annotated[
        Shutdown, typer.Option("--shutdown", help="The protected VMs first: leave them, shut down, or power off too.")
    ] = Shutdown.NONE,
    policy: Annotated[Policy, typer.Option("--commit-policy", help=PolicyHelp)] = Policy.ROLLBACK,
    wait_seconds: WaitSeconds = None,
    reverse: Annotated[bool, typer.Option("--reverse", help="Protect back to the old site after the commit.")] = False,
    yes: Yes = False,
    wait: Wait = True,
) -> None:
    """Run the VMs at the recovery site from a checkpoint, up to Before Commit, where it can still be undone."""
    from farshore.cli.find import find_vpg
    from farshore.cli.recovery_plans import failover_plan, find_checkpoint

    found, here = find_vpg(api, vpg), api.get("/localsite")
    names, all_names = _vm_names(api, found, vm), _vm_names(api, found, None)
    seconds = here["CommitSeconds"] if wait_seconds is None else wait_seconds
    plan = failover_plan(
        api,
        found,
        names,
        find_checkpoint(api, found["VpgIdentifier"], checkpoint),
        chosen=checkpoint is not None,
        only_some=len(names) < len(all_names),
        shutdown=shutdown.number,
        shutdown_seconds=here["ShutdownSeconds"],
        policy=policy.number,
        seconds=seconds,
        reverse=reverse,
    )
    body = {
        "CheckpointIdentifier": checkpoint,
        "CommitPolicy": policy.number,
        "TimeToWaitBeforeShutdownInSec": seconds,
        "ShutdownPolicy": shutdown.number,
        "IsReverseProtection": reverse,
        "VmIdentifiers": vm,
    }
    _carry_out(api, out, found, "Failover", body, plan, yes=yes, wait=wait)


@command(app, "move")
def move(
    api: SiteClient,
    out: Output,
    vpg: VpgName,
    force: Annotated[
        bool, typer.Option("--force-shutdown", help="Power the VMs off instead of shutting down.")
    ] = False,
    reverse: Annotated[
        bool, typer.Option("--reverse/--no-reverse", help="Protect back to the old site after the commit.")
    ] = True,
    keep: Annotated[
        bool,
        typer.Option("--keep-source", help="With --no-reverse: keep the old VMs, powered off, instead of deleting."),
    ] = False,
    continue_on_script_failure: DespiteScript = False,
    policy: Annotated[
        Policy | None, typer.Option("--commit-policy", help=PolicyHelp + " The site's setting if not given.")
    ] = None,
    wait_seconds: WaitSeconds = None,
    yes: Yes = False,
    wait: Wait = True,
) -> None:
    """Shut the VMs down and run them at the recovery site with nothing lost, up to Before Commit."""
    from farshore.cli.find import find_vpg
    from farshore.cli.recovery_plans import move_plan

    found, here = find_vpg(api, vpg), api.get("/localsite")
    number = here["MoveCommitPolicy"] if policy is None else policy.number
    seconds = here["CommitSeconds"] if wait_seconds is None else wait_seconds
    plan = move_plan(
        api,
        found,
        _vm_names(api, found, None),
        force=force,
        shutdown_seconds=here["ShutdownSeconds"],
        policy=number,
        seconds=seconds,
        reverse=reverse,
        keep=keep,
        despite_script=continue_on_script_failure,
    )
    body = {
        "CommitPolicy": number,
        "CommitPolicyTimeout": seconds,
        "ForceShutdown": force,
        "ReverseProtection": reverse,
        "KeepSourceVms": keep,
        "ContinueOnPreScriptFailure": continue_on_script_failure,
    }
    _carry_out(api, out, found, "move", body, plan, yes=yes, wait=wait)


def _in_before_commit(api: SiteClient, vpg: dict[str, Any]) -> dict[str, Any]:
    """What waits for a commit or a rollback. Raises Conflict when nothing does."""
    from farshore.cli.names import vpg_state_text
    from farshore.cli.recovery_words import STAGES, recovery_of, watch_command
    from farshore.errors import Conflict

    recovery = recovery_of(vpg)
    if recovery is None:
        state = vpg_state_text(vpg["Status"], vpg["SubStatus"])
        raise Conflict(f"VPG {vpg['VpgName']} has no failover and no move in Before Commit; it is {state}.")
    if recovery["Stage"] != "before_commit":
        fact = f"The {recovery['Kind']} of VPG {vpg['VpgName']} is {STAGES.get(recovery['Stage'], recovery['Stage'])}."
        raise Conflict(fact, f"Look at it with: {watch_command(api, recovery)}")
    return recovery


@command(app, "commit")
def commit(
    api: SiteClient,
    out: Output,
    vpg: VpgName,
    reverse: Annotated[
        bool | None,
        typer.Option("--reverse/--no-reverse", help="Protect back to the old site; as it was begun if not given."),
    ] = None,
    keep: Annotated[
        bool | None,
        typer.Option(
            "--keep-source/--no-keep-source", help="Of a move: keep the old VMs; as it was begun if not given."
        ),
    ] = None,
    yes: Yes = False,
    wait: Wait = True,
) -> None:
    """Commit the failover or move in Before Commit: the recovered VMs become the VPG's, and run on meanwhile."""
    from farshore.cli.find import find_vpg
    from farshore.cli.recovery_plans import commit_plan

    found = find_vpg(api, vpg)
    recovery = _in_before_commit(api, found)
    back = recovery["IsReverseProtection"] if reverse is None else reverse
    kept = recovery["KeepSourceVms"] if keep is None else keep
    plan = commit_plan(api, found, recovery, reverse=back, keep=kept)
    if recovery["Kind"] == "move":
        _carry_out(
            api, out, found, "moveCommit", {"ReverseProtection": back, "KeepSourceVms": kept}, plan, yes=yes, wait=wait
        )
    else:
        _carry_out(api, out, found, "FailoverCommit", {"IsReverseProtection": back}, plan, yes=yes, wait=wait)


@command(app, "rollback")
def rollback(api: SiteClient, out: Output, vpg: VpgName, yes: Yes = False, wait: Wait = True) -> None:
    """Roll back the failover or move in Before Commit: the recovered VMs are removed, all is as before."""
    from farshore.cli.find import find_vpg
    from farshore.cli.recovery_plans import rollback_plan

    found = find_vpg(api, vpg)
    recovery = _in_before_commit(api, found)
    action = "moveRollback" if recovery["Kind"] == "move" else "FailoverRollback"
    _carry_out(api, out, found, action, None, rollback_plan(found, recovery), yes=yes, wait=wait)


@command(app, "protect-back")
def protect_back(api: SiteClient, out: Output, vpg: VpgName, yes: Yes = False, wait: Wait = True) -> None:
    """Protect a VPG that was committed at the other site back to where it came from."""
    from farshore.cli.find import find_vpg
    from farshore.cli.plan import agree
    from farshore.cli.recovery_plans import protect_back_plan
    from farshore.errors import Conflict

    found = find_vpg(api, vpg)
    way_home = found.get("WayHome")
    if way_home is None or way_home["HasBegun"]:
        so = "is not waiting to be protected back" if way_home is None else "is being protected back already"
        raise Conflict(f"VPG {found['VpgName']} {so}.", "Look at it with `farshore vpg show`.")
    plan = protect_back_plan(found, _vm_names(api, found, None))
    agree(plan, yes=yes, as_json=out.as_json)
    asked = time_text(time.time_ns())
    settings_id = api.post("/vpgSettings", {"VpgIdentifier": found["VpgIdentifier"]})
    _follow(api, out, found, api.post(f"/vpgSettings/{settings_id}/commit"), plan, asked, wait=wait)
