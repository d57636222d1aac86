"""DBOS, set up as reference experience says: one version for ever, one executor a site, JSON, SQLite in WAL.

There is one DBOS in a process, so the site that operations act for is one too: `launch` sets it, steps read it.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import sqlalchemy as sa
import structlog
from dbos import DBOS, DBOSConfig, SetWorkflowID

from farshore.errors import Conflict, FarshoreError, Fault
from farshore.operations.serializer import JsonSerializer
from farshore.site.persistence import sqlite_engine
from farshore.site.site import Site

APPLICATION_VERSION = "1"
"""Constant: by default DBOS hashes the source, and after an upgrade waiting workflows would wait for ever."""

LOOK_SECONDS = 0.3
"""How often a step that can be stopped looks whether it is to."""

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Workflow = Callable[[str], Coroutine[Any, Any, None]]

log = structlog.get_logger("operations")


class _Bound:
    """What the one DBOS of this process works with."""

    site: Site | None = None
    engine: sa.Engine | None = None
    running: set[str] = set()  # noqa: RUF012 - there is one of this class


def is_running(task_id: str) -> bool:
    """Whether that task's workflow runs in this process."""
    return task_id in _Bound.running


def site() -> Site:
    """The site that this process's operations act for."""
    if _Bound.site is None:
        raise Fault("No site is bound to the operations.", "This is a fault in the program: please report it.")
    return _Bound.site


def launch(acting_site: Site, database: Path) -> None:
    """Start DBOS on `database` (made if missing), from the running event loop; it takes up what was unfinished."""
    database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _Bound.site = acting_site
    _Bound.engine = sqlite_engine(database)
    config: DBOSConfig = {
        "name": "farshore",
        "system_database_url": f"sqlite:///{database}",
        "system_database_engine": _Bound.engine,
        "application_version": APPLICATION_VERSION,
        "executor_id": acting_site.id,
        "serializer": JsonSerializer(),
        "log_level": "WARNING",
    }
    logging.getLogger("dbos").setLevel(logging.WARNING)
    DBOS(config=config)
    DBOS.launch()


def shut_down() -> None:
    """Stop DBOS without waiting: what is unfinished is taken up at the next start."""
    DBOS.destroy(workflow_completion_timeout_sec=0)
    if _Bound.engine is not None:
        _Bound.engine.dispose()
    _Bound.site = _Bound.engine = None


async def start(workflow: Workflow, task_id: str) -> None:
    """Start the workflow for that task; started before is fine."""
    with SetWorkflowID(task_id):
        await DBOS.start_workflow_async(workflow, task_id)


async def forget(task_ids: list[str]) -> None:
    """Remove the record of these tasks' steps, for good; none is fine."""
    if task_ids:
        await DBOS.delete_workflows_async(task_ids)


def step(function: Callable[Parameters, Awaitable[Result]]) -> Callable[Parameters, Awaitable[Result]]:
    """A step: recorded when done, run again when the process was killed in it.

    What it raises is a FarshoreError always, so that the workflow can undo; anything else is a fault of ours.
    """

    @functools.wraps(function)
    async def guarded(*arguments: Parameters.args, **named: Parameters.kwargs) -> Result:
        try:
            return await function(*arguments, **named)
        except FarshoreError:
            raise
        except Exception as error:
            log.exception("a step failed unexpectedly", step=function.__name__)
            fact = f"The step {function.__name__} failed unexpectedly: {error!r}."
            raise Fault(fact, "Look at the manager's log.") from error

    # DBOS types a step of a coroutine function as less than it is.
    return cast("Callable[Parameters, Awaitable[Result]]", DBOS.step(name=function.__name__)(guarded))


def stoppable_step(
    function: Callable[Parameters, Coroutine[Any, Any, Result]],
) -> Callable[Concatenate[str, Parameters], Awaitable[Result]]:
    """A step that is called with its task first, and does nothing more once that task has been ended from outside.

    A failover ends a move so, and a row of a higher epoch ends whatever was under way [I7, I8].
    """

    @functools.wraps(function)
    async def watched(task_id: str, *arguments: Parameters.args, **named: Parameters.kwargs) -> Result:
        await _demand_live(task_id)
        work = asyncio.ensure_future(function(*arguments, **named))
        try:
            while not (await asyncio.wait({work}, timeout=LOOK_SECONDS))[0]:
                await _demand_live(task_id)
            return work.result()
        finally:
            work.cancel()
            await asyncio.wait({work})

    # mypy cannot tell that a named first argument, given by place, is a Concatenate.
    return cast("Callable[Concatenate[str, Parameters], Awaitable[Result]]", step(watched))


async def _demand_live(task_id: str) -> None:
    task = await in_thread(site().tasks.get, task_id)
    if task is None or not task.live:
        raise Conflict(f"The task was ended: {task.reason if task else 'it is not there any more'}")


def workflow(name: str) -> Callable[[Workflow], Workflow]:
    """A workflow of that name (kept for ever); its one argument is its task's identifier, which is its own too."""

    def register(function: Workflow) -> Workflow:
        @functools.wraps(function)
        async def noted(task_id: str) -> None:
            _Bound.running.add(task_id)
            try:
                await function(task_id)
            finally:
                _Bound.running.discard(task_id)

        decorated: Workflow = DBOS.workflow(name=name)(noted)
        return decorated

    return register


async def in_thread(function: Callable[..., Result], *arguments: Any, **named: Any) -> Result:
    """Call a blocking method of the site's tables."""
    return await asyncio.to_thread(function, *arguments, **named)
