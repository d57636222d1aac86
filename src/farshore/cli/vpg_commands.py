"""`farshore vpg`: groups of VMs that are protected together, their checkpoints and failover tests."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from farshore.cli.client import SiteClient
from farshore.cli.options import command
from farshore.cli.output import Output, time_text
from farshore.cli.script_options import (
    PostParameters,
    PostScript,
    PostTimeout,
    PreParameters,
    PreScript,
    PreTimeout,
    script_name,
    scripting_of,
)

KEEP_SECONDS = 24 * 3600.0
"""Volumes that are kept are copied first, and that takes as long as they are big."""
HELP = "Groups of VMs: protect them, list checkpoints, test a failover, fail over, move, and home again."
app = typer.Typer()

VpgName = Annotated[str, typer.Argument(metavar="VPG", help="Name or identifier of the VPG.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is done, or only print the task.")]
CheckpointOption = Annotated[
    str | None, typer.Option("--checkpoint", help="The checkpoint's identifier; the latest if not given.")
]

HistoryHours = Annotated[
    int, typer.Option("--history-hours", metavar="HOURS", help="How far back the journal reaches.", min=1)
]
RpoSeconds = Annotated[
    int,
    typer.Option("--rpo-seconds", metavar="SECONDS", help="Age of the newest checkpoint that raises an alert.", min=1),
]


@command(app, "create")
def create(
    api: SiteClient,
    out: Output,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the new VPG.")],
    vm: Annotated[
        list[str], typer.Option("--vm", metavar="VM", help="Name or identifier of a VM to protect; may be repeated.")
    ],
    to: Annotated[
        str | None, typer.Option("--to", metavar="SITE", help="The recovery site; the paired one if there is only one.")
    ] = None,
    interval: Annotated[
        float, typer.Option("--checkpoint-interval", metavar="SECONDS", help="Seconds between checkpoints.", min=1)
    ] = 5.0,
    history_hours: HistoryHours = 1,
    rpo: RpoSeconds = 300,
    pre_recovery_script: PreScript = None,
    pre_recovery_parameters: PreParameters = None,
    pre_recovery_timeout: PreTimeout = None,
    post_recovery_script: PostScript = None,
    post_recovery_parameters: PostParameters = None,
    post_recovery_timeout: PostTimeout = None,
    wait: Wait = True,
) -> None:
    """Protect VMs of this site at the paired one, and wait for the first checkpoint."""
    from farshore.cli.vpg_settings import create_vpg
    from farshore.cli.waiting import finish_order, wait_for_protection

    scripting = scripting_of(
        (pre_recovery_script, pre_recovery_parameters, pre_recovery_timeout),
        (post_recovery_script, post_recovery_parameters, post_recovery_timeout),
    )
    task_id = create_vpg(
        api,
        name,
        vm,
        to=to,
        interval_seconds=interval,
        history_hours=history_hours,
        rpo_seconds=rpo,
        scripting=scripting,
    )
    if finish_order(api, out, task_id, wait, what="create VPG", timeout_seconds=120) is None:
        return
    vpg = api.get("/vpgs", name=name)[0]
    done = wait_for_protection(api, vpg["VpgIdentifier"], out)
    out.result({**done, "TaskIdentifier": task_id}, f"VPG {name} ({done['VpgIdentifier']}) is protected.")


@command(app, "list")
def list_vpgs(api: SiteClient, out: Output) -> None:
    """List the VPGs that this site knows, as protected or as recovery site."""
    from farshore.cli.names import vpg_state_text

    vpgs: list[dict[str, Any]] = api.get("/vpgs")
    rows = [
        (
            v["VpgName"],
            v["VpgIdentifier"],
            vpg_state_text(v["Status"], v["SubStatus"]),
            v["ActualRPO"] if v["HasCheckpoint"] else None,
            v["VmsCount"],
            f"{v['SourceSite']} -> {v['TargetSite']}",
        )
        for v in vpgs
    ]
    out.table(vpgs, ("VPG", "identifier", "state", "RPO s", "VMs", "sites"), rows, empty="No VPGs.")


@command(app, "show")
def show(api: SiteClient, out: Output, vpg: VpgName) -> None:
    """Show one VPG."""
    from farshore.cli.find import find_vpg
    from farshore.cli.names import PRIORITY_NAMES, vpg_state_text
    from farshore.cli.recovery_words import next_commands, standing

    v = api.get(f"/vpgs/{find_vpg(api, vpg)['VpgIdentifier']}")
    test = (v.get("ActiveProcessesApi") or {}).get("RunningFailOverTestApi")
    history = v.get("HistoryStatusApi") or {}
    out.facts(
        v,
        (
            ("VPG", v["VpgName"]),
            ("identifier", v["VpgIdentifier"]),
            ("state", vpg_state_text(v["Status"], v["SubStatus"])),
            *([("because", v["StatusDescription"])] if v.get("StatusDescription") else []),
            ("progress", f"{v['ProgressPercentage']} %" if v.get("ProgressPercentage") else None),
            ("sites", f"{v['SourceSite']} -> {v['TargetSite']}"),
            ("VMs", v["VmsCount"]),
            ("RPO", f"{_rpo_text(v)} now, {v['ConfiguredRpoSeconds']} s at most"),
            ("history", f"{history.get('ActualHistoryInMinutes')} of {history.get('ConfiguredHistoryInMinutes')} min"),
            ("earliest", (history.get("EarliestCheckpoint") or {}).get("TimeStamp")),
            ("priority", PRIORITY_NAMES.get(v["Priority"], v["Priority"])),
            ("used", f"{v['UsedStorageInMB']} MB"),
            *((f"{when}-recovery script", name) for when in ("pre", "post") if (name := script_name(v, when))),
            ("last test", v.get("LastTest")),
            ("test running", "yes" if test else "no"),
            *standing(v),
            *(("next" if n == 0 else "", line) for n, line in enumerate(next_commands(api, v))),
        ),
    )


def _rpo_text(vpg: dict[str, Any]) -> str:
    return f"{vpg['ActualRPO']} s" if vpg["HasCheckpoint"] else "no checkpoint"


@command(app, "checkpoints")
def checkpoints(
    api: SiteClient,
    out: Output,
    vpg: VpgName,
    since: Annotated[
        str | None, typer.Option("--from", help="Only from this time on, such as 2026-11-25T09:30:00Z.")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", help="Only up to this time.")] = None,
    tagged: Annotated[bool, typer.Option("--tagged", help="Only those with a tag.")] = False,
) -> None:
    """List the checkpoints of a VPG, oldest first."""
    from farshore.cli.find import find_vpg

    vpg_id = find_vpg(api, vpg)["VpgIdentifier"]
    found = api.get(f"/vpgs/{vpg_id}/checkpoints", startDate=since, endDate=until)
    found = [c for c in found if c.get("Tag") or not tagged]
    found.sort(key=lambda c: int(c["CheckpointIdentifier"]))
    rows = [(c["CheckpointIdentifier"], c["TimeStamp"], c.get("Tag")) for c in found]
    out.table(found, ("checkpoint", "time", "tag"), rows, empty="No checkpoints.")


@command(app, "checkpoint")
def checkpoint(
    api: SiteClient,
    out: Output,
    vpg: VpgName,
    tag: Annotated[str, typer.Argument(metavar="TAG", help="What the checkpoint is called, up to 256 characters.")],
    wait: Wait = True,
) -> None:
    """Cut a tagged checkpoint now, and wait until it is durable at the recovery site."""
    from farshore.cli.find import find_vpg
    from farshore.cli.waiting import finish_order

    vpg_id = find_vpg(api, vpg)["VpgIdentifier"]
    asked = time_text(time.time_ns())
    reply = api.post(f"/vpgs/{vpg_id}/Checkpoints", {"CheckpointName": tag})
    task = finish_order(api, out, reply, wait, what="checkpoint")
    if task is None:
        return
    mine = [c for c in api.get(f"/vpgs/{vpg_id}/checkpoints") if c.get("Tag") == tag]
    newest = max(mine, key=lambda c: int(c["CheckpointIdentifier"]), default=None)
    text = f"Checkpoint {newest['CheckpointIdentifier']} of {newest['TimeStamp']}, tagged {tag}." if newest else "Done."
    out.result({"Asked": asked, "Task": task, "Checkpoint": newest}, text)


@command(app, "test")
def failover_test(
    api: SiteClient,
    out: Output,
    vpg: VpgName,
    checkpoint: CheckpointOption = None,
    vm: Annotated[list[str] | None, typer.Option("--vm", metavar="VM", help="Only this VM; may be repeated.")] = None,
    wait: Wait = True,
) -> None:
    """Start a failover test: recovered VMs on an isolated network, the protected ones untouched."""
    from farshore.cli.find import find_vpg
    from farshore.cli.recovery_words import vpg_command
    from farshore.cli.waiting import finish_order

    vpg_id = find_vpg(api, vpg)["VpgIdentifier"]
    body: dict[str, Any] = {"VmIdentifiers": vm} if vm else {}
    if checkpoint is not None:
        body["CheckpointIdentifier"] = checkpoint
    asked = time_text(time.time_ns())
    task = finish_order(api, out, api.post(f"/vpgs/{vpg_id}/FailoverTest", body), wait, what="failover test")
    if task is not None:
        stop = vpg_command(api, "test-stop", vpg)
        out.result({"Asked": asked, "Task": task}, f"The test runs. Stop it with: {stop}")


@command(app, "test-stop")
def failover_test_stop(
    api: SiteClient,
    out: Output,
    vpg: VpgName,
    success: Annotated[bool, typer.Option("--success/--failure", help="How the test went.")] = True,
    summary: Annotated[str, typer.Option("--summary", help="A word on the test, kept with it.")] = "",
    wait: Wait = True,
) -> None:
    """Stop the failover test: the recovered VMs and all they wrote are removed."""
    from farshore.cli.find import find_vpg
    from farshore.cli.waiting import finish_order

    vpg_id = find_vpg(api, vpg)["VpgIdentifier"]
    body = {"FailoverTestSuccess": success, "FailoverTestSummary": summary}
    task = finish_order(api, out, api.post(f"/vpgs/{vpg_id}/FailoverTestStop", body), wait, what="stop of the test")
    if task is not None:
        out.result({"Task": task}, "The test has ended; nothing of it is left.")


@command(app, "delete")
def delete(
    api: SiteClient,
    out: Output,
    vpg: VpgName,
    force: Annotated[bool, typer.Option("--force", help="Also when the other site does not answer.")] = False,
    keep: Annotated[
        bool,
        typer.Option("--keep-recovery-volumes", help="Keep the recovery site's disks, as of the latest checkpoint."),
    ] = False,
    wait: Wait = True,
) -> None:
    """Delete a VPG: its VMs run on, their checkpoints are gone."""
    from farshore.cli.find import find_vpg
    from farshore.cli.waiting import finish_order

    vpg_id = find_vpg(api, vpg)["VpgIdentifier"]
    reply = api.delete(f"/vpgs/{vpg_id}", {"Force": force, "KeepRecoveryVolumes": keep})
    task = finish_order(api, out, reply, wait, what="delete VPG", timeout_seconds=KEEP_SECONDS if keep else None)
    if task is not None:
        out.result({"Task": task}, f"VPG {vpg} is deleted; its VMs run on. {task.get('CompleteReason') or ''}".rstrip())
