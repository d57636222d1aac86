"""Orders of failover and move: what is taken when, who gives way to whom, and what each end leaves."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from farshore.errors import BadInput, Conflict, FarshoreError, Unavailable
from farshore.manager.recovery_services import RecoveryServices
from farshore.manager.row_keeping import RowKeeping
from farshore.model.actions import Situation
from farshore.model.policies import CommitPolicy, ShutdownPolicy
from farshore.model.task import TaskType
from farshore.model.views import VpgOrder
from farshore.operations.situations import stand
from farshore.operations.steps import halt_vms
from farshore.site.peer_calls import PeerCalls
from tests.faked_site import FakedSite, until, with_site
from tests.kill_points import COMPLETED, FAILED, STOPPED
from tests.operations_harness import AWAY, BACK, NORTH, VPG

NONE_KEPT: dict[str, Any] = {"reverse_protection": False, "keep_source_vms": None}


async def refused(faked: FakedSite, kind: TaskType, request: dict[str, Any]) -> str:
    """The words of the Conflict that refuses the order."""
    with pytest.raises(Conflict) as caught:
        await faked.place(kind, request)
    return str(caught.value)


def test_ten_orders_at_once_make_one_failover(tmp_path: Path) -> None:
    """G8, CA11: one is taken, nine are refused naming it; one recovered VM each. The same for commit."""

    async def test(faked: FakedSite) -> None:
        for _ in range(2):
            results = await asyncio.gather(*(faked.failover() for _ in range(10)), return_exceptions=True)
            taken = [result for result in results if isinstance(result, str)]
            assert len(taken) == 1
            assert all(taken[0] in str(error) for error in results if isinstance(error, Conflict))
            assert sum(isinstance(error, Conflict) for error in results) == 9
            assert (await faked.ended(taken[0])).state == COMPLETED
            assert [len(vms) for vms in faked.south.state()["recovered"].values()] == [2]
            task = await faked.place(TaskType.FailoverRollback, {})
            assert (await faked.ended(task)).state == COMPLETED
        await faked.ended(await faked.failover())
        orders = [faked.place(TaskType.FailoverCommit, {"reverse_protection": False}) for _ in range(10)]
        results = await asyncio.gather(*orders, return_exceptions=True)
        [taken] = [result for result in results if isinstance(result, str)]
        assert sum(isinstance(error, Conflict) for error in results) == 9
        assert (await faked.ended(taken)).state == COMPLETED
        assert len(faked.south.state()["adopted"]) == 2

    with_site(tmp_path, test)


def test_what_before_commit_refuses(tmp_path: Path) -> None:
    """G12: of a failover all but its commit and rollback, DELETE too; of a move all but its own."""
    everything: dict[TaskType, dict[str, Any]] = {
        TaskType.InsertTaggedCP: {"name": "x"},
        TaskType.FailOverTest: {"checkpoint_id": None, "vm_ids": None},
        TaskType.StopFailOverTest: {"success": True, "summary": None, "test_task": None},
        TaskType.RemoveProtectionGroup: {"force": True, "keep_recovery_volumes": False},
        TaskType.UpdateProtectionGroup: {},
    }
    ends: dict[str, dict[TaskType, dict[str, Any]]] = {
        "failover": {TaskType.FailoverCommit: {"reverse_protection": None}, TaskType.FailoverRollback: {}},
        "move": {TaskType.MoveCommit: NONE_KEPT, TaskType.MoveRollback: {}},
    }

    async def test(faked: FakedSite) -> None:
        for kind, request in {**ends["failover"], **ends["move"]}.items():
            assert "is not in Before Commit" in await refused(faked, kind, request)
        for begun, other in (("failover", "move"), ("move", "failover")):
            task = await (faked.failover() if begun == "failover" else faked.move())
            assert (await faked.ended(task)).state == COMPLETED
            for kind, request in {**everything, **ends[other]}.items():
                await refused(faked, kind, request)
            for again in (faked.failover, faked.move):
                with pytest.raises(Conflict, match=task):
                    await again()
            rollback = TaskType.FailoverRollback if begun == "failover" else TaskType.MoveRollback
            assert (await faked.ended(await faked.place(rollback, {}))).state == COMPLETED

    with_site(tmp_path, test)


def test_some_vms_before_commit_leave_checkpoints_to_the_others(tmp_path: Path) -> None:
    """F7, G12: a tagged checkpoint is taken; the rollback leaves the epoch as it was."""

    async def test(faked: FakedSite) -> None:
        await faked.ended(await faked.failover(vm_ids=["name-vm2"]))
        assert (await faked.ended(await faked.place(TaskType.InsertTaggedCP, {"name": "x"}))).state == COMPLETED
        await faked.ended(await faked.place(TaskType.FailoverRollback, {}))
        assert (faked.vpg.epoch, faked.vpg.recovery) == (1, None)
        with pytest.raises(BadInput):
            await faked.failover(vm_ids=["nobody"])
        with pytest.raises(BadInput):
            await faked.failover(checkpoint_id="8")

    with_site(tmp_path, test)


def test_a_move_needs_the_other_site_and_no_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """M1: 409 when the site is away, in a sync, with a test running; nothing was begun."""

    async def test(faked: FakedSite) -> None:
        faked.north.appliance.silent = True
        with pytest.raises(Conflict, match="north"):
            await faked.move()
        faked.north.appliance.silent = False
        told = {"state": "syncing", "reason": "", "sync": {"kind": "delta"}, "link": "connected", "epoch": 1}
        with monkeypatch.context() as patch:
            patch.setattr(type(faked.south), "_protection_status", lambda *_a, **_k: told)
            with pytest.raises(Conflict, match="sync"):
                await faked.move()
        await faked.ended(await faked.place(TaskType.FailOverTest, {"checkpoint_id": None, "vm_ids": None}))
        with pytest.raises(Conflict, match="test running"):
            await faked.move()
        assert faked.vpg.recovery is None
        assert faked.north.appliance.state()["halts"] == {}

    with_site(tmp_path, test)


def stubborn(faked: FakedSite, *vms: str) -> None:
    """These guests do not shut down unless forced."""
    north = faked.north.appliance
    north.save(north.state() | {"stubborn": list(vms)})


def test_a_failover_supersedes_a_move_that_is_not_in_before_commit(tmp_path: Path) -> None:
    """I7: the move ends as Stopped saying by whom, what it had is gone; what it halted runs again after a rollback."""

    async def test(faked: FakedSite) -> None:
        stubborn(faked, "vm1")
        move = await faked.move()
        await until(lambda: faked.north.appliance.state()["power"] == {"vm2": "halted"}, "the move did not halt")
        begun = asyncio.get_running_loop().time()
        failover = await faked.failover()
        task = await faked.ended(failover)
        assert asyncio.get_running_loop().time() - begun < 10
        assert task.state == COMPLETED, task.reason
        assert move in task.note
        stopped = await faked.ended(move)
        assert stopped.state == STOPPED
        assert failover in stopped.reason
        assert "tester" in stopped.reason
        recovery = faked.vpg.recovery
        assert recovery is not None
        assert (recovery.kind, recovery.stage) == ("failover", "before_commit")
        assert list(faked.south.state()["pins"]) == [recovery.operation]
        assert faked.north.appliance.state()["power"] == {"vm2": "halted"}
        assert (await faked.ended(await faked.place(TaskType.FailoverRollback, {}))).state == COMPLETED
        assert faked.north.appliance.state()["power"] == {}

    with_site(tmp_path, test)


@pytest.mark.parametrize("policy", [ShutdownPolicy.Shutdown, ShutdownPolicy.ForceShutdown])
def test_a_guest_that_does_not_shut_down(tmp_path: Path, policy: ShutdownPolicy) -> None:
    """F4, CA16: with 1 the failover fails with all as before, with 2 the VM is powered off and its writes recovered."""

    async def test(faked: FakedSite) -> None:
        settings = faked.site.config.settings.model_copy(update={"shutdown_seconds": 0.5})
        faked.site.config = faked.site.config.model_copy(update={"settings": settings})
        stubborn(faked, "vm1")
        task = await faked.ended(await faked.failover(shutdown_policy=int(policy)))
        power = faked.north.appliance.state()["power"]
        if policy is ShutdownPolicy.ForceShutdown:
            assert task.state == COMPLETED
            assert power == {"vm1": "halted", "vm2": "halted"}
            return
        assert task.state == FAILED
        assert "name-vm1 did not shut down within 0.5 s" in task.reason
        assert power == {}
        assert faked.vpg.recovery is None

    with_site(tmp_path, test)


def test_a_site_that_is_away_fails_a_shutdown_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CA6: with policy 1 Failed in bounded time, saying what works; with 0 not waited for. Debts are paid."""
    monkeypatch.setattr(halt_vms, "REACH_SECONDS", 0.6)
    monkeypatch.setattr(halt_vms, "REVIVE_SECONDS", 0.6)

    async def test(faked: FakedSite) -> None:
        faked.north.appliance.silent = True
        task = await faked.ended(await faked.failover(shutdown_policy=1))
        assert task.state == FAILED
        assert "None (0)" in task.reason
        assert faked.vpg.recovery is None
        assert [debt.call for debt in faked.site.debts.all()] == ["revive_vms"]
        task = await faked.ended(await faked.failover())
        assert task.state == COMPLETED
        assert faked.site.debts.all() == []  # the failover has taken it over: nothing runs there by itself now
        assert (await faked.ended(await faked.place(TaskType.FailoverRollback, {}))).state == COMPLETED
        assert [debt.call for debt in faked.site.debts.all()] == ["revive_vms"]
        faked.north.appliance.silent = False
        keeper = RowKeeping(faked.site, faked.orders)
        faked.hear()
        await keeper.turn()
        assert faked.site.debts.all() == []
        assert faked.north.appliance.state()["protect"][VPG]["epoch"] == faked.vpg.epoch == 3

    with_site(tmp_path, test)


