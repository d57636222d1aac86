"""`farshore vpg pause`, `resume` and `sync`: what is ordered of a replication that goes on."""

from __future__ import annotations

import typer

from farshore.cli.client import SiteClient
from farshore.cli.options import command
from farshore.cli.output import Output
from farshore.cli.vpg_commands import VpgName, Wait

app = typer.Typer()

TIMEOUT_SECONDS = 24 * 3600.0
"""A sync takes as long as the disks are big."""


@command(app, "pause")
def pause(api: SiteClient, out: Output, vpg: VpgName, wait: Wait = True) -> None:
    """Pause replication: the VMs run on, checkpoints stay, what is written is counted and not sent."""
    _order(api, out, vpg, "pause", wait)


@command(app, "resume")
def resume(api: SiteClient, out: Output, vpg: VpgName, wait: Wait = True) -> None:
    """Resume replication: what changed since the pause is sent, then checkpoints come again."""
    _order(api, out, vpg, "resume", wait)


@command(app, "sync")
def sync(api: SiteClient, out: Output, vpg: VpgName, wait: Wait = True) -> None:
    """Compare every disk with the recovery site's copy by hashes, and send what differs."""
    _order(api, out, vpg, "forcesync", wait)


def _order(api: SiteClient, out: Output, vpg: str, action: str, wait: bool) -> None:
    from farshore.cli.find import find_vpg
    from farshore.cli.waiting import finish_with_its_words

    reply = api.post(f"/vpgs/{find_vpg(api, vpg)['VpgIdentifier']}/{action}")
    finish_with_its_words(api, out, reply, wait, what=action, timeout_seconds=TIMEOUT_SECONDS)
