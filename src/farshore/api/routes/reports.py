"""Recovery reports: what the operation of one task did, step by step."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from farshore.api.state import SIGNED_IN, Site
from farshore.api.telling_reports import tell_report
from farshore.api.wire.reply import reply
from farshore.errors import NotFound
from farshore.model.task import understand_task_id

router = APIRouter(dependencies=SIGNED_IN)


@router.get("/v1/reports/recovery/{task_id}")
async def get_report(request: Request, task_id: str, site: Site) -> Response:
    """One report, by the identifier of its task."""
    wanted = understand_task_id(task_id)
    view = await site.report(wanted) if wanted else None
    if view is None:
        raise NotFound(f"There is no report of a task {task_id}.", "List the tasks with GET /v1/tasks.")
    return reply(request, tell_report(view))