def test_the_way_home_begins_by_itself_and_ownership_goes_over(tmp_path: Path) -> None:
    """F6: asked for, it begins when the other site is heard; the first checkpoint of the sync hands the VPG over."""

    async def test(faked: FakedSite) -> None:
        keeper = RowKeeping(faked.site, faked.orders)
        await faked.ended(await faked.failover(shutdown_policy=2))
        assert (await faked.ended(await faked.place(TaskType.FailoverCommit, BACK))).state == COMPLETED
        faked.site.peers._heard.clear()
        await keeper.turn()
        assert faked.site.tasks.unfinished() == []
        faked.hear()
        await keeper.turn()
        back = next(task for task in faked.site.tasks.newest(1))
        assert back.type == "UpdateProtectionGroup"
        assert (await faked.ended(back.id)).state == COMPLETED
        assert faked.vpg.owner_site_id == faked.site.id
        await keeper.turn()  # the fake lists a checkpoint at once
        assert (faked.vpg.way_home, faked.vpg.owner_site_id, faked.vpg.recovery_site_id) == (None, NORTH, NORTH)

    with_site(tmp_path, test)


def test_both_running_is_told_and_a_person_decides(tmp_path: Path) -> None:
    """CA7: nothing is powered off, held or written over; protecting back is refused naming the VM, until it is off."""

    async def test(faked: FakedSite) -> None:
        keeper = RowKeeping(faked.site, faked.orders)
        await faked.ended(await faked.failover())
        await faked.ended(await faked.place(TaskType.FailoverCommit, BACK))
        faked.hear()
        await keeper.turn()
        [alert] = [alert for alert in faked.site.alerts.all() if alert.key == f"both {VPG}"]
        assert "name-vm1, name-vm2" in alert.fact
        assert "both ran since 2001-09-09T01:46:40" in alert.fact
        assert faked.site.tasks.unfinished() == []  # not begun over running VMs
        services = RecoveryServices(faked.site, faked.orders)
        task = await faked.ended(await protect_back(faked, services))
        assert task.state == FAILED
        assert "name-vm1" in task.reason
        north = faked.north.appliance
        assert north.state()["held"] == north.state()["power"] == north.state()["keep"] == {}
        north.save(north.state() | {"power": {"vm1": "off", "vm2": "off"}})
        await keeper.turn()
        back = faked.site.tasks.newest(1)[0]
        assert (await faked.ended(back.id)).state == COMPLETED
        assert "hashes" in faked.site.tasks.newest(1)[0].note
        assert faked.south.state()["protect"][VPG]["delta"]
        assert faked.site.alerts.all() == []

    with_site(tmp_path, test)


