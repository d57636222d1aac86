"""Tasks: read, filtered; and how the task of an action is answered in either dialect."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from farshore.api.audit import noted
from farshore.api.sessions import Caller
from farshore.api.state import SIGNED_IN, Site, query_of
from farshore.api.telling import tell_task
from farshore.api.wire.actions import TaskIdentifierApi
from farshore.api.wire.moments import read_moment
from farshore.api.wire.reply import reply, reply_list, reply_text, reply_texts
from farshore.api.wire.tasks import TaskApi
from farshore.errors import BadInput, NotFound
from farshore.model.enumerations import understand
from farshore.model.task import TaskState, TaskType, understand_task_id
from farshore.model.views import TaskFilter

router = APIRouter(dependencies=SIGNED_IN)


def answer_task(request: Request, caller: Caller, task_id: str) -> Response:
    """The task's identifier as this caller wants it [G4]: an object, or a bare text."""
    noted(request).task_id = task_id
    if caller.dialect == "object":
        return reply(request, TaskIdentifierApi(task_identifier=task_id))
    return reply_text(request, task_id)


def _filter(request: Request) -> TaskFilter:
    query = query_of(request)
    state = None
    if "status" in query:
        try:
            state = understand(TaskState, query["status"])
        except ValueError as error:
            raise BadInput(f"status: {error}.", "Name one of these.") from error

    def when(member: str, *, end: bool = False) -> int | None:
        text = query.get(member.lower())
        return None if text is None else read_moment(text, member, end=end)

    wanted = query.get("type", "").lower()
    return TaskFilter(
        type=next((kind.value for kind in TaskType if kind.value.lower() == wanted), query.get("type")),
        state=state,
        started_before_ns=when("startedBeforeDate", end=True),
        started_after_ns=when("startedAfterDate"),
        completed_before_ns=when("completedBeforeDate", end=True),
        completed_after_ns=when("completedAfterDate"),
    )


@router.get("/v1/tasks")
async def list_tasks(request: Request, site: Site) -> Response:
    """All tasks of this site, newest first."""
    views = await site.tasks(_filter(request))
    return reply_list(request, TaskApi, [tell_task(request, view) for view in views])


@router.get("/v1/tasks/types")
async def list_types(request: Request) -> Response:
    """The names of all types."""
    return reply_texts(request, [kind.value for kind in TaskType])


@router.get("/v1/tasks/{task_id}")
async def get_task(request: Request, task_id: str, site: Site) -> Response:
    """One task, by GUID.GUID or GUID:GUID."""
    wanted = understand_task_id(task_id)
    view = await site.task(wanted) if wanted else None
    if view is None:
        raise NotFound(f"There is no task {task_id}.", "List them with GET /v1/tasks.")
    return reply(request, tell_task(request, view))
