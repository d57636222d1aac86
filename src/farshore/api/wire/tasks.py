"""Tasks as clients read them."""

from __future__ import annotations

from farshore.api.wire.links import ResourceLink
from farshore.api.wire.model import Wire
from farshore.api.wire.moments import Moment, MomentOrNone
from farshore.model.task import TaskState


class TaskStatusApi(Wire):
    """How far it is: InProgress with a percentage, then in one step Completed and 100 together."""

    state: TaskState
    progress: int


class TaskRelatedEntitiesApi(Wire):
    """What it is about."""

    vpgs: list[ResourceLink]
    sites: list[ResourceLink]
    hosts: list[ResourceLink]
    flr_sessions: list[ResourceLink]


class TaskApi(Wire):
    """One task."""

    task_identifier: str
    type: str
    status: TaskStatusApi
    started: Moment
    completed: MomentOrNone
    complete_reason: str
    initiated_by: str
    is_cancellable: bool = False
    related_entities: TaskRelatedEntitiesApi
    link: ResourceLink
