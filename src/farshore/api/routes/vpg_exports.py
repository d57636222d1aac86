"""Settings of VPGs copied to a new object, exported, read again, imported."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from farshore.api.audit import noted
from farshore.api.routes.vpgs import find_vpg
from farshore.api.services import Services
from farshore.api.state import SIGNED_IN, SignedIn, Site, state_of
from farshore.api.vpg_imports import import_vpgs
from farshore.api.vpg_orders import settings_of_vpg, unused_members
from farshore.api.wire.body import read_body
from farshore.api.wire.moments import moment, read_moment
from farshore.api.wire.notes import note_unknown
from farshore.api.wire.reply import reply, reply_list, reply_text
from farshore.api.wire.vpg_exports import (
    CopyVpgSettingsApi,
    ExportedVpgSettingsApi,
    ImportVpgSettingsApi,
    VpgSettingsDownloadExportApi,
    VpgSettingsExportApi,
    VpgSettingsExportedDataInfoApi,
    VpgSettingsExportResultApi,
    VpgSettingsExportVpgInfoApi,
    VpgSettingsImportFailedResultApi,
    VpgSettingsImportTaskIdentifierResultApi,
    VpgSettingsImportValidationResultApi,
    VpgSettingsImportVpgsResultApi,
    VpgSettingsNamesApi,
)
from farshore.errors import BadInput, NotFound
from farshore.model.settings_export import ExportedVpg, SettingsExport

router = APIRouter(prefix="/v1/vpgSettings", dependencies=SIGNED_IN)


@router.post("/copyVpgSettings")
async def copy_settings(request: Request, caller: SignedIn, site: Site) -> Response:
    """A new object for a new VPG, set as that one; its VMs are not in it, since a VM is in one VPG."""
    body = await read_body(request, CopyVpgSettingsApi)
    content = settings_of_vpg(await find_vpg(site, body.vpg_identifier))
    content = content.model_copy(update={"vpg_identifier": None, "vms": []})
    return reply_text(request, state_of(request).store.add(content, caller.session))


@router.post("/exportSettings")
async def export_settings(request: Request, site: Site) -> Response:
    """Keep what the VPGs are set to; `TimeStamp` names the export."""
    body = await read_body(request, VpgSettingsNamesApi)
    made = await site.export_settings(tuple(body.vpg_names))
    how = VpgSettingsExportResultApi(result="Success", message=f"VPGs exported: {len(made.vpgs)}.")
    return reply(request, VpgSettingsExportApi(time_stamp=moment(made.time_ns), export_result=how))


@router.get("/exportedSettings")
async def list_exports(request: Request, site: Site) -> Response:
    """The exports that are kept, newest first."""
    found = [VpgSettingsExportedDataInfoApi(time_stamp=moment(time_ns)) for time_ns in await site.settings_exports()]
    return reply_list(request, VpgSettingsExportedDataInfoApi, found)


async def _find(site: Services, time_stamp: str) -> SettingsExport:
    found = await site.settings_export(read_moment(time_stamp, "timeStamp"))
    if found is None:
        raise NotFound(f"There is no export of {time_stamp}.", "List them with GET /v1/vpgSettings/exportedSettings.")
    return found


def _tell(vpg: ExportedVpg) -> ExportedVpgSettingsApi:
    content = settings_of_vpg(vpg)
    members = {field: getattr(content, field) for field in type(content).model_fields}
    return ExportedVpgSettingsApi(
        **members, source_site_name=vpg.protected_site_name, target_site_name=vpg.recovery_site_name
    )


@router.post("/exportedSettings/{time_stamp}")
async def read_export(request: Request, time_stamp: str, site: Site) -> Response:
    """What an export has, of all its VPGs or of those that are named."""
    names = (await read_body(request, VpgSettingsNamesApi)).vpg_names
    vpgs = (await _find(site, time_stamp)).vpgs
    missing = sorted(set(names) - {vpg.name for vpg in vpgs})
    told = VpgSettingsDownloadExportApi(
        exported_vpg_settings_api=[_tell(vpg) for vpg in vpgs if not names or vpg.name in names],
        error_message=f"The export has no VPG {', '.join(missing)}." if missing else None,
    )
    return reply(request, told)


@router.get("/exportedSettings/{time_stamp}/vpgsinfo")
async def list_vpgs_of_export(request: Request, time_stamp: str, site: Site) -> Response:
    """The VPGs of an export, by name."""
    found = [
        VpgSettingsExportVpgInfoApi(
            vpg_name=vpg.name, source_site_name=vpg.protected_site_name, target_site_name=vpg.recovery_site_name
        )
        for vpg in (await _find(site, time_stamp)).vpgs
    ]
    return reply_list(request, VpgSettingsExportVpgInfoApi, found)


@router.post("/import")
async def import_settings(request: Request, caller: SignedIn, site: Site) -> Response:
    """Make the VPGs of an export, or change them back; what became of each."""
    body = await read_body(request, ImportVpgSettingsApi)
    if not body.exported_vpg_settings_api:
        raise BadInput("ExportedVpgSettingsApi: it is mandatory.", "Send what an export has.")
    sent = {content.basic.name for content in body.exported_vpg_settings_api}
    for name in body.vpg_names:
        if name not in sent:
            raise BadInput(f"VpgNames: {name} is not among the VPGs that were sent.", "Name some of those.")
    chosen = [
        content
        for content in body.exported_vpg_settings_api
        if not body.vpg_names or content.basic.name in body.vpg_names
    ]
    done = await import_vpgs(site, chosen, caller.account.name)
    note_unknown(request, sorted({member for content in chosen for member in unused_members(content)}))
    noted(request).task_id = ", ".join(one.task_id for one in done if one.task_id)
    told = VpgSettingsImportVpgsResultApi(
        validation_failed_results=[
            VpgSettingsImportValidationResultApi(vpg_name=one.name, error_messages=[one.refusal])
            for one in done
            if one.refusal
        ],
        import_failed_results=[
            VpgSettingsImportFailedResultApi(vpg_name=one.name, error_message=one.failure)
            for one in done
            if one.failure
        ],
        import_task_identifiers=[
            VpgSettingsImportTaskIdentifierResultApi(vpg_name=one.name, task_identifier=one.task_id)
            for one in done
            if one.task_id
        ],
    )
    return reply(request, told)
