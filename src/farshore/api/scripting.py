"""Between the scripts of a settings object and those of a VPG."""

from __future__ import annotations

from pydantic import ValidationError

from farshore.api.wire.vpg_settings import VpgSettingsScriptApi, VpgSettingsScriptsApi
from farshore.errors import BadInput
from farshore.model.scripts import SCRIPT_SECONDS_DEFAULT, Script
from farshore.model.vpg import VpgSettings

_MEMBERS = {"command": "Command", "parameters": "Parameters", "timeout_seconds": "TimeoutInSeconds"}


def scripts_of(scripting: VpgSettingsScriptsApi) -> dict[str, Script | None]:
    """The members of `VpgSettings`. Raises BadInput naming the member."""
    return {
        "pre_recovery": _script("Scripting.PreRecovery", scripting.pre_recovery),
        "post_recovery": _script("Scripting.PostRecovery", scripting.post_recovery),
    }


def _script(name: str, told: VpgSettingsScriptApi) -> Script | None:
    """None where no command is named: what else is set says nothing then."""
    command = (told.command or "").strip()
    if not command:
        return None
    seconds = told.timeout_in_seconds or SCRIPT_SECONDS_DEFAULT
    try:
        return Script(command=command, parameters=told.parameters or "", timeout_seconds=seconds)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)[0]
        words = found["msg"].removeprefix("Value error, ")
        raise BadInput(f"{name}.{_MEMBERS[str(found['loc'][0])]}: {words}.", "Mend it and commit again.") from error


def tell_scripts(settings: VpgSettings) -> VpgSettingsScriptsApi:
    """As they stand in a settings object."""
    return VpgSettingsScriptsApi(pre_recovery=_tell(settings.pre_recovery), post_recovery=_tell(settings.post_recovery))


def _tell(script: Script | None) -> VpgSettingsScriptApi:
    if script is None:
        return VpgSettingsScriptApi()
    return VpgSettingsScriptApi(
        command=script.command, parameters=script.parameters, timeout_in_seconds=script.timeout_seconds
    )
