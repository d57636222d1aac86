"""`farshore vpg set`: another name, other settings, other VMs of a VPG that is protected."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from farshore.cli.client import SiteClient
from farshore.cli.options import command
from farshore.cli.output import Output
from farshore.cli.script_options import (
    PostParameters,
    PostScript,
    PostTimeout,
    PreParameters,
    PreScript,
    PreTimeout,
    changed_scripting,
)
from farshore.cli.vpg_commands import VpgName, Wait

app = typer.Typer()

TIMEOUT_SECONDS = 300.0

Interval = Annotated[
    float | None, typer.Option("--checkpoint-interval", metavar="SECONDS", help="Seconds between checkpoints.", min=1)
]
HistoryHours = Annotated[
    int | None, typer.Option("--history-hours", metavar="HOURS", help="How far back the journal reaches.", min=1)
]
RpoSeconds = Annotated[
    int | None,
    typer.Option("--rpo-seconds", metavar="SECONDS", help="Age of the newest checkpoint that alerts.", min=1),
]
Added = Annotated[
    list[str] | None, typer.Option("--add-vm", metavar="VM", help="Protect this VM too; may be repeated.")
]
Removed = Annotated[
    list[str] | None, typer.Option("--remove-vm", metavar="VM", help="Protect this VM no more; may be repeated.")
]


@command(app, "set")
def set_vpg(
    api: SiteClient,
    out: Output,
    vpg: VpgName,
    name: Annotated[str | None, typer.Option("--name", help="A new name.")] = None,
    interval: Interval = None,
    history_hours: HistoryHours = None,
    rpo: RpoSeconds = None,
    add: Added = None,
    remove: Removed = None,
    pre_recovery_script: PreScript = None,
    pre_recovery_parameters: PreParameters = None,
    pre_recovery_timeout: PreTimeout = None,
    post_recovery_script: PostScript = None,
    post_recovery_parameters: PostParameters = None,
    post_recovery_timeout: PostTimeout = None,
    wait: Wait = True,
) -> None:
    """Change a VPG while it is protected. A shorter history lets older checkpoints go, and that cannot be undone."""
    from farshore.cli.find import find_vpg
    from farshore.cli.vpg_settings import change_vpg
    from farshore.cli.waiting import finish_with_its_words
    from farshore.errors import BadInput

    given: dict[str, Any] = {
        "Name": name,
        "CheckpointIntervalInSeconds": interval,
        "JournalHistoryInHours": history_hours,
        "RpoInSeconds": rpo,
    }
    basic = {member: value for member, value in given.items() if value is not None}
    if history_hours is not None:
        basic["JournalHistoryInSeconds"] = None
    scripting = changed_scripting(
        (pre_recovery_script, pre_recovery_parameters, pre_recovery_timeout),
        (post_recovery_script, post_recovery_parameters, post_recovery_timeout),
    )
    if not (basic or add or remove or scripting):
        raise BadInput("Nothing is to be changed.", "Name what: farshore vpg set --help")
    task_id = change_vpg(api, find_vpg(api, vpg), basic, add or [], remove or [], scripting)
    finish_with_its_words(api, out, task_id, wait, what="change VPG", timeout_seconds=TIMEOUT_SECONDS)
