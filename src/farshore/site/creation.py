"""Making a site: its folder with record, identity, database and the first accounts."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass
from pathlib import Path

from farshore.errors import BadInput, Conflict
from farshore.identity.certificates import create_identity
from farshore.model.site import SiteConfig
from farshore.site.accounts import Accounts
from farshore.site.persistence import open_database
from farshore.site.site import database_path, identity_folder

CLIENT_ID = "farshore-client"
SUBFOLDERS = ("manager", "appliance", "vms", "journal", "scratch", "log")


@dataclass(frozen=True)
class CreatedSite:
    """What is shown once: the client's secret is not kept anywhere in clear."""

    config: SiteConfig
    user: str
    client_id: str
    client_secret: str


def create_site(
    folder: Path, name: str, host: str, ports: tuple[int, int, int], user: str, password: str
) -> CreatedSite:
    """Make a site in `folder`; `ports` are those of API, peers and appliance on `host`.

    A creation that was interrupted is taken up again: site.json comes last, and makes it a site.
    Raises Conflict when there is a site already, BadInput when a value cannot be used.
    """
    if (folder / "site.json").exists():
        raise Conflict(f"{folder} holds a site already.", "Choose another folder, or start that site.")
    if not name.strip() or not user or not password:
        raise BadInput("A site needs a name, a user and a password.", "Give all three.")
    if len(set(ports)) != 3 or not all(0 < port < 65536 for port in ports):
        raise BadInput(f"The ports {ports} are not three different ones.", "Give three ports from 1 to 65535.")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for subfolder in SUBFOLDERS:
        (folder / subfolder).mkdir(mode=0o700, exist_ok=True)
    identity = identity_folder(folder)
    if (identity / "ca.crt").exists():
        raise Conflict(f"{identity} is left from an interrupted creation.", f"Remove {identity} and try again.")
    api_port, peer_port, appliance_port = ports
    config = SiteConfig(
        site_id=str(uuid.uuid4()),
        name=name,
        host=host,
        api_port=api_port,
        peer_port=peer_port,
        appliance_port=appliance_port,
    )
    secret = secrets.token_urlsafe(24)
    database = open_database(database_path(folder))
    try:
        accounts = Accounts(database)
        accounts.set_secret(user, "user", "admin", password)
        accounts.set_secret(CLIENT_ID, "client", "admin", secret)
    finally:
        database.close()
    create_identity(identity, config.site_id, [host])
    config.save(folder)
    return CreatedSite(config, user, CLIENT_ID, secret)