async def protect_back(faked: FakedSite, services: RecoveryServices) -> str:
    """The settings commit that protects the VPG back as it is; gives the task."""
    vpg = faked.site.vpg(VPG).vpg
    order = VpgOrder(
        vpg_id=VPG,
        name=vpg.name,
        protected_site_id=vpg.protected_site_id,
        recovery_site_id=vpg.recovery_site_id,
        settings=vpg.settings,
    )
    return await services.update_vpg(order, "tester")


def test_a_vpg_that_needs_configuration(tmp_path: Path) -> None:
    """F6, G12: a settings commit protects it back; all but that and DELETE is refused; not without the other site."""

    async def test(faked: FakedSite) -> None:
        services = RecoveryServices(faked.site, faked.orders)
        await faked.ended(await faked.failover())
        await faked.ended(await faked.place(TaskType.FailoverCommit, {"reverse_protection": False}))
        assert Situation.NeedsConfiguration in (await stand(faked.site, faked.site.vpg(VPG))).situations
        with pytest.raises(Conflict):
            await faked.failover()
        await refused(faked, TaskType.InsertTaggedCP, {"name": "x"})
        keeper = RowKeeping(faked.site, faked.orders)
        faked.hear()
        await keeper.turn()
        assert faked.site.tasks.unfinished() == []  # nobody asked
        north = faked.north.appliance
        north.save(north.state() | {"power": {"vm1": "off", "vm2": "off"}})
        faked.site.peers._heard.clear()
        with pytest.raises(Unavailable):
            await protect_back(faked, services)
        faked.hear()
        assert (await faked.ended(await protect_back(faked, services))).state == COMPLETED

    with_site(tmp_path, test)


