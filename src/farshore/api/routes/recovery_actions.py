"""Failover and move of a VPG, their commits and rollbacks: take the order apart, hand it to the site, answer its task.

What the page leaves to be understood is said in the answer's `Warning`: a commit that does not protect back though
the failover said so, and source VMs that cannot be kept because their disks become the replica.
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from farshore.api.routes.tasks import answer_task
from farshore.api.routes.vm_selection import select_vms
from farshore.api.routes.vpgs import known_vpg
from farshore.api.state import SIGNED_IN, SignedIn, Site
from farshore.api.wire.actions import FailoverCommitDataApi, FailoverDataApi, MoveCommitVpgDataApi, MoveVpgDataApi
from farshore.api.wire.body import ignore_body, read_body
from farshore.api.wire.notes import note

router = APIRouter(prefix="/v1/vpgs", dependencies=SIGNED_IN)

NOT_PROTECTED_BACK = (
    "IsReverseProtection is False for this commit, though the failover said True: the VPG will need configuration"
)
NOT_KEPT = "KeepSourceVms is ignored with reverse protection: the disks become the replica"


@router.post("/{vpg_id}/Failover")
async def failover(request: Request, vpg_id: str, caller: SignedIn, site: Site) -> Response:
    """Recover the VMs at a checkpoint, up to Before Commit [F1-F7]."""
    view = await known_vpg(site, vpg_id)
    body = await read_body(request, FailoverDataApi)
    vm_ids = select_vms(body.vm_identifiers, view.vms, view.name)
    if vm_ids is not None and len(vm_ids) == len(view.vms):
        vm_ids = None  # all were named: a failover of the whole VPG
    task_id = await site.failover(
        view.vpg_id,
        checkpoint_id=body.checkpoint_identifier,
        commit_policy=body.commit_policy,
        wait_seconds=body.time_to_wait_before_shutdown_in_sec,
        shutdown_policy=body.shutdown_policy,
        reverse_protection=body.is_reverse_protection,
        vm_ids=vm_ids,
        who=caller.account.name,
    )
    return answer_task(request, caller, task_id)


@router.post("/{vpg_id}/FailoverCommit")
async def failover_commit(request: Request, vpg_id: str, caller: SignedIn, site: Site) -> Response:
    """Make the recovered VMs the VPG's own [F8]."""
    view = await known_vpg(site, vpg_id)
    body = await read_body(request, FailoverCommitDataApi)
    reverse = body.is_reverse_protection
    task_id = await site.failover_commit(view.vpg_id, reverse_protection=reverse, who=caller.account.name)
    if view.reverse_protection and not reverse:
        note(request, NOT_PROTECTED_BACK)
    return answer_task(request, caller, task_id)


@router.post("/{vpg_id}/FailoverRollback")
async def failover_rollback(request: Request, vpg_id: str, caller: SignedIn, site: Site) -> Response:
    """Remove the recovered VMs; all as before [F9]."""
    view = await known_vpg(site, vpg_id)
    await ignore_body(request)
    return answer_task(request, caller, await site.failover_rollback(view.vpg_id, caller.account.name))


@router.post("/{vpg_id}/move")
async def move(request: Request, vpg_id: str, caller: SignedIn, site: Site) -> Response:
    """Shut the VMs down and recover them with their last writes, up to Before Commit [M1-M5]."""
    view = await known_vpg(site, vpg_id)
    body = await read_body(request, MoveVpgDataApi)
    task_id = await site.move(
        view.vpg_id,
        commit_policy=body.commit_policy,
        wait_seconds=body.commit_policy_timeout,
        force_shutdown=body.force_shutdown,
        reverse_protection=body.reverse_protection,
        keep_source_vms=body.keep_source_vms,
        continue_on_script_failure=body.continue_on_pre_script_failure,
        who=caller.account.name,
    )
    if body.keep_source_vms and body.reverse_protection:
        note(request, NOT_KEPT)
    return answer_task(request, caller, task_id)


@router.post("/{vpg_id}/moveCommit")
async def move_commit(request: Request, vpg_id: str, caller: SignedIn, site: Site) -> Response:
    """Commit the move; what is left out is as the move said [M7]."""
    view = await known_vpg(site, vpg_id)
    body = await read_body(request, MoveCommitVpgDataApi)
    task_id = await site.move_commit(
        view.vpg_id,
        reverse_protection=body.reverse_protection,
        keep_source_vms=body.keep_source_vms,
        who=caller.account.name,
    )
    reverse = view.reverse_protection if body.reverse_protection is None else body.reverse_protection
    if body.keep_source_vms and reverse:
        note(request, NOT_KEPT)
    return answer_task(request, caller, task_id)


@router.post("/{vpg_id}/moveRollback")
async def move_rollback(request: Request, vpg_id: str, caller: SignedIn, site: Site) -> Response:
    """Remove the recovered VMs; the protected ones run again [M8]."""
    view = await known_vpg(site, vpg_id)
    await ignore_body(request)
    return answer_task(request, caller, await site.move_rollback(view.vpg_id, caller.account.name))
