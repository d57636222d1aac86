"""`farshore task`: what was ordered, how far it is, how it ended."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from farshore.cli.client import SiteClient
from farshore.cli.options import command
from farshore.cli.output import Output

app = typer.Typer(help="Tasks: what was ordered, how far it is, how it ended.", no_args_is_help=True)

COLUMNS = ("task", "type", "state", "%", "started", "completed", "by", "reason")


def task_row(task: dict[str, Any]) -> tuple[Any, ...]:
    """A task as a row of `COLUMNS`."""
    from farshore.cli.names import task_state_name

    status = task["Status"]
    return (
        task["TaskIdentifier"],
        task["Type"],
        task_state_name(int(status["State"])),
        status.get("Progress"),
        task.get("Started"),
        task.get("Completed"),
        task.get("InitiatedBy"),
        task.get("CompleteReason"),
    )


@command(app, "list")
def list_tasks(
    api: SiteClient,
    out: Output,
    task_type: Annotated[str | None, typer.Option("--type", help="Only this type, such as FailOverTest.")] = None,
    state: Annotated[str | None, typer.Option("--state", help="Only this state, such as InProgress.")] = None,
) -> None:
    """List the tasks of the site, newest first."""
    tasks = api.get("/tasks", type=task_type, status=state)
    tasks.sort(key=lambda task: task.get("Started") or "", reverse=True)
    out.table(tasks, COLUMNS, [task_row(task) for task in tasks], empty="No tasks.")


@command(app, "watch")
def watch_task(
    api: SiteClient,
    out: Output,
    task: Annotated[str, typer.Argument(metavar="TASK", help="The task's identifier.")],
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds after which to stop watching.", min=0)] = 900.0,
) -> None:
    """Wait until a task has ended; exit code 1 when it failed."""
    from farshore.cli.waiting import wait_for_task

    done = wait_for_task(api, task, out, timeout_seconds=timeout)
    out.table(done, COLUMNS, [task_row(done)])
