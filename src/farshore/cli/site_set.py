"""`farshore site set`: a setting of a site, read and changed in its `site.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from farshore.cli.options import command
from farshore.cli.output import Output

if TYPE_CHECKING:
    from farshore.model.site import SiteConfig

app = typer.Typer()


@command(app, "set")
def set_setting(
    out: Output,
    folder: Annotated[Path, typer.Option("--dir", help="The site's folder.")],
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="The setting, or NAME.KEY of one that holds several.")
    ] = None,
    value: Annotated[str | None, typer.Argument(metavar="[VALUE]", help="What it shall be.")] = None,
    default: Annotated[bool, typer.Option("--default", help="Put it back to its default.")] = False,
) -> None:
    """Change a setting of the site, from its next start on; without a value show it, without a name all of them."""
    from farshore.cli.account_files import record_on_host
    from farshore.errors import BadInput
    from farshore.model.site import SiteConfig

    config = SiteConfig.load(folder)
    if name is None:
        _show(out, config.settings.model_dump(mode="json"))
        return
    member, _, key = name.partition(".")
    if member not in type(config.settings).model_fields:
        known = ", ".join(type(config.settings).model_fields)
        raise BadInput(f"There is no setting {member}.", f"There are: {known}.")
    if value is None and not default:
        _show(out, {member: config.settings.model_dump(mode="json")[member]})
        return
    if value is not None and default:
        raise BadInput("--default takes no value.", "Give one of the two.")
    changed = _changed(config, member, key, value)
    changed.save(folder)
    record_on_host(folder, f"site set {name} {'--default' if default else value}")
    told = changed.settings.model_dump(mode="json")[member]
    words = f"{member} is {json.dumps(told)}; it holds from the next start of the site."
    out.result({"Setting": member, "Value": told}, words)


def _show(out: Output, settings: dict[str, Any]) -> None:
    out.facts(settings, [(name, json.dumps(value)) for name, value in settings.items()])


def _changed(config: SiteConfig, member: str, key: str, value: str | None) -> SiteConfig:
    """The record with the setting changed. Raises BadInput."""
    from pydantic import ValidationError

    from farshore.errors import BadInput

    settings = config.settings.model_dump(mode="json")
    if key:
        if not isinstance(settings[member], dict):
            raise BadInput(f"{member} holds one value, it has no {key}.", f"Set {member} itself.")
        if value is None:
            settings[member].pop(key, None)
        else:
            settings[member][key] = value
    elif value is None:
        del settings[member]
    else:
        settings[member] = _understood(value)
    try:
        return type(config).model_validate({**config.model_dump(mode="json"), "settings": settings})
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)[0]
        raise BadInput(f"{member}: {found['msg']}.", "docs/operations.md says what it may be.") from error


def _understood(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
