"""Parts of a VPG's view: its failover tests, the failover or move under way, the way home, the sync; all pure."""

from __future__ import annotations

from farshore.model.recovery import Recovery
from farshore.model.views import RecoveredVmView, RecoveryView, SyncView, TestView, WayHomeView
from farshore.model.vpg import Vpg
from farshore.site.deadlines import Deadline
from farshore.site.failover_tests import FailoverTest
from farshore.site.status import Heard


def test_view(test: FailoverTest) -> TestView:
    """A test as people see it."""
    vms = tuple(
        RecoveredVmView(vm_id=vm["vm_id"], vm_name=vm["name"], power=vm["power"], serial_log=vm.get("serial_log"))
        for vm in test.vms
    )
    return TestView(
        task_id=test.task_id,
        checkpoint_id=test.checkpoint_id,
        started_ns=test.started_ns,
        state=test.state,
        vms=vms,
    )


def recovery_view(recovery: Recovery | None, deadline: Deadline | None, heard: Heard) -> RecoveryView | None:
    """A failover or move as people see it."""
    if recovery is None:
        return None
    powers = {vm["vm_id"]: str(vm["power"]) for vm in heard.recovered or ()}
    left = deadline.shown_seconds() if deadline is not None and recovery.stage == "before_commit" else None
    return RecoveryView(
        kind=recovery.kind,
        stage=recovery.stage,
        task_id=recovery.task_id,
        checkpoint_id=recovery.checkpoint_id,
        commit_policy=recovery.commit_policy,
        seconds_left=left,
        reverse_protection=recovery.reverse_protection,
        keep_source_vms=recovery.keep_source_vms,
        vms=tuple(
            RecoveredVmView(
                vm_id=vm.vm_id,
                vm_name=vm.vm_name,
                power=powers.get(vm.vm_id, "unknown"),
                serial_log=vm.serial_log,
            )
            for vm in recovery.vms
        ),
    )


def way_home_view(vpg: Vpg) -> WayHomeView | None:
    """The way home as people see it."""
    way = vpg.way_home
    return WayHomeView(asked=way.asked, exact=way.exact, began=way.began) if way else None


def sync_view(heard: Heard) -> SyncView | None:
    """The sync that runs, or the figures of the last one."""
    protection = heard.protection or {}
    running = protection.get("sync")
    told = running or protection.get("last_sync")
    if not told:
        return None
    members = ("done_bytes", "total_bytes", "read_bytes", "hash_bytes", "sent_bytes")
    figures = {member: int(told.get(member) or 0) for member in members}
    return SyncView(kind=told["kind"], running=bool(running), **figures)
