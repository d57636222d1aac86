"""`farshore site`: make a site's folder, run its processes, look at how it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from farshore.cli.options import command
from farshore.cli.output import Output

if TYPE_CHECKING:
    from farshore.cli.access import Access
    from farshore.model.site import SiteConfig

HELP = "A site: make its folder, run it, look at it."
app = typer.Typer(help=HELP, no_args_is_help=True)

Folder = Annotated[Path, typer.Option("--dir", help="The site's folder.")]


@command(app, "init")
def init(
    out: Output,
    folder: Folder,
    name: Annotated[str, typer.Option("--name", help="What people call the site.")],
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on, and in the site's certificate.")
    ] = "127.0.0.1",
    api_port: Annotated[int, typer.Option("--port", help="Port of the API.", min=1, max=65535)] = 9669,
    peer_port: Annotated[
        int, typer.Option("--peer-port", help="Port for other sites' managers.", min=1, max=65535)
    ] = 9670,
    appliance_port: Annotated[
        int, typer.Option("--appliance-port", help="Port for other sites' appliances.", min=1, max=65535)
    ] = 9671,
    advertise_peer: Annotated[
        str, typer.Option("--advertise-peer", help="HOST:PORT at which other managers reach this one, if another.")
    ] = "",
    advertise_appliance: Annotated[
        str,
        typer.Option("--advertise-appliance", help="HOST:PORT at which other appliances reach this one, if another."),
    ] = "",
    user: Annotated[str, typer.Option("--admin", help="Name of the first account.")] = "admin",
    password: Annotated[
        str | None,
        typer.Option("--admin-password", help="Its password; made up if not given. (Or: FARSHORE_PASSWORD.)"),
    ] = None,
) -> None:
    """Make a site: its folder, its identity and CA, its databases, its first account."""
    from farshore.cli.site_folder import NewSite, init_site

    access, config = init_site(
        folder,
        NewSite(
            name=name,
            host=host,
            api_port=api_port,
            peer_port=peer_port,
            appliance_port=appliance_port,
            advertised_peer=advertise_peer,
            advertised_appliance=advertise_appliance,
            user=user,
            password=password,
        ),
    )
    _tell_made(out, folder, config, access)


def _tell_made(out: Output, folder: Path, config: SiteConfig, access: Access) -> None:
    data = {
        "SiteIdentifier": config.site_id,
        "SiteName": config.name,
        "Url": access.url,
        "User": access.user,
        "Ca": access.ca,
        "Folder": str(folder.absolute()),
    }
    out.result(
        data,
        f"Site {config.name} ({config.site_id}) in {folder}.\n"
        f"User {access.user}; the password is in {folder / 'cli.json'}.\n"
        f"Run it with: farshore site run --dir {folder}",
    )


@command(app, "run")
def run(folder: Folder) -> None:
    """Run the site in the foreground: manager and watcher, started again when they die. Ctrl-C stops it cleanly."""
    from farshore.cli.site_process import run_site
    from farshore.model.site import SiteConfig

    SiteConfig.load(folder)
    raise typer.Exit(run_site(folder))


@command(app, "status")
def status(out: Output, folder: Folder) -> None:
    """Show the site's processes, its peers and its VPGs; exit code 5 when its API does not answer."""
    from farshore.cli.exit_codes import ExitCode
    from farshore.cli.site_status import read_status

    found = read_status(folder)
    out.facts(found, _status_lines(found))
    if not found["Answers"]:
        raise typer.Exit(ExitCode.UNREACHABLE)


def _status_lines(found: dict[str, Any]) -> list[tuple[str, Any]]:
    from farshore.cli.names import PAIRING_NAMES, vpg_state_text

    lines: list[tuple[str, Any]] = [
        ("site", f"{found['SiteName']} ({found['SiteIdentifier']})"),
        ("API", found["Url"] + (", answers" if found["Answers"] else f", does not answer: {found['Problem']}")),
    ]
    lines += [(process["role"], f"pid {process['pid']}") for process in found["Processes"]]
    if not found["Processes"]:
        lines.append(("processes", "none"))
    lines += [
        ("peer", f"{peer['PeerSiteName']}: {PAIRING_NAMES[peer['PairingStatus']]}") for peer in found["PeerSites"]
    ]
    for vpg in found["Vpgs"]:
        state = vpg_state_text(vpg["Status"], vpg["SubStatus"])
        lines.append(("VPG", f"{vpg['VpgName']}: {state}, RPO {vpg['ActualRPO']} s"))
    return lines


@command(app, "certificate")
def certificate(
    out: Output,
    folder: Folder,
    cert: Annotated[Path | None, typer.Option("--cert", help="PEM file: the certificate and its chain.")] = None,
    key: Annotated[Path | None, typer.Option("--key", help="PEM file: its key, without a passphrase.")] = None,
    ca: Annotated[
        Path | None, typer.Option("--ca", help="PEM file: the CA that signed it; the chain's last if not given.")
    ] = None,
    host: Annotated[
        str | None, typer.Option("--host", help="Name by which clients reach the site; the present one if not given.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Back to the certificate of the site's own CA.")] = False,
) -> None:
    """Show the certificate that clients of the API see, or bring your own; it counts from the next connection on.

    Other sites and appliances never see it: they go by the site's own CA.
    """
    from farshore.cli.own_certificate import change_certificate

    told = change_certificate(folder, cert=cert, key=key, ca=ca, host=host, remove=remove)
    out.facts(told, [(name, ", ".join(value) if isinstance(value, list) else value) for name, value in told.items()])


@command(app, "openapi")
def openapi(out: Output) -> None:
    """Print the API's own description (OpenAPI), as each site gives it at /v1/openapi.json."""
    import importlib
    import json

    importlib.import_module("farshore.api.application")  # its routes bring the models
    document = importlib.import_module("farshore.api.openapi").document()
    out.result(document, json.dumps(document, indent=1))
