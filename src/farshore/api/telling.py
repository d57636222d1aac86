"""From what the site knows (views, in nanoseconds and bytes) to what clients read (wire models)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from fastapi import Request

from farshore.api.state import base_of
from farshore.api.wire.links import ResourceLink
from farshore.api.wire.moments import moment, moment_or_none
from farshore.api.wire.tasks import TaskApi, TaskRelatedEntitiesApi, TaskStatusApi
from farshore.api.wire.vpgs import (
    CheckpointApi,
    FailOverTestApi,
    HistoryStatusApi,
    JournalHealthStatusApi,
    RecoveredVmApi,
    RunningRecoveryApi,
    SyncApi,
    VmApi,
    VmVolumeApi,
    VpgActiveProcessesApi,
    VpgApi,
    WayHomeApi,
)
from farshore.model.resources import resource_id
from farshore.model.scripts import Script
from farshore.model.views import (
    CheckpointView,
    ProtectedVmView,
    RecoveredVmView,
    RecoveryView,
    SyncView,
    TaskView,
    TestView,
    VpgView,
    WayHomeView,
)

MIB = 1 << 20
LINKS_MAX = 10_000
_NOTHING_RUNS = VpgActiveProcessesApi(
    running_fail_over_test_api=None, running_fail_over_tests=[], running_recovery=None
)


@lru_cache(LINKS_MAX)
def _link(base: str, kind: str, path: str, identifier: str) -> ResourceLink:
    return ResourceLink(href=f"{base}/v1/{path}/{identifier}", identifier=identifier, type=kind)


def link_to(request: Request, kind: str, path: str, identifier: str) -> ResourceLink:
    """A link to one resource of a kind such as VpgApi; the same one each time."""
    return _link(base_of(request), kind, path, identifier)


def site_link(request: Request, site_id: str) -> ResourceLink:
    """A link to a site of a VPG."""
    return link_to(request, "VirtualizationSiteApi", "virtualizationsites", site_id)


def tell_checkpoint(view: CheckpointView) -> CheckpointApi:
    """One checkpoint."""
    return CheckpointApi(
        checkpoint_identifier=view.checkpoint_id,
        time_stamp=moment(view.time_ns),
        tag=view.tag,
        hole_before=view.hole_before,
    )


def _tell_or_none(view: CheckpointView | None) -> CheckpointApi | None:
    return None if view is None else tell_checkpoint(view)


def _tell_recovered(vms: Sequence[RecoveredVmView]) -> list[RecoveredVmApi]:
    return [
        RecoveredVmApi(vm_identifier=vm.vm_id, vm_name=vm.vm_name, power_state=vm.power, serial_log=vm.serial_log)
        for vm in vms
    ]


def _tell_recovery(view: RecoveryView | None) -> RunningRecoveryApi | None:
    if view is None:
        return None
    return RunningRecoveryApi(
        kind=view.kind,
        stage=view.stage,
        task_identifier=view.task_id,
        checkpoint_identifier=view.checkpoint_id or None,
        commit_policy=view.commit_policy,
        seconds_left=view.seconds_left,
        is_reverse_protection=view.reverse_protection,
        keep_source_vms=view.keep_source_vms,
        vms=_tell_recovered(view.vms),
    )


def _tell_way_home(view: WayHomeView | None) -> WayHomeApi | None:
    return None if view is None else WayHomeApi(is_asked=view.asked, is_exact=view.exact, has_begun=view.began)


def _tell_sync(view: SyncView | None) -> SyncApi | None:
    if view is None:
        return None
    return SyncApi(
        kind=view.kind,
        is_running=view.running,
        done_in_bytes=view.done_bytes,
        total_in_bytes=view.total_bytes,
        read_in_bytes=view.read_bytes,
        hashes_in_bytes=view.hash_bytes,
        sent_in_bytes=view.sent_bytes,
    )


def _tell_test(view: TestView) -> FailOverTestApi:
    return FailOverTestApi(
        stage=view.state,
        task_identifier=view.task_id,
        checkpoint_identifier=view.checkpoint_id,
        started=moment(view.started_ns),
        vms=_tell_recovered(view.vms),
    )


def _tell_active(view: VpgView) -> VpgActiveProcessesApi:
    if not view.tests and view.recovery is None:
        return _NOTHING_RUNS
    tests = [_tell_test(test) for test in view.tests]
    return VpgActiveProcessesApi(
        running_fail_over_test_api=tests[0] if tests else None,
        running_fail_over_tests=tests,
        running_recovery=_tell_recovery(view.recovery),
    )


def _history_minutes(view: VpgView) -> int:
    earliest, latest = view.earliest_checkpoint, view.latest_checkpoint
    if earliest is None or latest is None:
        return 0
    return max(0, latest.time_ns - earliest.time_ns) // 60_000_000_000


def tell_vpg(request: Request, view: VpgView) -> VpgApi:
    """One VPG."""
    minutes = _history_minutes(view)
    configured = view.settings.history_seconds // 60
    return VpgApi(
        vpg_identifier=view.vpg_id,
        vpg_name=view.name,
        status=view.status,
        sub_status=view.substatus,
        status_description=view.reason,
        priority=view.settings.priority,
        actual_rpo=view.actual_rpo_seconds or 0,
        configured_rpo_seconds=view.settings.rpo_seconds,
        iops=view.writes_per_second,
        throughput_in_mb=round(view.bytes_per_second / MIB, 3),
        used_storage_in_mb=view.used_journal_bytes // MIB,
        provisioned_storage_in_mb=view.provisioned_bytes // MIB,
        vms_count=len(view.vms),
        source_site=view.protected_site_name,
        target_site=view.recovery_site_name,
        protected_site=site_link(request, view.protected_site_id),
        recovery_site=site_link(request, view.recovery_site_id),
        last_test=moment_or_none(view.last_test_ns),
        progress_percentage=view.progress_percentage,
        active_processes_api=_tell_active(view),
        history_status_api=HistoryStatusApi(
            actual_history_in_minutes=minutes,
            configured_history_in_minutes=configured,
            earliest_checkpoint=_tell_or_none(view.earliest_checkpoint),
        ),
        fail_safe_history=JournalHealthStatusApi(
            actual_fail_safe_history=minutes, configured_fail_safe_history=configured, fail_safe_description=""
        ),
        link=link_to(request, "VpgApi", "vpgs", view.vpg_id),
        checkpoint_interval_in_seconds=view.settings.checkpoint_interval_seconds,
        has_checkpoint=view.latest_checkpoint is not None,
        latest_checkpoint=_tell_or_none(view.latest_checkpoint),
        way_home=_tell_way_home(view.way_home),
        sync=_tell_sync(view.sync),
        pre_recovery_script=_name_of(view.settings.pre_recovery),
        post_recovery_script=_name_of(view.settings.post_recovery),
    )


def _name_of(script: Script | None) -> str | None:
    """Its name alone: parameters may be nobody's business but the administrators'."""
    return None if script is None else script.command


def tell_vm(request: Request, view: ProtectedVmView) -> VmApi:
    """One VM of a VPG."""
    vpg = view.vpg
    return VmApi(
        vm_identifier=view.vm_id,
        vm_name=view.vm_name,
        vpg_identifier=vpg.vpg_id,
        vpg_name=vpg.name,
        status=vpg.status,
        sub_status=vpg.substatus,
        priority=vpg.settings.priority,
        actual_rpo=vpg.actual_rpo_seconds or 0,
        iops=vpg.writes_per_second if len(vpg.vms) == 1 else 0,
        throughput_in_mb=round(vpg.bytes_per_second / MIB, 3) if len(vpg.vms) == 1 else 0.0,
        journal_used_storage_mb=vpg.used_journal_bytes // MIB if len(vpg.vms) == 1 else 0,
        provisioned_storage_in_mb=sum(disk.size_bytes for disk in view.disks) // MIB,
        used_storage_in_mb=0,
        recovery_host_identifier=resource_id(vpg.recovery_site_id, "host"),
        recovery_host_name=vpg.recovery_site_name,
        source_site=vpg.protected_site_name,
        target_site=vpg.recovery_site_name,
        protected_site=site_link(request, vpg.protected_site_id),
        recovery_site=site_link(request, vpg.recovery_site_id),
        last_test=moment_or_none(vpg.last_test_ns),
        volumes=[VmVolumeApi(vm_volume_identifier=disk.disk_id) for disk in view.disks],
        is_vm_exists=view.exists,
        link=link_to(request, "VmApi", "vms", view.vm_id),
    )


def tell_task(request: Request, view: TaskView) -> TaskApi:
    """One task."""
    vpgs: Sequence[str] = [view.vpg_id] if view.vpg_id else []
    sites: Sequence[str] = [view.site_id] if view.site_id else []
    return TaskApi(
        task_identifier=view.task_id,
        type=view.type,
        status=TaskStatusApi(state=view.state, progress=view.progress),
        started=moment(view.started_ns),
        completed=moment_or_none(view.completed_ns),
        complete_reason=view.reason,
        initiated_by=view.who,
        related_entities=TaskRelatedEntitiesApi(
            vpgs=[link_to(request, "VpgApi", "vpgs", vpg_id) for vpg_id in vpgs],
            sites=[site_link(request, site_id) for site_id in sites],
            hosts=[],
            flr_sessions=[],
        ),
        link=link_to(request, "TaskApi", "tasks", view.task_id),
    )
