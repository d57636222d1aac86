"""From the report that the site keeps of an operation to the one that clients read."""

from __future__ import annotations

from farshore.api.telling import tell_checkpoint
from farshore.api.wire.moments import moment, moment_or_none
from farshore.api.wire.reports import (
    RecoveryReportApi,
    RecoveryReportsGeneralApi,
    RecoverySettingsReportApi,
    RecoverySettingsScriptApi,
    RecoverySettingsStepApi,
    RecoverySettingsVmApi,
)
from farshore.model.enumerations import word
from farshore.model.scripts import ScriptRun
from farshore.model.views import ReportStep, ReportView

REPORTED = {
    "FailOver": "Failover",
    "FailoverCommit": "Failover Commit",
    "FailoverRollback": "Failover Rollback",
    "FailOverTest": "Failover Test",
    "StopFailOverTest": "Stop Failover Test",
    "Move": "Move",
    "MoveCommit": "Move Commit",
    "MoveRollback": "Move Rollback",
    "Clone": "Clone",
}
"""Types of tasks that are listed as reports, by the words that reports have for them."""


def _seconds(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"


def _tell_step(step: ReportStep) -> RecoverySettingsStepApi:
    spent = None if step.completed_ns is None else (step.completed_ns - step.started_ns) / 1e9
    done = "InProgress" if step.completed_ns is None else "Completed"
    return RecoverySettingsStepApi(
        description=step.name,
        result="Failed" if step.error else done,
        start_time=moment(step.started_ns),
        end_time=moment_or_none(step.completed_ns),
        execution_time=_seconds(spent),
        reason=step.error,
    )


def _tell_script(run: ScriptRun) -> RecoverySettingsScriptApi:
    return RecoverySettingsScriptApi(
        phase=f"{run.phase.capitalize()}Recovery",
        command=run.command,
        exit_status=run.exit_status,
        execution_time=_seconds(run.seconds),
        reason=run.words(),
        output=run.output,
        is_output_cut=run.is_cut,
    )


def tell_report(view: ReportView) -> RecoveryReportApi:
    """One report."""
    checkpoint = view.checkpoint
    return RecoveryReportApi(
        recovery_operation_identifier=view.task_id,
        general=RecoveryReportsGeneralApi(
            vpg_identifier=view.vpg_id,
            vpg_name=view.vpg_name,
            protected_site_name=view.protected_site_name,
            recovery_site_name=view.recovery_site_name,
            recovery_type=REPORTED.get(view.type, view.type),
            start_time=moment(view.started_ns),
            end_time=moment_or_none(view.completed_ns),
            point_in_time=None if checkpoint is None else moment(checkpoint.time_ns),
            rto_in_seconds=_seconds(view.rto_seconds),
            status=word(view.state),
            initiated_by=view.who,
            notes=view.note,
            rpo_in_seconds=_seconds(view.rpo_seconds),
            reason=view.reason,
            checkpoint=None if checkpoint is None else tell_checkpoint(checkpoint),
        ),
        recovery_settings=RecoverySettingsReportApi(
            vms=[RecoverySettingsVmApi(vm_name=name) for name in view.vms],
            steps=[_tell_step(step) for step in view.steps],
            scripts=[_tell_script(run) for run in view.scripts],
        ),
    )
