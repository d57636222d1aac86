"""The options of `farshore vpg create`, `vpg set` and `vpg move` about pre- and post-recovery scripts."""

from __future__ import annotations

from typing import Annotated, Any

import typer

PANEL = "Scripts of the recovery site"
_NAME = "File in the recovery site's folder `scripts`, run {when}."
_PARAMETERS = "Its parameters in one text, split as a shell would."
_TIMEOUT = "Seconds after which it is ended; 300 if not given."
BEFORE, AFTER = "before VMs are shut down or started", "when the recovered VMs were started"


def _name(word: str, when: str) -> Any:
    return typer.Option(
        f"--{word}-recovery-script", metavar="NAME", help=_NAME.format(when=when), rich_help_panel=PANEL
    )


def _parameters(word: str) -> Any:
    return typer.Option(f"--{word}-recovery-parameters", metavar="TEXT", help=_PARAMETERS, rich_help_panel=PANEL)


def _timeout(word: str) -> Any:
    return typer.Option(
        f"--{word}-recovery-timeout", metavar="SECONDS", help=_TIMEOUT, min=1, max=86400, rich_help_panel=PANEL
    )


PreScript = Annotated[str | None, _name("pre", BEFORE)]
PreParameters = Annotated[str | None, _parameters("pre")]
PreTimeout = Annotated[int | None, _timeout("pre")]
PostScript = Annotated[str | None, _name("post", AFTER)]
PostParameters = Annotated[str | None, _parameters("post")]
PostTimeout = Annotated[int | None, _timeout("post")]
DespiteScript = Annotated[
    bool, typer.Option("--continue-on-script-failure", help="Move also when the VPG's pre-recovery script fails.")
]

Given = tuple[str | None, str | None, int | None]
"""A script's name, parameters and time limit as they were typed."""


def scripting_of(pre: Given, post: Given) -> dict[str, Any]:
    """The member `Scripting` of a settings object. Raises BadInput for parameters or a limit of no script."""
    from farshore.errors import BadInput

    found = {}
    for word, (name, parameters, seconds) in (("pre", pre), ("post", post)):
        if name is None and (parameters is not None or seconds is not None):
            raise BadInput(f"There is no {word}-recovery script.", f"Name it with --{word}-recovery-script.")
        if name is not None:
            member = {"Command": name, "Parameters": parameters, "TimeoutInSeconds": seconds or 0}
            found[f"{word.capitalize()}Recovery"] = member
    return found


def changed_scripting(pre: Given, post: Given) -> dict[str, dict[str, Any]]:
    """What is given of each script, as members of a settings object; an empty name takes the script out."""
    found = {}
    for word, given in (("Pre", pre), ("Post", post)):
        members = zip(("Command", "Parameters", "TimeoutInSeconds"), given, strict=True)
        if changed := {member: value for member, value in members if value is not None}:
            found[f"{word}Recovery"] = changed
    return found


def script_name(vpg: dict[str, Any], word: str) -> str | None:
    """The name of the VPG's script of that word (pre, post), as the API tells it."""
    name: str | None = vpg.get(f"{word.capitalize()}RecoveryScript")
    return name
