"""Reports: what operations did, step by step; and what each protected VM takes of both sites."""

from __future__ import annotations

import time
from collections.abc import Mapping

from fastapi import APIRouter, Request, Response

from farshore.api.routes.spans import page_of, time_of
from farshore.api.state import SIGNED_IN, Site, query_of
from farshore.api.telling_reports import REPORTED, tell_report
from farshore.api.telling_usage import tell_usage
from farshore.api.wire.reply import reply, reply_list
from farshore.api.wire.reports import RecoveryReportApi
from farshore.api.wire.usage import VmResourcesReportApi
from farshore.errors import BadInput, NotFound
from farshore.model.record_views import ReportFilter
from farshore.model.task import TaskState, understand_task_id
from farshore.model.views import ProtectedVmView

router = APIRouter(dependencies=SIGNED_IN)

PAGE_DEFAULT = 1000
_STATES = {"success": (TaskState.Completed,), "fail": (TaskState.Failed, TaskState.Stopped)}


def _types(query: Mapping[str, str]) -> tuple[str, ...]:
    wanted = query.get("recoverytype")
    if wanted is None:
        return tuple(REPORTED)
    plain = wanted.replace(" ", "").lower()
    found = tuple(kind for kind, told in REPORTED.items() if plain in {kind.lower(), told.replace(" ", "").lower()})
    if not found:
        known = ", ".join(REPORTED.values())
        raise BadInput(f"recoveryType: it must be one of {known}.", "Leave it out for all.")
    return found


def _filter(query: Mapping[str, str]) -> ReportFilter:
    skip, limit = page_of(query, PAGE_DEFAULT)
    names, state = query.get("vpgname"), query.get("state")
    if state is not None and state.lower() not in _STATES:
        raise BadInput("state: it must be Success or Fail.", "Leave it out for all.")
    return ReportFilter(
        types=_types(query),
        vpg_names=None if names is None else tuple({names, *(name.strip() for name in names.split(","))}),
        states=None if state is None else _STATES[state.lower()],
        from_ns=time_of(query, "startTime"),
        to_ns=time_of(query, "endTime", end=True),
        skip=skip,
        limit=limit,
    )


@router.get("/v1/reports/recovery")
async def list_reports(request: Request, site: Site) -> Response:
    """The reports of tests, failovers, moves, clones and their ends, newest first; several VPG names by commas."""
    views = await site.reports(_filter(query_of(request)))
    return reply_list(request, RecoveryReportApi, [tell_report(view) for view in views])


@router.get("/v1/reports/recovery/{task_id}")
async def get_report(request: Request, task_id: str, site: Site) -> Response:
    """One report, by the identifier of its task."""
    wanted = understand_task_id(task_id)
    view = await site.report(wanted) if wanted else None
    if view is None:
        raise NotFound(f"There is no report of a task {task_id}.", "List the tasks with GET /v1/tasks.")
    return reply(request, tell_report(view))


def _fits(view: ProtectedVmView, query: Mapping[str, str]) -> bool:
    vpg = view.vpg
    given = (
        ("vpgname", vpg.name),
        ("vmname", view.vm_name),
        ("protectedsitename", vpg.protected_site_name),
        ("protectedhostname", vpg.protected_site_name),
        ("recoverysitename", vpg.recovery_site_name),
        ("recoveryhostname", vpg.recovery_site_name),
    )
    others = {"zorgname", "protectedclustername", "recoveryclustername"}
    others |= {"protectedorgvdc", "protectedvcdorg", "recoveryorgvdc", "recoveryvcdorg"}
    return all(query.get(key, value) == value for key, value in given) and not others & query.keys()


@router.get("/v1/reports/resources")
async def list_usage(request: Request, site: Site) -> Response:
    """What each protected VM takes now: no samples of the past are kept, so a span must hold the present."""
    query = query_of(request)
    skip, limit = page_of(query, PAGE_DEFAULT)
    now_ns = time.time_ns()
    start, end = time_of(query, "startTime"), time_of(query, "endTime", end=True)
    if (start is not None and start > now_ns) or (end is not None and end < now_ns):
        return reply_list(request, VmResourcesReportApi, [])
    found = [view for view in await site.protected_vms() if _fits(view, query)]
    return reply_list(request, VmResourcesReportApi, [tell_usage(view, now_ns) for view in found[skip : skip + limit]])
