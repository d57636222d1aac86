"""Recovery reports as clients read them; members of our own stand at the end of each model."""

from __future__ import annotations

from typing import Any

from pydantic import SerializerFunctionWrapHandler, model_serializer

from farshore.api.wire.model import Wire
from farshore.api.wire.moments import Moment, MomentOrNone
from farshore.api.wire.vpgs import CheckpointApi


class RecoveryReportsGeneralApi(Wire):
    """The operation as a whole."""

    vpg_identifier: str
    vpg_name: str
    protected_site_name: str
    recovery_site_name: str
    recovery_type: str
    start_time: Moment
    end_time: MomentOrNone
    point_in_time: MomentOrNone
    rto_in_seconds: str | None
    status: str
    initiated_by: str
    notes: str
    rpo_in_seconds: str | None
    """Our own: age of the checkpoint when the operation was ordered."""
    reason: str
    """Our own: why it failed."""
    checkpoint: CheckpointApi | None
    """Our own: what was recovered to."""

    @model_serializer(mode="wrap")
    def _without_end(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """While the operation runs `EndTime` is left out: a null breaks a client that sorts by it."""
        data: dict[str, Any] = write(self)
        if self.end_time is None:
            data.pop("EndTime", None)
            data.pop("end_time", None)
        return data


class RecoverySettingsVmApi(Wire):
    """A VM of the operation."""

    vm_name: str


class RecoverySettingsStepApi(Wire):
    """A step. `ExecutionTime` is in seconds; our own: `Reason`, why it failed."""

    description: str
    result: str
    start_time: Moment
    end_time: MomentOrNone
    execution_time: str | None
    reason: str


class RecoverySettingsScriptApi(Wire):
    """Our own: a script that was run. `Output` is the end of what it printed, only where one report is asked for."""

    phase: str
    command: str
    exit_status: int | None
    """None: it was not begun, or was ended from outside."""
    execution_time: str | None
    """In seconds."""
    reason: str
    """Why it counts as failed."""
    output: str
    is_output_cut: bool


class RecoverySettingsReportApi(Wire):
    """What it was about and what it did."""

    vms: list[RecoverySettingsVmApi]
    steps: list[RecoverySettingsStepApi]
    scripts: list[RecoverySettingsScriptApi]


class RecoveryReportApi(Wire):
    """One report; its identifier is that of the task."""

    recovery_operation_identifier: str
    general: RecoveryReportsGeneralApi
    recovery_settings: RecoverySettingsReportApi
