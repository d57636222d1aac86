"""Clones of a VPG: begin one, abort those that run."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from farshore.api.routes.tasks import answer_task
from farshore.api.routes.vm_selection import select_vms
from farshore.api.routes.vpgs import known_vpg
from farshore.api.state import SIGNED_IN, SignedIn, Site
from farshore.api.wire.actions import CloneStartDataApi
from farshore.api.wire.body import ignore_body, read_body

router = APIRouter(prefix="/v1/vpgs", dependencies=SIGNED_IN)


@router.post("/{vpg_id}/CloneStart")
async def clone_start(request: Request, vpg_id: str, caller: SignedIn, site: Site) -> Response:
    """Copy the VMs as of a checkpoint to VMs of their own, off [L1-L3, L5]."""
    view = await known_vpg(site, vpg_id)
    body = await read_body(request, CloneStartDataApi)
    task_id = await site.clone(
        view.vpg_id,
        checkpoint_id=body.checkpoint_id,
        datastore_id=body.datastore_identifier,
        vm_ids=select_vms(body.vm_identifiers, view.vms, view.name),
        who=caller.account.name,
    )
    return answer_task(request, caller, task_id)


@router.post("/{vpg_id}/CloneAbort")
async def clone_abort(request: Request, vpg_id: str, caller: SignedIn, site: Site) -> Response:
    """Stop the VPG's clones; nothing of them is left [L4]."""
    view = await known_vpg(site, vpg_id)
    await ignore_body(request)
    return answer_task(request, caller, await site.clone_abort(view.vpg_id, caller.account.name))
