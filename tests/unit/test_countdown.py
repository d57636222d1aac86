"""The time in Before Commit: counted by the monotonic clock whatever the wall clock does, and told before [I19]."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from farshore.errors import Conflict
from farshore.manager import countdown as counting
from farshore.manager.countdown import Countdown
from farshore.model.policies import CommitPolicy, ShutdownPolicy
from farshore.model.recovery import Recovery
from farshore.model.vpg import Vpg
from farshore.site.site import Site, open_site
from farshore.site.vpgs import VpgRow
from tests.fake_appliance import FakeAppliance
from tests.faked_site import prepared
from tests.operations_harness import NORTH, VPG

DAY = 86400.0


@dataclass
class Clocks:
    """A monotonic and a wall clock, each moved by hand."""

    monotonic: float = 1000.0
    wall: float = 1.7e9

    def pass_by(self, seconds: float) -> None:
        """Time passes, by both."""
        self.monotonic += seconds
        self.wall += seconds


@dataclass
class MadeOrders:
    """Notes what was ordered."""

    placed: list[tuple[str, dict[str, Any], str]] = field(default_factory=list)
    refuse: bool = False

    async def place(self, kind: Any, _vpg_id: str, _at: str, request: dict[str, Any], who: str) -> str:
        """As Orders.place."""
        if self.refuse:
            raise Conflict("busy")
        self.placed.append((kind.value, request, who))
        return "task"


@dataclass
class Bench:
    """A site with a VPG in Before Commit for 1,000 s, and clocks."""

    site: Site
    orders: MadeOrders
    clocks: Clocks

    def counter(self) -> Countdown:
        """As a manager that starts now has it."""
        wall_ns = lambda: int(self.clocks.wall * 1e9)  # noqa: E731
        return Countdown(self.site, self.orders, lambda: self.clocks.monotonic, wall_ns)  # type: ignore[arg-type]

    def turn(self, counter: Countdown, seconds: float = 0.0) -> None:
        """That much time passes, then a turn."""
        self.clocks.pass_by(seconds)
        asyncio.run(counter.turn())

    @property
    def left(self) -> float:
        """What is saved."""
        deadline = self.site.deadlines.get(VPG)
        assert deadline is not None
        return deadline.seconds_left

    @property
    def told(self) -> str:
        """The alert's words."""
        return " ".join(alert.fact for alert in self.site.alerts.all())


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Policy Rollback; the protected site is away."""
    tmp_path = prepared(tmp_path)
    site = open_site(tmp_path, FakeAppliance(tmp_path / "south.json"))
    clocks = Clocks()
    monkeypatch.setattr("farshore.site.deadlines.now_ns", lambda: int(clocks.wall * 1e9))
    made = Bench(site, MadeOrders(), clocks)
    put(made, CommitPolicy.Rollback, 1000)
    return made


def put(bench: Bench, policy: CommitPolicy, seconds: int) -> None:
    """The VPG in Before Commit of a failover."""
    recovery = Recovery(
        kind="failover",
        stage="before_commit",
        task_id=f"t{seconds}",
        operation="o",
        vm_ids=(),
        commit_policy=policy,
        policy_seconds=seconds,
        shutdown_policy=ShutdownPolicy.None_,
        reverse_protection=True,
    )
    here = bench.site.id
    vpg = Vpg(
        id=VPG, name="shop", protected_site_id=NORTH, recovery_site_id=here, owner_site_id=here, recovery=recovery
    )
    bench.site.vpgs.remove(VPG)
    bench.site.vpgs.put(VpgRow(vpg, "active"))
    with bench.site.database.transaction() as connection:
        bench.site.deadlines.begin(connection, VPG, float(seconds))


def test_it_is_carried_out_when_the_time_is_over_and_once(bench: Bench) -> None:
    """Not a second before; refused because something still runs, it is tried again."""
    counter = bench.counter()
    bench.turn(counter)
    bench.turn(counter, 999)
    assert bench.orders.placed == []
    bench.orders.refuse = True
    bench.turn(counter, 1)
    bench.orders.refuse = False
    bench.turn(counter, 1)
    assert bench.orders.placed == [("FailoverRollback", {"keep": True}, counting.WHO)]


def test_what_is_rolled_back_with_the_other_site_there_is_not_kept(bench: Bench) -> None:
    """The protected VMs go on there: that is what was asked for."""
    counter = bench.counter()
    bench.turn(counter)
    bench.site.peers.heard(NORTH)
    bench.turn(counter, 1001)
    assert bench.orders.placed == [("FailoverRollback", {"keep": False}, counting.WHO)]


@pytest.mark.parametrize("leap", [2 * DAY, -DAY])
def test_a_clock_that_steps_changes_nothing(bench: Bench, leap: float) -> None:
    """I19: two days forward, or back, while the manager runs."""
    counter = bench.counter()
    bench.turn(counter)
    bench.clocks.wall += leap
    bench.turn(counter, 100)
    assert bench.orders.placed == []
    assert bench.left == pytest.approx(900)
    bench.turn(counter, 900)
    assert len(bench.orders.placed) == 1


def test_a_restart_loses_at_most_ten_seconds(bench: Bench) -> None:
    """It is saved each 10 s, and time with no manager counts by the wall clock."""
    counter = bench.counter()
    for _ in range(100):
        bench.turn(counter, 1)
    assert 900 <= bench.left <= 910
    bench.clocks.pass_by(400)  # nobody runs
    bench.clocks.monotonic = 5.0  # the machine was started anew
    counter = bench.counter()
    bench.turn(counter)
    assert bench.left == pytest.approx(500, abs=11)
    bench.clocks.wall -= DAY  # back, before the next start: nothing is added
    counter = bench.counter()
    bench.turn(counter)
    assert bench.left == pytest.approx(500, abs=11)


@pytest.mark.parametrize("away", [2000.0, 2 * DAY])
def test_a_deadline_that_passed_while_nobody_ran_is_told_first(bench: Bench, away: float) -> None:
    """I19: carried out 5 min after the alert; the same for a wall clock that leapt."""
    bench.turn(bench.counter())
    bench.clocks.pass_by(away)
    counter = bench.counter()
    bench.turn(counter)
    assert bench.orders.placed == []
    assert "ran out while no manager ran" in bench.told
    bench.turn(counter, 299)
    assert bench.orders.placed == []
    bench.turn(counter, 1)
    assert len(bench.orders.placed) == 1


def test_a_rollback_onto_a_site_that_is_away_is_told_at_half_time_and_5_min_before(bench: Bench) -> None:
    """Each once, though the manager is started again in between."""
    counter = bench.counter()
    bench.turn(counter)
    bench.turn(counter, 499)
    assert bench.told == ""
    bench.turn(counter, 2)
    assert "rolled back by itself in 8 min" in bench.told
    bench.site.alerts.clear(f"deadline {VPG}")
    counter = bench.counter()
    bench.turn(counter, 100)
    assert bench.told == ""
    bench.turn(counter, 100)
    assert "rolled back by itself in 5 min" in bench.told
    with bench.site.database.transaction() as connection:
        bench.site.deadlines.end(connection, VPG)  # somebody has committed it
    bench.turn(counter, 1)
    assert bench.told == ""


def test_nothing_is_told_when_nothing_is_lost(bench: Bench) -> None:
    """The protected site answers, or the policy is Commit."""
    bench.site.peers.heard(NORTH)
    counter = bench.counter()
    bench.turn(counter)
    bench.turn(counter, 990)
    assert bench.told == ""
    put(bench, CommitPolicy.Commit, 1000)
    counter = bench.counter()
    bench.turn(counter)
    bench.turn(counter, 1000)
    assert bench.told == ""
    assert bench.orders.placed == [
        ("FailoverCommit", {"reverse_protection": None, "keep_source_vms": None}, counting.WHO)
    ]


def test_zero_seconds_are_carried_out_at_once(bench: Bench) -> None:
    """F3."""
    counter = bench.counter()
    bench.turn(counter)
    put(bench, CommitPolicy.Rollback, 0)
    bench.turn(counter)
    bench.turn(counter)
    assert bench.orders.placed[0][0] == "FailoverRollback"
