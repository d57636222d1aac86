"""The time in Before Commit runs out: the policy is carried out by itself, after words of warning [F2, M2, I19].

Seconds are counted by the monotonic clock and saved every 10 s, so no clock that steps ends or stretches them. Time in
which no manager was alive counts by the wall clock, but a deadline that passed in it is told first, and carried out
only `overdue_seconds` later.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from farshore.errors import Conflict, FarshoreError
from farshore.model.policies import CommitPolicy
from farshore.model.recovery import Recovery
from farshore.model.task import TaskType
from farshore.model.vpg import Vpg
from farshore.operations.orders import Orders
from farshore.site.alerts import HINDERED
from farshore.site.clock import now_ns
from farshore.site.deadlines import Deadline
from farshore.site.site import Site

SAVE_SECONDS = 10.0
LAST_WORD_SECONDS = 300.0
"""How long before an automatic rollback with nobody at the other site the last alert comes."""
WHO = "the commit policy"
ALERT = "deadline "
HALF_TOLD, LAST_TOLD = 1, 2

log = structlog.get_logger("countdown")


class Countdown:
    """Counts all that is in Before Commit at this site."""

    def __init__(
        self,
        site: Site,
        orders: Orders,
        monotonic: Callable[[], float] = time.monotonic,
        wall_ns: Callable[[], int] = now_ns,
    ) -> None:
        """The clocks are the machine's but in tests."""
        self._site = site
        self._orders = orders
        self._monotonic = monotonic
        self._wall_ns = wall_ns
        self._left: dict[str, float] = {}
        self._saved: dict[str, float] = {}
        self._at = monotonic()
        self._first = True

    async def turn(self) -> None:
        """Count what has passed since the last turn, warn, save, and carry out what is due."""
        now = self._monotonic()
        passed, self._at = max(0.0, now - self._at), now
        deadlines = await asyncio.to_thread(self._running)
        saving: list[tuple[str, float, int]] = []
        due: list[tuple[Vpg, Recovery]] = []
        for deadline, vpg, recovery in deadlines:
            left, told = await self._count(deadline, vpg, recovery, passed)
            if told != deadline.told or now - self._saved.get(recovery.task_id, float("-inf")) >= SAVE_SECONDS:
                saving.append((vpg.id, max(0.0, left), told))
                self._saved[recovery.task_id] = now
            if left <= 0:
                due.append((vpg, recovery))
        for gone in self._left.keys() - {recovery.task_id for _, _, recovery in deadlines}:
            del self._left[gone]
            self._saved.pop(gone, None)
        self._first = False
        await asyncio.to_thread(self._site.deadlines.save, saving)
        for vpg, recovery in due:
            await self._carry_out(vpg, recovery)
        await asyncio.to_thread(self._clear_alerts, {deadline.vpg_id for deadline, _, _ in deadlines})
        await asyncio.to_thread(self._clear_hindered)

    def _running(self) -> list[tuple[Deadline, Vpg, Recovery]]:
        """What counts, with the failover or move of which it is."""
        found = []
        for deadline in self._site.deadlines.all():
            row = self._site.vpgs.get(deadline.vpg_id)
            if row is not None and row.vpg.recovery is not None:
                found.append((deadline, row.vpg, row.vpg.recovery))
        return found

    def _clear_alerts(self, counted: set[str]) -> None:
        """What was told of a deadline goes with it, whoever ended it."""
        for alert in self._site.alerts.all():
            if alert.key.startswith(ALERT) and alert.vpg_id not in counted:
                self._site.alerts.clear(alert.key)

    def _clear_hindered(self) -> None:
        """That a commit or rollback failed is told until the failover or move has ended."""
        for alert in self._site.alerts.all():
            if alert.key.startswith(HINDERED):
                row = self._site.vpgs.get(alert.vpg_id)
                if row is None or row.vpg.recovery is None:
                    self._site.alerts.clear(alert.key)

    async def _count(self, deadline: Deadline, vpg: Vpg, recovery: Recovery, passed: float) -> tuple[float, int]:
        """What is left, and which alert was given. Counted by the task of the failover or move."""
        told, task_id = deadline.told, recovery.task_id
        if task_id in self._left:
            left = self._left[task_id] - passed
        elif self._first:
            left, told = await self._taken_up(deadline, vpg, recovery)
        else:
            left = deadline.seconds_left
        self._left[task_id] = left
        return left, await self._warn(vpg, recovery, left, told)

    async def _taken_up(self, deadline: Deadline, vpg: Vpg, recovery: Recovery) -> tuple[float, int]:
        """What is left at the first look after a start, and which alert was given."""
        away = max(0.0, (self._wall_ns() - deadline.saved_ns) / 1e9)
        left = deadline.seconds_left - away
        if left > 0:
            return left, deadline.told
        grace = self._site.config.settings.overdue_seconds
        fact = (
            f"The time of VPG {vpg.name} in Before Commit ran out while no manager ran: "
            f"{recovery.commit_policy.name} is carried out in {grace:g} s."
        )
        await self._alert(vpg, fact)
        return grace, LAST_TOLD

    async def _warn(self, vpg: Vpg, recovery: Recovery, left: float, told: int) -> int:
        """Alert at half-time, and shortly before the end, of a rollback onto a site that is not there."""
        at_risk = recovery.commit_policy is CommitPolicy.Rollback
        if not at_risk or self._site.peers.connected(vpg.protected_site_id):
            return told
        due = LAST_TOLD if left <= LAST_WORD_SECONDS else HALF_TOLD if left <= recovery.policy_seconds / 2 else 0
        if due > told and left > 0:
            where = await asyncio.to_thread(self._site.site_name, vpg.protected_site_id)
            fact = (
                f"VPG {vpg.name} is rolled back by itself in {max(1, round(left / 60))} min, though site {where} "
                "does not answer: the recovered VMs and their writes will be gone."
            )
            await self._alert(vpg, fact)
            return due
        return told

    async def _alert(self, vpg: Vpg, fact: str) -> None:
        remedy = "Commit it to keep the recovered VMs, or roll it back."
        key = ALERT + vpg.id
        await asyncio.to_thread(self._site.alerts.raise_alert, key, fact, remedy, level="error", vpg_id=vpg.id)

    async def _carry_out(self, vpg: Vpg, recovery: Recovery) -> None:
        commits, failover = recovery.commit_policy is CommitPolicy.Commit, recovery.kind == "failover"
        if commits:
            kind = TaskType.FailoverCommit if failover else TaskType.MoveCommit
        else:
            kind = TaskType.FailoverRollback if failover else TaskType.MoveRollback
        # What the failover or move said counts for its policy: None leaves it as it is in the row.
        away = not self._site.peers.connected(vpg.protected_site_id)
        request = {"reverse_protection": None, "keep_source_vms": None} if commits else {"keep": away}
        try:
            await self._orders.place(kind, vpg.id, self._site.id, request, WHO)
        except Conflict as error:  # its own start is just ending, or a person was faster
            log.info("the policy is not carried out yet", vpg=vpg.id, error=str(error))
        except FarshoreError as error:
            await self._alert(vpg, f"The commit policy of VPG {vpg.name} could not be carried out: {error}")
        else:
            await asyncio.to_thread(self._site.alerts.clear, ALERT + vpg.id)
