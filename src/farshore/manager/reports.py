"""Reports: what an operation did, from its task and from the durable record of its steps."""

from __future__ import annotations

import asyncio
from typing import Any

from dbos import DBOS

from farshore.errors import FarshoreError, Fault, NotFound, NotPermitted
from farshore.model.scripts import ScriptRun
from farshore.model.task import TaskState
from farshore.model.views import ReportStep, ReportView
from farshore.site.peer_server import Call
from farshore.site.site import Site
from farshore.site.tasks import TaskRow
from farshore.site.vpg_views import checkpoint_view

MS = 10**6
UNTOLD = "show_progress"
"""Steps that only say how far it is; no step of the work."""
SCRIPTS = ("pre_recovery_script", "post_recovery_script")


class Reports:
    """The reports of one site's operations, and the way to the other's."""

    def __init__(self, site: Site) -> None:
        """Reads only."""
        self._site = site

    def calls(self) -> dict[str, Call]:
        """What other sites may ask."""
        return {"report": self.answer_report}

    async def of(self, task_id: str) -> ReportView | None:
        """The report of a task, or None; that of a task that the other site carries out comes from there.

        Raises Unavailable.
        """
        task = await asyncio.to_thread(self._site.tasks.get, task_id)
        if task is None:
            return None
        if task.runs_at != self._site.id:
            told = await self._site.client.call(task.runs_at, "report", {"task_id": task_id})
            return ReportView.model_validate(told) if told else None
        return await self._own(task)

    async def without_steps(self, task_id: str) -> ReportView:
        """What the task alone tells of an operation. Raises NotFound."""
        task = await asyncio.to_thread(self._site.tasks.get, task_id)
        if task is None:
            raise NotFound(f"There is no task {task_id}.", "List them with GET /v1/tasks.")
        return await self._of_task(task)

    async def answer_report(self, caller: str, arguments: dict[str, Any]) -> dict[str, Any] | None:
        """The other site asks for the report of a task that it passed on."""
        task_id = str(arguments["task_id"])
        if not task_id.endswith(f".{caller}"):
            raise NotPermitted("This is no task of that site.", "")
        task = await asyncio.to_thread(self._site.tasks.get, task_id)
        return (await self._own(task)).model_dump(mode="json") if task else None

    async def _own(self, task: TaskRow) -> ReportView:
        steps = await DBOS.list_workflow_steps_async(task.id)
        checkpoint = next((s["output"] for s in reversed(steps) if _recovered_to(s)), None)
        ran = next((s["completed_at_epoch_ms"] for s in steps if s["function_name"] == "await_running"), None)
        rpo = None if checkpoint is None else max(0.0, (task.started_ns - int(checkpoint["time_ns"])) / 1e9)
        found = {
            "checkpoint": checkpoint_view(checkpoint) if checkpoint else None,
            "rpo_seconds": rpo,
            "rto_seconds": None if ran is None else max(0.0, (ran * MS - task.started_ns) / 1e9),
            "steps": tuple(_step(step) for step in steps if step["function_name"] != UNTOLD),
            "scripts": tuple(run for run in map(_script_run, steps) if run is not None),
        }
        return (await self._of_task(task)).model_copy(update=found)

    async def _of_task(self, task: TaskRow) -> ReportView:
        protected, recovery = await asyncio.to_thread(self._site_names, task.request)
        return ReportView(
            task_id=task.id,
            type=task.type,
            vpg_id=task.vpg_id,
            vpg_name=task.vpg_name,
            protected_site_name=protected,
            recovery_site_name=recovery,
            who=task.who,
            state=TaskState(task.state),
            started_ns=task.started_ns,
            completed_ns=task.completed_ns,
            reason=task.reason,
            note=task.note,
            vms=_vm_names(task.request),
        )

    def _site_names(self, request: dict[str, Any]) -> list[str]:
        """Of the protected and the recovery site as the order found the VPG; empty where it does not say."""
        vpg = request.get("vpg") or {}
        ids = [vpg.get(member) for member in ("protected_site_id", "recovery_site_id")]
        return [self._site.site_name(site_id) if site_id else "" for site_id in ids]


def _recovered_to(step: Any) -> bool:
    """Whether it pinned a checkpoint; the last such step pinned the one that was recovered."""
    return step["function_name"] == "pin_checkpoint" and isinstance(step["output"], dict)


def _script_run(step: Any) -> ScriptRun | None:
    """What came of the script, if that is such a step and has ended."""
    if step["function_name"] not in SCRIPTS or not isinstance(step["output"], dict):
        return None
    return ScriptRun.model_validate(step["output"])


def _step(step: Any) -> ReportStep:
    error = step["error"]
    script = _script_run(step)
    if error is None and script is not None and script.failure:
        error = Fault(script.failure)
    started, completed = step["started_at_epoch_ms"], step["completed_at_epoch_ms"]
    return ReportStep(
        name=step["function_name"].replace("_", " "),
        started_ns=(started or 0) * MS,
        completed_ns=None if completed is None else completed * MS,
        error="" if error is None else str(error) if isinstance(error, FarshoreError) else repr(error),
    )


def _vm_names(request: dict[str, Any]) -> tuple[str, ...]:
    vpg = request.get("vpg") or {}
    wanted = (vpg.get("recovery") or {}).get("vm_ids") or request.get("vm_ids")
    return tuple(vm["vm_name"] for vm in vpg.get("vms", []) if not wanted or vm["vm_id"] in wanted)
