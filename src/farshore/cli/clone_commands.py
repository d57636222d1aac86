"""`farshore vpg clone` and `clone-abort`: independent copies of a VPG's VMs as of a checkpoint."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from farshore.cli.client import SiteClient
from farshore.cli.options import command
from farshore.cli.output import Output, time_text
from farshore.cli.vpg_commands import CheckpointOption, VpgName, Wait

app = typer.Typer()

TIMEOUT_SECONDS = 24 * 3600.0
"""A clone takes as long as the disks are big."""


@command(app, "clone")
def clone(
    api: SiteClient,
    out: Output,
    vpg: VpgName,
    checkpoint: CheckpointOption = None,
    vm: Annotated[list[str] | None, typer.Option("--vm", metavar="VM", help="Only this VM; may be repeated.")] = None,
    datastore: Annotated[
        str | None,
        typer.Option(
            "--datastore",
            metavar="DATASTORE",
            help="Name or identifier of the recovery site's datastore; the one with the most room if not given.",
        ),
    ] = None,
    wait: Wait = True,
) -> None:
    """Copy the VMs of a checkpoint to new VMs at the recovery site, powered off; protection goes on."""
    from farshore.cli.client import task_id_of
    from farshore.cli.find import find_vpg, pick
    from farshore.cli.recovery_words import vpg_command
    from farshore.cli.waiting import wait_for_task

    found = find_vpg(api, vpg)
    body: dict[str, Any] = {"VmIdentifiers": vm} if vm else {}
    if checkpoint is not None:
        body["CheckpointId"] = checkpoint
    if datastore is not None:
        there = api.get(f"/virtualizationsites/{found['RecoverySite']['identifier']}/datastores")
        chosen = pick(there, datastore, "DatastoreIdentifier", "DatastoreName", "datastore")
        body["DatastoreIdentifier"] = chosen["DatastoreIdentifier"]
    asked = time_text(time.time_ns())
    task_id = task_id_of(api.post(f"/vpgs/{found['VpgIdentifier']}/CloneStart", body))
    if not wait:
        words = f"Task {task_id}\nAbort it with: {vpg_command(api, 'clone-abort', vpg)}"
        out.result({"Asked": asked, "TaskIdentifier": task_id}, words)
        return
    task = wait_for_task(api, task_id, out, what="clone", timeout_seconds=TIMEOUT_SECONDS)
    out.result({"Asked": asked, "Task": task}, f"Cloned. {task.get('CompleteReason') or ''}".rstrip())


@command(app, "clone-abort")
def clone_abort(api: SiteClient, out: Output, vpg: VpgName, wait: Wait = True) -> None:
    """Stop the clones of the VPG that run; their files and VMs are removed."""
    from farshore.cli.find import find_vpg
    from farshore.cli.waiting import finish_order

    vpg_id = find_vpg(api, vpg)["VpgIdentifier"]
    task = finish_order(api, out, api.post(f"/vpgs/{vpg_id}/CloneAbort"), wait, what="abort of the clone")
    if task is not None:
        out.result({"Task": task}, "The clone was aborted; nothing of it is left.")
