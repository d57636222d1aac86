"""`farshore lab`: the playground's commands. Tests and people break things with what the demo uses."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Annotated, Any

import typer

from farshore.cli.options import command
from farshore.cli.output import Output
from farshore.errors import BadInput, NotFound
from farshore.lab.names import GuestKind

app = typer.Typer(help="A playground: two paired sites with VMs on this machine.", no_args_is_help=True)

Folder = Annotated[Path | None, typer.Option("--dir", help="The lab's folder; the newest lab if not given.")]

_SIZE = re.compile(r"^(\d+)([kmgt]?)(i?b)?$", re.IGNORECASE)
_UNITS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}
SIGNALS = {"KILL": signal.SIGKILL, "STOP": signal.SIGSTOP, "CONT": signal.SIGCONT, "TERM": signal.SIGTERM}


def parse_size(text: str) -> int:
    """Bytes from 64M, 1G, 4096. Raises BadInput."""
    match = _SIZE.match(text.strip())
    if match is None:
        raise BadInput(f"{text} is not a size.", "Write it as 64M, 1G, or in bytes.")
    size_bytes = int(match.group(1)) << _UNITS[match.group(2).lower()]
    if size_bytes % 512:
        raise BadInput(f"{text} is not a whole number of 512-byte sectors.", "Use a multiple of 512.")
    return size_bytes


def parse_guest(text: str) -> GuestKind:
    """Real or storage. Raises BadInput."""
    if text == "real":
        return "real"
    if text == "storage":
        return "storage"
    raise BadInput(f"--guest {text} is unknown.", "Use real or storage.")


@command(app, "up")
def up(
    out: Output,
    folder: Annotated[
        Path | None, typer.Option("--dir", help="A new folder for it; one in your cache if not given.")
    ] = None,
    vms: Annotated[int, typer.Option("--vms", help="VMs at north.", min=1)] = 2,
    disks: Annotated[int, typer.Option("--disks", help="Disks of each.", min=1)] = 2,
    size: Annotated[str, typer.Option("--size", help="Size of each disk.")] = "64M",
    guest: Annotated[
        str, typer.Option("--guest", help="real: guests that boot and write; storage: disks without a guest, over NBD.")
    ] = "storage",
    checkpoint_interval: Annotated[
        float, typer.Option("--checkpoint-interval", metavar="SECONDS", help="Seconds, for --vpg.", min=1)
    ] = 5.0,
    vpg: Annotated[str | None, typer.Option("--vpg", help="Protect the VMs as a VPG of this name.")] = None,
) -> None:
    """Start two sites on this machine, paired, with VMs at north; return once all is up."""
    from farshore.lab.description import describe
    from farshore.lab.playground import Wanted, bring_up

    kind = parse_guest(guest)
    lab = bring_up(Wanted(folder, vms, disks, parse_size(size), kind, checkpoint_interval, vpg), out)
    found = describe(lab)
    out.result(found, _text(found) + "\nTake it down with: farshore lab down")


@command(app, "status")
def status(out: Output, folder: Folder = None) -> None:
    """Show what exists of the lab now: sites, link, VMs, recovered ones too."""
    from farshore.lab.description import describe
    from farshore.lab.state import find_lab

    found = describe(find_lab(folder))
    out.result(found, _text(found))


@command(app, "kill")
def kill(
    out: Output,
    site: Annotated[str, typer.Argument(metavar="SITE", help="north or south.")],
    what: Annotated[
        str, typer.Argument(metavar="[manager|watcher|carrier|vms|all]", help="What to kill; all if not given.")
    ] = "all",
    signal_name: Annotated[str, typer.Option("--signal", help="KILL, STOP, CONT or TERM.")] = "KILL",
    folder: Folder = None,
) -> None:
    """Kill processes of a site with -9: as a crash of the program, or with `all` of the whole site."""
    from farshore.lab.sites import kill_in_site
    from farshore.lab.state import find_lab

    if signal_name not in SIGNALS:
        raise BadInput(f"--signal {signal_name} is unknown.", f"Use {', '.join(SIGNALS)}.")
    reached = kill_in_site(find_lab(folder).site_folder(site), what, SIGNALS[signal_name])
    lines = [f"SIG{signal_name} to {process['role']} {process['pid']}" for process in reached]
    out.result(reached, "\n".join(lines) or "No such process runs.")


@command(app, "start")
def start(
    out: Output,
    site: Annotated[str, typer.Argument(metavar="SITE", help="north or south.")],
    vms: Annotated[bool, typer.Option("--vms/--no-vms", help="Also the VMs of its inventory, or not.")] = True,
    folder: Folder = None,
) -> None:
    """Start what is not running of a site: its processes and VMs (held ones stay off); return once its API answers."""
    from farshore.lab.description import describe_site
    from farshore.lab.sites import start_site, wait_for_site
    from farshore.lab.state import find_lab
    from farshore.lab.vms import start_vms

    lab = find_lab(folder)
    if not lab.site_folder(site).is_dir():
        raise NotFound(f"The folder of site {site} is gone: {lab.site_folder(site)}.", "Rename it back first.")
    if vms:
        start_vms(lab.site_folder(site))
    start_site(lab.site_folder(site))
    wait_for_site(lab.site_folder(site))
    out.result(describe_site(lab, site), f"Site {site} is up.")


@command(app, "link")
def link(
    out: Output,
    mode: Annotated[
        str,
        typer.Argument(
            metavar="up|down|stall|slow",
            help="down: reset and refuse; stall: accept, pass nothing; slow: 2 MiB a second.",
        ),
    ],
    folder: Folder = None,
) -> None:
    """Cut, stall, slow down or mend the line between the two sites."""
    from farshore.lab.description import link_socket
    from farshore.lab.link import MODES, ask_link
    from farshore.lab.state import find_lab

    if mode not in MODES:
        raise BadInput(f"{mode} is not what a link can be.", f"Use {', '.join(MODES)}.")
    out.result(ask_link(link_socket(find_lab(folder)), mode), f"The link is {mode}.")


@command(app, "down")
def down(out: Output, folder: Folder = None) -> None:
    """Stop all of the lab and remove what it made; nothing is left running or mounted."""
    from farshore.lab.playground import take_down
    from farshore.lab.state import find_lab

    lab = find_lab(folder)
    take_down(lab)
    out.result({"folder": str(lab.folder)}, f"The lab in {lab.folder} is down.")


def _text(found: dict[str, Any]) -> str:
    """The lab for people."""
    lines = [f"lab     {found['folder']}", f"link    {found['link']['mode'] if found['link'] else 'not running'}"]
    for site in found["sites"]:
        state = "up" if site["answers"] else "its folder is gone" if site["gone"] else "does not answer"
        lines.append(f"site    {site['name']}: {state}, {site['url']}, --site-dir '{site['folder']}'")
    for vm in found["vms"]:
        kind = f"recovered ({vm['label']})" if vm["recovered"] else "VM"
        lines.append(f"vm      {vm['name']} at {vm['site']}: {vm['power']}, {kind}, {vm['id']}")
        for disk in vm["disks"]:
            nbd = f"nbd+unix:///{disk['nbd_export']}?socket={disk['nbd_socket']}"
            lines.append(f"        {disk['id']}: {nbd if disk['nbd_socket'] else disk['path']}")
        if vm["serial_log"]:
            lines.append(f"        serial: {vm['serial_log']}")
    return "\n".join(lines)
