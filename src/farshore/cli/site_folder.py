"""Makes a site's folder: its record, its identity and CA, its first account and client, and the CLI's access file."""

from __future__ import annotations

import os
import secrets
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from farshore.cli.access import Access
from farshore.errors import BadInput, Conflict
from farshore.model.rundir import run_directory
from farshore.model.site import SiteConfig, SiteSettings

if TYPE_CHECKING:
    from farshore.identity.folder import Identity

SUBFOLDERS = ("vms", "log", "manager", "journal")
CLIENT_ID = "farshore-cli"


@dataclass(frozen=True)
class NewSite:
    """What a person says of a new site; `password` None: one is made up."""

    name: str
    host: str = "127.0.0.1"
    api_port: int = 9669
    peer_port: int = 9670
    appliance_port: int = 9671
    advertised_peer: str = ""
    advertised_appliance: str = ""
    user: str = "admin"
    password: str | None = None
    accelerator: str = "auto"


def init_site(folder: Path, wanted: NewSite) -> tuple[Access, SiteConfig]:
    """Make the site. Raises Conflict when the folder is one already, BadInput for what cannot be a site."""
    if (folder / "site.json").exists():
        raise Conflict(f"{folder} is a site already.", "Run it with `farshore site run`, or name another folder.")
    if len({wanted.api_port, wanted.peer_port, wanted.appliance_port}) != 3:
        raise BadInput("Two of the site's ports are the same.", "Give API, peers and appliances a port each.")
    run_directory(folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in SUBFOLDERS:
        (folder / name).mkdir(mode=0o700, exist_ok=True)
    _make_scripts_folder(folder)
    identity = _identity(folder / "identity", wanted.host)
    config = SiteConfig(
        site_id=identity.site_id(),
        name=wanted.name,
        host=wanted.host,
        api_port=wanted.api_port,
        peer_port=wanted.peer_port,
        appliance_port=wanted.appliance_port,
        advertised_peer=wanted.advertised_peer,
        advertised_appliance=wanted.advertised_appliance,
        settings=SiteSettings(accelerator=wanted.accelerator),
    )
    access = _make_accounts(folder, wanted)
    access.save(folder)
    config.save(folder)  # last: a folder with site.json is a whole site
    return access, config


def _make_scripts_folder(folder: Path) -> None:
    from farshore.site.script_folder import FOLDER_MODE, scripts_folder

    scripts_folder(folder).mkdir(exist_ok=True)
    scripts_folder(folder).chmod(FOLDER_MODE)  # whatever the umask


def _identity(folder: Path, host: str) -> Identity:
    """The identity that an interrupted `init_site` made, or a new one."""
    from farshore.identity.certificates import create_identity
    from farshore.identity.folder import Identity

    made = Identity(folder)
    return made if made.ca_certificate.exists() else create_identity(folder, str(uuid.uuid4()), [host])


def _make_accounts(folder: Path, wanted: NewSite) -> Access:
    from farshore.model.access import Role
    from farshore.site.accounts import Accounts
    from farshore.site.persistence.database import open_database

    password = wanted.password or os.environ.get("FARSHORE_PASSWORD") or secrets.token_urlsafe(18)
    secret = secrets.token_urlsafe(24)
    database = open_database(folder / "manager" / "site.sqlite")
    try:
        accounts = Accounts(database)
        accounts.set_secret(wanted.user, "user", Role.administrator, password)
        accounts.set_secret(CLIENT_ID, "client", Role.administrator, secret)
    finally:
        database.close()
    host = f"[{wanted.host}]" if ":" in wanted.host else wanted.host
    ca = (folder / "identity" / "ca.crt").absolute()
    return Access(f"https://{host}:{wanted.api_port}", wanted.user, password, str(ca), CLIENT_ID, secret)
