"""Accounts by way of the site's own files: for the host's administrator, when nobody can sign in."""

from __future__ import annotations

import getpass
import os
from dataclasses import replace
from pathlib import Path

from farshore.cli.access import FILE_NAME, Access
from farshore.errors import BadInput, NotPermitted
from farshore.model.site import SiteConfig


def keep_password(folder: Path, name: str, password: str) -> None:
    """Put the new password into the folder's `cli.json`, if that is of this account."""
    if (folder / FILE_NAME).exists():
        known = Access.load(folder)
        if known.user == name:
            replace(known, password=password).save(folder)


def local_user(behind: str = "") -> str:
    """Who gives a command on this host; `behind`: who became root for it."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{behind} as {user}" if behind and behind != user else user


def record_on_host(folder: Path, text: str) -> None:
    """Write a change that was made by way of the site's files into its events; nothing when it has no database yet."""
    from farshore.site.alerts import Alerts
    from farshore.site.persistence.database import open_database

    path = folder / "manager" / "site.sqlite"
    if not path.exists():
        return
    database = open_database(path)
    try:
        who = local_user(os.environ.get("SUDO_USER", ""))
        Alerts(database).record("audit", text, who=who, origin="host", result="done")
    finally:
        database.close()


def reset_account(folder: Path, name: str | None, password: str | None) -> dict[str, str]:
    """Make the account an administrator of the whole site with that password (None: made up).

    Raises NotFound (no site there), NotPermitted (its files may not be written), BadInput.
    """
    from farshore.model.access import AccountOrder, Role
    from farshore.site.accounts import Accounts
    from farshore.site.persistence.database import open_database

    SiteConfig.load(folder)
    path = folder / "manager" / "site.sqlite"
    if not os.access(path, os.W_OK):
        raise NotPermitted(f"{path} may not be written.", "Do it as the user whom the site's folder belongs to.")
    if name is None:
        name = Access.load(folder).user if (folder / FILE_NAME).exists() else "admin"
    database = open_database(path)
    try:
        accounts = Accounts(database)
        known = accounts.find(name)
        if known is not None and known.kind == "client":
            raise BadInput(f"{name} is a client.", "Name a user; or leave the name out.")
        if known is None:
            secret = accounts.add(AccountOrder(name=name, role=Role.administrator, secret=password))
        else:
            secret = accounts.change_secret(name, password)
            accounts.change_role(name, Role.administrator, ())
    finally:
        database.close()
    record_on_host(folder, f"account reset {name}")
    keep_password(folder, name, secret)
    return {"Name": name, "Secret": secret}
