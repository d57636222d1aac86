"""`farshore account`: who may sign in at a site, and what each may do."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from farshore.cli.client import SiteClient
from farshore.cli.options import command
from farshore.cli.output import Output

app = typer.Typer(
    help="Accounts: who may sign in, and what each may do (viewer, operator, administrator).", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the account.")]
RoleOption = Annotated[str, typer.Option("--role", help="viewer, operator or administrator.")]
Vpgs = Annotated[
    list[str] | None, typer.Option("--vpg", help="Bind it to this VPG alone (name or identifier); may be repeated.")
]
FromStdin = Annotated[
    bool,
    typer.Option("--password-stdin", help="Read the password from standard input, one line; made up if not given."),
]

COLUMNS = ("account", "kind", "role", "VPGs")


def _password(from_stdin: bool) -> str | None:
    return sys.stdin.readline().rstrip("\r\n") if from_stdin else None


def _vpg_ids(api: SiteClient, vpgs: list[str] | None) -> list[str]:
    from farshore.cli.find import find_vpg

    return [str(find_vpg(api, vpg)["VpgIdentifier"]) for vpg in vpgs or []]


def _path(name: str) -> str:
    return "/accounts/" + quote(name, safe="")


def _row(account: dict[str, Any], vpg_names: dict[str, str]) -> tuple[str, ...]:
    bound = ", ".join(vpg_names.get(vpg_id, vpg_id) for vpg_id in account["VpgIdentifiers"])
    return str(account["Name"]), str(account["Kind"]), str(account["Role"]), bound or "all"


def _tell_secret(out: Output, told: dict[str, Any], what: str) -> None:
    out.result(told, f"The {what} of {told['Name']}, shown this once: {told['Secret']}")


@command(app, "list")
def list_accounts(api: SiteClient, out: Output) -> None:
    """List the accounts of the site: their kind, their role, the VPGs that they are bound to."""
    found = api.get("/accounts")
    names = {str(vpg["VpgIdentifier"]): str(vpg["VpgName"]) for vpg in api.get("/vpgs")}
    out.table(found, COLUMNS, [_row(account, names) for account in found], empty="No accounts.")


@command(app, "add")
def add(
    api: SiteClient, out: Output, name: Name, role: RoleOption, vpg: Vpgs = None, password_stdin: FromStdin = False
) -> None:
    """Make an account for a person."""
    body: dict[str, Any] = {"Name": name, "Kind": "user", "Role": role, "VpgIdentifiers": _vpg_ids(api, vpg)}
    body["Password"] = _password(password_stdin)
    _tell_secret(out, api.post("/accounts", body), "password")


@command(app, "client")
def client(api: SiteClient, out: Output, name: Name, role: RoleOption, vpg: Vpgs = None) -> None:
    """Make an account for a program (an OAuth2 client), and show its secret once: NAME is its client_id."""
    body = {"Name": name, "Kind": "client", "Role": role, "VpgIdentifiers": _vpg_ids(api, vpg)}
    _tell_secret(out, api.post("/accounts", body), "secret")


@command(app, "role")
def role_of(
    api: SiteClient,
    out: Output,
    name: Name,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="viewer, operator or administrator.")],
    vpg: Vpgs = None,
) -> None:
    """Give an account another role, bound to the VPGs that are named now; it counts at once."""
    changed = api.put(_path(name), {"Role": role, "VpgIdentifiers": _vpg_ids(api, vpg)})
    out.result(changed, f"{changed['Name']} is {changed['Role']} of {len(changed['VpgIdentifiers']) or 'all'} VPGs.")


@command(app, "password")
def password_of(
    api: SiteClient,
    out: Output,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="The account; oneself if not given.")] = None,
    password_stdin: FromStdin = False,
) -> None:
    """Give an account another password (a client another secret); its sessions and tokens end."""
    wanted = _password(password_stdin)
    if name is None:
        body = {"CurrentPassword": api.access.password, "Password": wanted}
        told = api.post("/accounts/self/password", body)
    else:
        told = api.post(_path(name) + "/password", {"Password": wanted})
    if api.site_dir is not None and told["Name"] == api.access.user:
        from farshore.cli.account_files import keep_password

        keep_password(api.site_dir, told["Name"], told["Secret"])
    _tell_secret(out, told, "password or secret")


@command(app, "remove")
def remove(api: SiteClient, out: Output, name: Name) -> None:
    """Remove an account; its sessions and tokens end. The last administrator stays."""
    out.result(api.delete(_path(name)), f"The account {name} is removed.")


@command(app, "reset")
def reset(
    out: Output,
    folder: Annotated[Path, typer.Option("--dir", help="The site's folder.")],
    name: Annotated[
        str | None, typer.Option("--name", help="The account; the one in the folder's cli.json if not given.")
    ] = None,
    password_stdin: FromStdin = False,
) -> None:
    """On the site's own host: make an account an administrator with a new password, whoever forgot the old one.

    Who may write the site's files may do this; it needs no sign-in, no running site, and no wait.
    """
    from farshore.cli.account_files import reset_account

    told = reset_account(folder, name, _password(password_stdin))
    _tell_secret(out, told, "password")
