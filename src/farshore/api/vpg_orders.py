"""Between a settings object, as clients fill it, and the order that the site carries out."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from farshore.api.scripting import scripts_of, tell_scripts
from farshore.api.wire.actions import VpgCreateDataApi
from farshore.api.wire.model import Wire, spelled
from farshore.api.wire.vpg_settings import VpgSettingsApi, VpgSettingsBasicApi
from farshore.api.wire.vpg_settings_vms import VpgSettingsVmApi
from farshore.errors import BadInput
from farshore.model.settings_export import ExportedVpg
from farshore.model.views import VpgOrder, VpgView
from farshore.model.vpg import VpgSettings

MIB = 1 << 20
_MEMBERS = {
    "checkpoint_interval_seconds": "Basic.CheckpointIntervalInSeconds",
    "history_seconds": "Basic.JournalHistoryInHours",
    "rpo_seconds": "Basic.RpoInSeconds",
    "window_bytes": "Basic.WindowInMB",
    "name": "Basic.Name",
}


def settings_of_vpg(view: VpgView | ExportedVpg) -> VpgSettingsApi:
    """The settings object that would make the VPG what it is."""
    settings = view.settings
    hours, rest = divmod(settings.history_seconds, 3600)
    return VpgSettingsApi(
        vpg_identifier=view.vpg_id,
        basic=VpgSettingsBasicApi(
            name=view.name,
            rpo_in_seconds=settings.rpo_seconds,
            journal_history_in_hours=max(1, hours),
            journal_history_in_seconds=settings.history_seconds if rest else None,
            priority=settings.priority,
            protected_site_identifier=view.protected_site_id,
            recovery_site_identifier=view.recovery_site_id,
            checkpoint_interval_in_seconds=settings.checkpoint_interval_seconds,
            window_in_mb=settings.window_bytes // MIB,
        ),
        scripting=tell_scripts(settings),
        vms=[VpgSettingsVmApi(vm_identifier=vm.vm_id) for vm in view.vms],
    )


def filled_from(known: VpgSettingsBasicApi, given: VpgSettingsBasicApi) -> VpgSettingsBasicApi:
    """What was given, and for what was not (or is null where it must not be) what is known.

    The journal's length is one thing though it can be given in two members.
    """
    fields = type(given).model_fields
    values = {field: getattr(given, field) for field in given.model_fields_set if field in fields}
    for field in ("name", "protected_site_identifier", "recovery_site_identifier", "window_in_mb"):
        if values.get(field) is None:
            values.pop(field, None)
    if "journal_history_in_hours" in values:
        values.setdefault("journal_history_in_seconds", None)
    return known.model_copy(update=values)


def completed(known: VpgView, given: VpgSettingsApi) -> VpgSettingsApi:
    """The settings object of a VPG that is there: what was given, and for what was not what it is now."""
    whole = settings_of_vpg(known)
    fields = {field: getattr(given, field) for field in given.model_fields_set if field in type(whole).model_fields}
    basic = filled_from(whole.basic, given.basic)
    return whole.model_copy(update={**fields, "basic": basic, "vpg_identifier": known.vpg_id})


def order_of_settings(content: VpgSettingsApi) -> VpgOrder:
    """What a settings object asks for. Raises BadInput naming the member."""
    basic = content.basic
    name = (basic.name or "").strip()
    for member, value in (
        ("Basic.Name", name),
        ("Basic.ProtectedSiteIdentifier", basic.protected_site_identifier),
        ("Basic.RecoverySiteIdentifier", basic.recovery_site_identifier),
    ):
        if not value:
            raise BadInput(f"{member}: it is mandatory.", "Set it and commit again.")
    history = basic.journal_history_in_seconds
    values: dict[str, Any] = {
        "checkpoint_interval_seconds": basic.checkpoint_interval_in_seconds,
        "history_seconds": basic.journal_history_in_hours * 3600 if history is None else history,
        "rpo_seconds": basic.rpo_in_seconds,
        "priority": basic.priority,
        **scripts_of(content.scripting),
    }
    if basic.window_in_mb is not None:
        values["window_bytes"] = basic.window_in_mb * MIB
    try:
        return VpgOrder(
            vpg_id=content.vpg_identifier,
            name=name,
            protected_site_id=(basic.protected_site_identifier or "").lower(),
            recovery_site_id=(basic.recovery_site_identifier or "").lower(),
            settings=VpgSettings.model_validate(values),
            vm_ids=tuple(dict.fromkeys(vm.vm_identifier for vm in content.vms)),
        )
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)[0]
        member = _MEMBERS.get(str(found["loc"][-1]), str(found["loc"][-1]))
        raise BadInput(f"{member}: {found['msg']}.", "Mend it and commit again.") from error


def unused_members(content: VpgSettingsApi) -> list[str]:
    """What the object sets and this version makes no use of, to be told at the commit."""
    found = []
    if content.boot_groups.boot_groups:
        found.append("BootGroups (all VMs start together)")
    limits = content.journal.limitation.model_dump(exclude_none=True)
    if any(limits.values()):
        found.append("Journal.Limitation (the store's reserve holds)")
    if any(content.recovery.model_dump(exclude_none=True).values()):
        found.append("Recovery")
    if _says(content.scratch):
        found.append("Scratch (the store's reserve holds)")
    return found + _unused_of_vms(content)


def _unused_of_vms(content: VpgSettingsApi) -> list[str]:
    kept = {
        "Journal": (vm.journal for vm in content.vms),
        "Scratch": (vm.scratch for vm in content.vms),
        "Volumes": (volume for vm in content.vms for volume in vm.volumes),
        "Nics (networks and addresses stay as they are)": (nic for vm in content.vms for nic in vm.nics),
    }
    return [f"Vms.{member}" for member, parts in kept.items() if any(map(_says, parts))]


def _says(part: Wire) -> bool:
    """Whether it sets something besides its own identifier."""
    return _holds(part.model_dump(exclude_defaults=True, exclude={"volume_identifier", "nic_identifier"}))


def _holds(value: Any) -> bool:
    """False is something where the default is true; 0 and empty texts are what clients send for nothing."""
    if isinstance(value, dict):
        return any(map(_holds, value.values()))
    return value is False or bool(value)


def order_of_old_create(body: VpgCreateDataApi) -> VpgOrder:
    """What the deprecated create asks for [C1]: as a settings object with nothing else set."""
    return VpgOrder(
        vpg_id=None,
        name=body.vpg_name.strip(),
        protected_site_id=body.source_site_identifier.lower(),
        recovery_site_id=body.target_site_identifier.lower(),
        settings=VpgSettings(priority=body.priority),
        vm_ids=tuple(dict.fromkeys(body.vms_identifiers)),
    )


def unused_in_old_create(body: VpgCreateDataApi) -> list[str]:
    """The members of other platforms that the body sets, to be told."""
    used = {"vpg_name", "source_site_identifier", "target_site_identifier", "vms_identifiers", "priority"}
    rest = VpgCreateDataApi.model_fields.keys() - used
    return sorted(spelled(name) for name in rest if getattr(body, name))
