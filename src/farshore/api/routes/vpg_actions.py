"""The actions on a VPG: take the order apart, hand it to the site, answer its task at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import get_args

from fastapi import APIRouter, Request, Response

from farshore.api.routes.tasks import answer_task
from farshore.api.routes.vm_selection import select_vms
from farshore.api.routes.vpgs import known_vpg
from farshore.api.state import SIGNED_IN, SignedIn, Site, link
from farshore.api.vpg_orders import order_of_old_create, unused_in_old_create
from farshore.api.wire.actions import (
    CheckpointsDataApi,
    FailOverTestStartDataApi,
    StopFailoverTestDataApi,
    VpgCreateDataApi,
)
from farshore.api.wire.body import ignore_body, read_body
from farshore.api.wire.notes import note_successor, note_unknown
from farshore.errors import BadInput
from farshore.model.actions import Steering
from farshore.model.task import understand_task_id

router = APIRouter(prefix="/v1/vpgs", dependencies=SIGNED_IN)


@router.post("/{vpg_id}/Checkpoints")
async def insert_checkpoint(request: Request, vpg_id: str, caller: SignedIn, site: Site) -> Response:
    """Cut a tagged checkpoint now [K1]."""
    view = await known_vpg(site, vpg_id)
    body = await read_body(request, CheckpointsDataApi)
    task_id = await site.insert_checkpoint(view.vpg_id, body.checkpoint_name, caller.account.name)
    return answer_task(request, caller, task_id)


@router.post("/{vpg_id}/FailoverTest")
async def failover_test(request: Request, vpg_id: str, caller: SignedIn, site: Site) -> Response:
    """Recover the VMs on an isolated network, the protected ones untouched [T1, T2]."""
    view = await known_vpg(site, vpg_id)
    body = await read_body(request, FailOverTestStartDataApi)
    vm_ids = select_vms(body.vm_identifiers, view.vms, view.name)
    task_id = await site.failover_test(view.vpg_id, body.checkpoint_identifier, vm_ids, caller.account.name)
    return answer_task(request, caller, task_id)


@router.post("/{vpg_id}/FailoverTestStop")
async def failover_test_stop(request: Request, vpg_id: str, caller: SignedIn, site: Site) -> Response:
    """End the VPG's tests, or the one whose task is named [T3]."""
    view = await known_vpg(site, vpg_id)
    body = await read_body(request, StopFailoverTestDataApi)
    test_task = None
    if body.task_identifier is not None:
        test_task = understand_task_id(body.task_identifier)
        if test_task is None:
            fact = f"TaskIdentifier: {body.task_identifier} is not the identifier of a task."
            raise BadInput(fact, "Give that of the FailoverTest, or leave it out to stop all.")
    task_id = await site.failover_test_stop(
        view.vpg_id,
        success=body.failover_test_success,
        summary=body.failover_test_summary or None,
        test_task=test_task,
        who=caller.account.name,
    )
    return answer_task(request, caller, task_id)


def _steering(action: Steering) -> Callable[..., Awaitable[Response]]:
    async def steer(request: Request, vpg_id: str, caller: SignedIn, site: Site) -> Response:
        view = await known_vpg(site, vpg_id)
        await ignore_body(request)
        return answer_task(request, caller, await site.steer(view.vpg_id, action, caller.account.name))

    return steer


for _action in get_args(Steering):  # [S1-S3]
    router.add_api_route(f"/{{vpg_id}}/{_action}", _steering(_action), methods=["POST"], name=_action)


@router.post("")
async def create_deprecated(request: Request, caller: SignedIn, site: Site) -> Response:
    """The deprecated way to create a VPG [C1]: the old body, as an order of what a settings object says."""
    note_successor(request, link(request, "/v1/vpgSettings"))
    body = await read_body(request, VpgCreateDataApi)
    task_id = await site.create_vpg(order_of_old_create(body), caller.account.name)
    note_unknown(request, unused_in_old_create(body))
    return answer_task(request, caller, task_id)
