"""`farshore vpg export` and `import`: what VPGs are set to, in a file, and made again or changed back from it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from farshore.cli.client import SiteClient
from farshore.cli.options import command
from farshore.cli.output import Output

app = typer.Typer()
MEMBER = "ExportedVpgSettingsApi"


@command(app, "export")
def export(
    api: SiteClient,
    out: Output,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[VPG]...", help="Names of VPGs; all of them if none is given.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Write the settings there, too.")
    ] = None,
) -> None:
    """Keep what VPGs are set to: at the site, and in a file if one is named."""
    made = api.post("/vpgSettings/exportSettings", {"VpgNames": names or []})
    found = api.post(f"/vpgSettings/exportedSettings/{made['TimeStamp']}")
    data = {"TimeStamp": made["TimeStamp"], MEMBER: found[MEMBER]}
    if output is not None:
        _write(output, data)
    words = f" and in {output}" if output is not None else ""
    out.result(data, f"VPGs exported: {len(found[MEMBER])}. They are kept as {made['TimeStamp']}{words}.")


@command(app, "exports")
def exports(api: SiteClient, out: Output) -> None:
    """List the exports that the site keeps, newest first."""
    found = api.get("/vpgSettings/exportedSettings")
    data = [one | {"Vpgs": api.get(f"/vpgSettings/exportedSettings/{one['TimeStamp']}/vpgsinfo")} for one in found]
    rows = [(one["TimeStamp"], ", ".join(vpg["VpgName"] for vpg in one["Vpgs"])) for one in data]
    out.table(data, ("export", "VPGs"), rows, empty="No exports.")


@command(app, "import")
def import_vpgs(
    api: SiteClient,
    out: Output,
    source: Annotated[
        str, typer.Argument(metavar="FILE", help="A file of `vpg export`, or the time of an export of the site.")
    ],
    vpg: Annotated[
        list[str] | None, typer.Option("--vpg", metavar="VPG", help="Only the VPG of that name; may be repeated.")
    ] = None,
) -> None:
    """Make the VPGs of an export, and change those that are there back to it; none is removed."""
    from farshore.errors import Fault

    body = {MEMBER: _read(api, source), "VpgNames": vpg or []}
    done = api.post("/vpgSettings/import", body)
    refused = [(one["VpgName"], "refused", " ".join(one["ErrorMessages"])) for one in done["ValidationFailedResults"]]
    failed = [(one["VpgName"], "failed", one["ErrorMessage"]) for one in done["ImportFailedResults"]]
    ordered = [(one["VpgName"], "ordered", f"task {one['TaskIdentifier']}") for one in done["ImportTaskIdentifiers"]]
    out.table(done, ("VPG", "result", ""), [*ordered, *refused, *failed])
    if refused or failed:
        names = ", ".join(row[0] for row in [*refused, *failed])
        raise Fault(f"Not imported: {names}.", "The others were ordered; follow them with: farshore task list")


def _read(api: SiteClient, source: str) -> Any:
    """The VPGs of a file, or of an export that the site keeps. Raises BadInput, NotFound."""
    import json

    from farshore.errors import BadInput

    if not Path(source).exists():
        return api.post(f"/vpgSettings/exportedSettings/{source}")[MEMBER]
    try:
        data = json.loads(Path(source).read_text())
    except (OSError, ValueError) as error:
        raise BadInput(f"{source} cannot be read as an export: {error}.", "Name a file of `vpg export`.") from error
    found = data.get(MEMBER) if isinstance(data, dict) else data
    if not isinstance(found, list):
        raise BadInput(f"{source} is no export: it has no list {MEMBER}.", "Name a file of `vpg export`.")
    return found


def _write(path: Path, data: Any) -> None:
    import json

    from farshore.errors import BadInput
    from farshore.model.files import write_durably

    try:
        write_durably(path, json.dumps(data, indent=1, ensure_ascii=False).encode() + b"\n")
    except OSError as error:
        fact = f"{path} cannot be written: {error.strerror}."
        raise BadInput(fact, "The site keeps the export: farshore vpg exports") from error