def test_source_vms_are_kept_when_that_was_said(tmp_path: Path) -> None:
    """M4, M7: a True of the move holds unless the commit says False in words; kept ones are held from starting."""

    async def test(faked: FakedSite) -> None:
        await faked.ended(await faked.move(keep_source_vms=True))
        assert (await faked.ended(await faked.place(TaskType.MoveCommit, NONE_KEPT))).state == COMPLETED
        assert set(faked.north.appliance.state()["held"]) == {"vm1", "vm2"}
        assert faked.north.appliance.state()["deleted"] == {}

    with_site(tmp_path, test)


def test_nothing_is_deleted_at_a_site_that_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """M4: the commit succeeds, the old VMs are held when their site answers, and deleting them is left to a person."""
    monkeypatch.setattr("farshore.operations.steps.put_away.CALL_SECONDS", 0.6)

    async def test(faked: FakedSite) -> None:
        await faked.ended(await faked.move())
        faked.north.appliance.silent = True
        task = await faked.ended(await faked.place(TaskType.MoveCommit, AWAY))
        assert task.state == COMPLETED
        assert "delete them yourself" in task.note
        faked.north.appliance.silent = False
        faked.hear()
        await RowKeeping(faked.site, faked.orders).turn()
        assert set(faked.north.appliance.state()["held"]) == {"vm1", "vm2"}
        assert faked.north.appliance.state()["deleted"] == {}

    with_site(tmp_path, test)


def test_a_commit_with_a_vm_down_is_not_completed(tmp_path: Path) -> None:
    """CA8: refused before there is no way back; the failover can still be rolled back."""

    async def test(faked: FakedSite) -> None:
        await faked.ended(await faked.failover())
        state = faked.south.state()
        next(iter(state["recovered"].values()))[1]["power"] = "off"
        faked.south.save(state)
        task = await faked.ended(await faked.place(TaskType.FailoverCommit, {"reverse_protection": False}))
        assert task.state == FAILED
        assert "name-vm2 does not run" in task.reason
        assert faked.site.deadlines.all() == []  # nothing more is done by itself
        assert (await faked.ended(await faked.place(TaskType.FailoverRollback, {}))).state == COMPLETED

    with_site(tmp_path, test)


def test_a_report_names_steps_and_times(tmp_path: Path) -> None:
    """From the durable record: what was recovered, how old, how long it took, who asked."""

    async def test(faked: FakedSite) -> None:
        services = RecoveryServices(faked.site, faked.orders)
        arguments: dict[str, Any] = {"checkpoint_id": None, "wait_seconds": 9, "vm_ids": None, "who": "ann"}
        task_id = await services.failover(
            VPG,
            commit_policy=CommitPolicy.None_,
            shutdown_policy=ShutdownPolicy.None_,
            reverse_protection=True,
            **arguments,
        )
        await faked.ended(task_id)
        report = await services.report(task_id)
        assert report is not None
        assert (report.who, report.vpg_name, report.vms) == ("ann", "shop", ("name-vm1", "name-vm2"))
        assert report.checkpoint is not None
        assert report.checkpoint.checkpoint_id == "7"
        assert report.rto_seconds is not None
        assert 0 < report.rto_seconds < 30
        assert report.rpo_seconds is not None
        names = [step.name for step in report.steps]
        assert names.index("raise epoch") < names.index("open views") < names.index("enter before commit")
        assert all(step.completed_ns is not None and step.error == "" for step in report.steps)
        assert await services.report("nothing") is None

    with_site(tmp_path, test)


def test_a_higher_epoch_ends_what_runs_here(tmp_path: Path) -> None:
    """I8: the loser's unfinished task ends as Failed, "superseded by epoch N"."""

    async def test(faked: FakedSite) -> None:
        stubborn(faked, "vm1")
        move = await faked.move()
        await until(lambda: faked.north.appliance.state()["power"] == {"vm2": "halted"}, "the move did not halt")
        row = faked.site.vpg(VPG).raised("active", epoch=9, recovery=None)
        await PeerCalls(faked.site).put_vpg(NORTH, {"row": row.to_json()})
        task = await faked.ended(move)
        assert task.state == FAILED
        assert "epoch 9" in task.reason
        assert faked.vpg.epoch == 9
        with pytest.raises(FarshoreError):
            await faked.place(TaskType.MoveRollback, {})

    with_site(tmp_path, test)
