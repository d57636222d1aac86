"""How a command gets what it needs: by the names of its function's parameters.

    @command(app, "list")
    def list_vpgs(api: SiteClient, out: Output) -> None: ...

`out` adds `--json`, `api` adds the options that name the site and its account; every other parameter is the
command's own, as typer knows it. The client is signed out when the command ends.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from farshore.cli.output import Output

PANEL = "Site and account"

SiteDir = Annotated[
    Path | None,
    typer.Option("--site-dir", help="Folder of the site; its own files say where and as whom.", rich_help_panel=PANEL),
]
Url = Annotated[
    str | None, typer.Option("--url", help="https://HOST:9669 of the site. (Or: FARSHORE_URL.)", rich_help_panel=PANEL)
]
User = Annotated[str | None, typer.Option("--user", help="Account. (Or: FARSHORE_USER.)", rich_help_panel=PANEL)]
Password = Annotated[
    str | None, typer.Option("--password", help="Its password. (Or: FARSHORE_PASSWORD.)", rich_help_panel=PANEL)
]
Ca = Annotated[str | None, typer.Option("--ca", help="The site's CA file. (Or: FARSHORE_CA.)", rich_help_panel=PANEL)]
SignInWay = Annotated[
    str, typer.Option("--sign-in", help="classic (session) or token (bearer).", rich_help_panel=PANEL)
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, for programs.")]

_CONNECTION: tuple[tuple[str, Any, Any], ...] = (
    ("site_dir", SiteDir, None),
    ("url", Url, None),
    ("user", User, None),
    ("password", Password, None),
    ("ca", Ca, None),
    ("sign_in", SignInWay, "classic"),
)


def command(app: typer.Typer, name: str, **settings: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as the command `name` of `app`; see the module's docstring."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(function, eval_str=True)
        wants_api, wants_out = "api" in signature.parameters, "out" in signature.parameters
        parameters = [p for p in signature.parameters.values() if p.name not in ("api", "out")]
        if wants_api:
            parameters += [_parameter(*row) for row in _CONNECTION]
        if wants_out:
            parameters.append(_parameter("as_json", AsJson, default=False))

        def run(**values: Any) -> None:
            if wants_out:
                values["out"] = Output(values.pop("as_json"))
            if not wants_api:
                function(**values)
                return
            connection = {row[0]: values.pop(row[0]) for row in _CONNECTION}
            with _connect(**connection) as api:
                function(api=api, **values)

        run.__name__, run.__doc__ = function.__name__, function.__doc__
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        run.__dict__["__signature__"] = inspect.Signature([p.replace(kind=p.KEYWORD_ONLY) for p in parameters])
        app.command(name, **settings)(run)
        return function

    return register


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _connect(*, sign_in: str, **where: Any) -> Any:
    from farshore.cli.access import choose_access
    from farshore.cli.client import SiteClient
    from farshore.errors import BadInput

    if sign_in not in ("classic", "token"):
        raise BadInput(f"--sign-in {sign_in} is unknown.", "Use classic or token.")
    client = SiteClient(choose_access(**where), "token" if sign_in == "token" else "classic")
    client.named_by = _named_by(where)
    client.site_dir = where["site_dir"]
    return client


def _named_by(where: dict[str, Any]) -> str:
    """The options that named the site, but for the password."""
    import shlex

    given = [(name, value) for name, value in where.items() if value is not None and name != "password"]
    return "".join(f" --{name.replace('_', '-')} {shlex.quote(str(value))}" for name, value in given)
