"""VMs that are held from being started since a failover or move has replaced them. Our own resource."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from farshore.api.state import SIGNED_IN, SignedIn, Site
from farshore.api.wire.body import ignore_body
from farshore.api.wire.held_vms import HeldVmApi
from farshore.api.wire.reply import reply_list, reply_text

router = APIRouter(prefix="/v1/heldVms", dependencies=SIGNED_IN)


@router.get("")
async def list_held_vms(request: Request, site: Site) -> Response:
    """All of this site, by name."""
    told = [
        HeldVmApi(
            vm_identifier=vm.vm_id,
            vm_name=vm.vm_name,
            reason=vm.reason,
            needed_by=vm.needed_by,
            can_release=not vm.needed_by,
        )
        for vm in await site.held_vms()
    ]
    return reply_list(request, HeldVmApi, told)


@router.post("/{vm_id}/release")
async def release_vm(request: Request, vm_id: str, caller: SignedIn, site: Site) -> Response:
    """Let it be started again; nothing is started."""
    await ignore_body(request)
    await site.release_vm(vm_id, caller.account.name)
    return reply_text(request, vm_id)
