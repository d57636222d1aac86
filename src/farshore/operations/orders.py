"""Orders: taken here or passed on to the site that must act, and taken up again after a kill.

An order's task is durable before its identifier is given out. Passed on, it keeps its identifier, so that sending it
again never starts it twice [I8]: refused there, refused here; not connected, refused here; no answer in 2 s, the task
is given out and ends as Failed if the other site says that it had not begun.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import structlog
from dbos import DBOS

from farshore.errors import Conflict, FarshoreError, NotPermitted, Unavailable
from farshore.model.actions import Action
from farshore.model.task import TaskType, new_task_id
from farshore.operations import admission, admission_clone, admission_recovery
from farshore.operations.admission_recovery import admit_commit, admit_rollback, demand_idle
from farshore.operations.admission_steering import admit_steering
from farshore.operations.admission_update import admit_update
from farshore.operations.clone import clone
from farshore.operations.clone_abort import clone_abort
from farshore.operations.engine import Workflow, in_thread, start
from farshore.operations.failover import failover
from farshore.operations.failover_commit import failover_commit
from farshore.operations.failover_rollback import failover_rollback
from farshore.operations.failover_test import failover_test
from farshore.operations.failover_test_stop import failover_test_stop
from farshore.operations.forcesync import forcesync
from farshore.operations.insert_checkpoint import insert_checkpoint
from farshore.operations.move import move
from farshore.operations.move_commit import move_commit
from farshore.operations.move_rollback import move_rollback
from farshore.operations.pause import pause
from farshore.operations.protect import protect
from farshore.operations.remove_vpg import remove_vpg
from farshore.operations.resume import resume
from farshore.operations.reverse_protection import reverse_protection
from farshore.operations.update_vpg import update_vpg
from farshore.site.clock import now_ns
from farshore.site.peer_client import PeerSilent
from farshore.site.peer_server import Call
from farshore.site.site import Site
from farshore.site.tasks import TaskRow
from farshore.site.vpgs import RowChanged

FOLLOW_AFTER_SECONDS = 3.0
"""An order that was not answered is asked after when it is that old: before, it may still be on its way."""
ATTEMPTS_MAX = 4
ADMISSION_SECONDS = 2.2
"""So long it may take to find out whether an order is possible: a client gives its call up after 3 s."""
UNANSWERED = "Passed on to the other site, which has not answered yet."

log = structlog.get_logger("orders")


@dataclass(frozen=True)
class Kind:
    """A kind of order."""

    workflow: Workflow
    admit: Callable[[Site, TaskRow], Awaitable[admission.Admitted]]
    changing: bool
    supersedes: bool = False
    """Whether its admission may end what runs in its favour; any other changing one is refused then."""


KINDS: dict[str, Kind] = {
    TaskType.CreateProtectionGroup.value: Kind(protect, admission.admit_protect, changing=True),
    TaskType.RemoveProtectionGroup.value: Kind(remove_vpg, admission.admit_remove, changing=True),
    TaskType.InsertTaggedCP.value: Kind(insert_checkpoint, admission.admit_checkpoint, changing=False),
    TaskType.FailOverTest.value: Kind(failover_test, admission.admit_failover_test, changing=False),
    TaskType.StopFailOverTest.value: Kind(failover_test_stop, admission.admit_failover_test_stop, changing=False),
    TaskType.Clone.value: Kind(clone, admission_clone.admit_clone, changing=False),
    TaskType.AbortClone.value: Kind(clone_abort, admission_clone.admit_clone_abort, changing=False),
    TaskType.FailOver.value: Kind(failover, admission_recovery.admit_failover, changing=True, supersedes=True),
    TaskType.FailoverCommit.value: Kind(failover_commit, admit_commit(Action.FailoverCommit), changing=True),
    TaskType.FailoverRollback.value: Kind(failover_rollback, admit_rollback(Action.FailoverRollback), changing=True),
    TaskType.Move.value: Kind(move, admission_recovery.admit_move, changing=True),
    TaskType.MoveCommit.value: Kind(move_commit, admit_commit(Action.MoveCommit), changing=True),
    TaskType.MoveRollback.value: Kind(move_rollback, admit_rollback(Action.MoveRollback), changing=True),
    TaskType.PauseProtectionGroup.value: Kind(pause, admit_steering(Action.Pause), changing=True),
    TaskType.ResumeProtectionGroup.value: Kind(resume, admit_steering(Action.Resume), changing=True),
    TaskType.ForceSync.value: Kind(forcesync, admit_steering(Action.ForceSync), changing=True),
    TaskType.UpdateProtectionGroup.value: Kind(update_vpg, admit_update, changing=True),
}
PROTECT_BACK = Kind(reverse_protection, admission_recovery.admit_protect_back, changing=True)
"""What the commit of settings is for a VPG that needs configuration: the same type of task."""


def kind_of(task: TaskRow) -> Kind:
    """What an order is. Raises KeyError for a type that is none."""
    if task.type == TaskType.UpdateProtectionGroup.value and "update" not in task.request:
        return PROTECT_BACK
    return KINDS[task.type]


class Orders:
    """The way in for all orders of one site."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def calls(self) -> dict[str, Call]:
        """What other sites may ask."""
        return {"order": self.answer_order, "task": self.answer_task}

    async def place(self, kind: TaskType, vpg_id: str, runs_at: str, request: dict[str, Any], who: str) -> str:
        """Take the order, or pass it on; gives the task's identifier. Raises what refuses it."""
        task_id = new_task_id(self._site.id)
        changing = KINDS[kind.value].changing
        task = TaskRow(task_id, kind.value, runs_at, changing=changing, vpg_id=vpg_id, who=who, request=request)
        if runs_at == self._site.id:
            await self._take(task)
        else:
            await self._pass_on(task)
        return task_id

    async def _take(self, task: TaskRow) -> None:
        """Admit, make durable, start. An order that is known is not begun again."""
        if await in_thread(self._site.tasks.get, task.id) is None and await self._begin(task):
            log.info("order taken", task=task.id, type=task.type, vpg=task.vpg_id, who=task.who)
            await start(kind_of(task).workflow, task.id)

    async def _begin(self, task: TaskRow) -> bool:
        """Admit and make durable; decided anew when the VPG changed between the two. Raises what refuses it."""
        kind = kind_of(task)
        deadline = asyncio.get_running_loop().time() + ADMISSION_SECONDS
        for attempt in range(1, ATTEMPTS_MAX + 1):
            await self._demand_idle(kind, task)
            try:
                async with asyncio.timeout_at(deadline):
                    admitted = await kind.admit(self._site, task)
            except TimeoutError as error:
                fact = f"Whether {task.type} is possible was not to be told within {ADMISSION_SECONDS:g} s."
                raise Unavailable(fact, "Nothing was begun; look at the sites' appliances, then repeat it.") from error
            except Conflict:
                await self._demand_idle(kind, task)  # what has begun between the two looks is named by its own task
                raise
            begin = self._site.tasks.begin
            try:
                return await in_thread(begin, admitted.task, admitted.also, supersedes=admitted.supersedes)
            except RowChanged:
                if attempt == ATTEMPTS_MAX:
                    raise
        return False

    async def _demand_idle(self, kind: Kind, task: TaskRow) -> None:
        if kind.changing and not kind.supersedes:
            running = await demand_idle(self._site, task.vpg_id)
            if running is not None:
                fact = f"The VPG is busy with {running.type} (task {running.id})."
                raise Conflict(fact, "Wait until that task has ended.")

    async def _pass_on(self, task: TaskRow) -> None:
        row = await in_thread(self._site.vpgs.get, task.vpg_id)
        # Here the row is not "changing": the site that carries it out decides what excludes what.
        own = replace(task, changing=False, vpg_name=row.vpg.name if row else "", note=UNANSWERED)
        await in_thread(self._site.tasks.begin, own)
        try:
            told = await self._site.client.call(task.runs_at, "order", {"task": task.to_json()})
        except PeerSilent:
            return
        except FarshoreError:
            await in_thread(self._site.tasks.withdraw, task.id)
            raise
        await in_thread(self._site.tasks.copy_end, TaskRow(**told))

    async def answer_order(self, caller: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Another site passes on an order that this one must carry out."""
        task = replace(TaskRow(**arguments["task"]), runs_at=self._site.id)
        if task.type not in KINDS or not task.id.endswith(f".{caller}"):
            raise NotPermitted("This is no order of that site.", "Bring both sites to one version.")
        if task.type == TaskType.CreateProtectionGroup.value:
            involved = {task.request["order"]["protected_site_id"], task.request["order"]["recovery_site_id"]}
        else:
            vpg = (await in_thread(self._site.vpg, task.vpg_id)).vpg
            involved = {vpg.protected_site_id, vpg.recovery_site_id}
        if caller not in involved:
            raise NotPermitted("The VPG is not that site's.", "")
        await self._take(task)
        taken = await in_thread(self._site.tasks.get, task.id)
        return (taken or task).to_json()

    async def answer_task(self, caller: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """How a task stands that another site passed on; an unknown one will not be begun any more."""
        task_id = str(arguments["task_id"])
        if not task_id.endswith(f".{caller}"):
            raise NotPermitted("This is no task of that site.", "")
        await in_thread(self._site.tasks.bar, task_id, self._site.id)
        task = await in_thread(self._site.tasks.get, task_id)
        assert task is not None
        return task.to_json()

    async def follow(self, task: TaskRow) -> TaskRow:
        """Ask the other site how a passed-on task stands, and write it down; as it was when there is no answer."""
        try:
            told = TaskRow(**await self._site.client.call(task.runs_at, "task", {"task_id": task.id}))
        except Unavailable:
            return task
        await in_thread(self._site.tasks.copy_end, told)
        return await in_thread(self._site.tasks.get, task.id) or task

    async def follow_known(self, task: TaskRow) -> TaskRow:
        """As `follow`, but a task that may still be on its way is left alone."""
        old = now_ns() - task.started_ns > FOLLOW_AFTER_SECONDS * 1e9
        return await self.follow(task) if old or task.note != UNANSWERED else task

    async def resume(self) -> None:
        """After a start: begin what was ordered and not begun, end what cannot be gone on with."""
        for task in await in_thread(self._site.tasks.unfinished):
            if task.runs_at != self._site.id:
                continue
            if task.type not in KINDS:
                reason = "It was interrupted: the manager was started again. Repeat it (pairing: with the same token)."
                await in_thread(self._site.tasks.fail, task.id, reason)
            elif await DBOS.get_workflow_status_async(task.id) is None:
                log.info("order begun after a restart", task=task.id, type=task.type)
                await start(kind_of(task).workflow, task.id)
            else:
                log.info("operation goes on after a restart", task=task.id, type=task.type)


async def follow_all(orders: Orders, site: Site) -> None:
    """Follow every passed-on task that is old enough to be asked after."""
    waiting = [task for task in await in_thread(site.tasks.unfinished) if task.runs_at != site.id]
    await asyncio.gather(*(orders.follow_known(task) for task in waiting))
