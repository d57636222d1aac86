"""The VMs of all VPGs."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from farshore.api.routes.matching import fits_sites, fits_states, texts_of
from farshore.api.state import SIGNED_IN, Site, query_of
from farshore.api.telling import tell_vm
from farshore.api.wire.reply import reply, reply_list
from farshore.api.wire.vpgs import VmApi
from farshore.errors import NotFound

router = APIRouter(dependencies=SIGNED_IN)


@router.get("/v1/vms")
async def list_vms(request: Request, site: Site) -> Response:
    """The protected VMs; `vpgName` and `vmName` are exact."""
    query = query_of(request)
    vpg_names, vm_names = texts_of(request, "vpgname"), texts_of(request, "vmname")
    told = [
        tell_vm(request, view)
        for view in await site.protected_vms()
        if (not vpg_names or view.vpg.name in vpg_names)
        and (not vm_names or view.vm_name in vm_names)
        and query.get("vmidentifier", view.vm_id).lower() == view.vm_id.lower()
        and fits_states(query, view.vpg.status, view.vpg.substatus, view.vpg.settings.priority)
        and fits_sites(
            query,
            (view.vpg.protected_site_id, view.vpg.protected_site_name),
            (view.vpg.recovery_site_id, view.vpg.recovery_site_name),
        )
        and "organizationname" not in query
    ]
    return reply_list(request, VmApi, told)


@router.get("/v1/vms/{vm_id}")
async def get_vm(request: Request, vm_id: str, site: Site) -> Response:
    """One protected VM; `vpgIdentifier` says in which VPG, if it is in several."""
    vpg_id = query_of(request).get("vpgidentifier", "").lower()
    for view in await site.protected_vms():
        if view.vm_id.lower() == vm_id.lower() and vpg_id in {"", view.vpg.vpg_id}:
            return reply(request, tell_vm(request, view))
    raise NotFound(f"No VPG has a VM {vm_id}.", "List the protected ones with GET /v1/vms.")
