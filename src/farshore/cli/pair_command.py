"""`farshore pair`: two sites get to trust each other, by a one-time token."""

from __future__ import annotations

from typing import Annotated

import typer

from farshore.cli.client import SiteClient, task_id_of
from farshore.cli.options import command
from farshore.cli.output import Output
from farshore.errors import BadInput


def register(app: typer.Typer) -> None:
    """Add the command to the top."""
    command(app, "pair")(pair)


def pair(
    api: SiteClient,
    out: Output,
    address: Annotated[
        str | None,
        typer.Argument(metavar="[HOST:PORT]", help="Where the other site's manager listens for peers (port 9670)."),
    ] = None,
    token: Annotated[str | None, typer.Option("--token", help="The token that the other site printed.")] = None,
    new_token: Annotated[
        bool, typer.Option("--new-token", help="Print a new token of this site, good for one hour and one use.")
    ] = False,
) -> None:
    """Pair this site with another one: first --new-token at the one, then HOST:PORT --token TOKEN at the other."""
    from farshore.cli.waiting import wait_for_task

    if new_token:
        if address or token:
            raise BadInput("--new-token goes alone.", "Use the token at the other site.")
        reply = api.post("/peersites/generatetoken")
        out.result(reply, str(reply["Token"]))
        return
    if not address or not token:
        raise BadInput(
            "Pairing needs the other site's HOST:PORT and its --token.", "Get one there with: farshore pair --new-token"
        )
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or not host:
        raise BadInput(f"{address} is not HOST:PORT.", "The port is the peer port of the other site, 9670 by default.")
    body = {"HostName": host.strip("[]"), "Port": int(port), "Token": token}
    task = wait_for_task(api, task_id_of(api.post("/peersites", body)), out, what="pairing", timeout_seconds=60)
    peers = api.get("/peersites")
    out.result(
        {"Task": task, "PeerSites": peers}, "Paired with " + ", ".join(peer["PeerSiteName"] for peer in peers) + "."
    )
