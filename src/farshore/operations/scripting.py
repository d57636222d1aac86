"""The scripts of an operation, as its order found them: which are to be run, with what they are told.

An operation whose order names no script has no step for one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from farshore.errors import Fault
from farshore.model.scripts import Script, ScriptRun
from farshore.model.vpg import Vpg
from farshore.operations.engine import site
from farshore.operations.steps.run_scripts import post_recovery_script, pre_recovery_script

FAILOVER, MOVE, FAILOVER_TEST = "Failover", "Move", "FailoverTest"
"""What scripts are told that is being done, in the page's words."""


class Scripts:
    """The pre- and the post-recovery script of one operation."""

    def __init__(self, task_id: str, operation: str, vpg: Vpg, vm_ids: Sequence[str]) -> None:
        """`operation` is one of the words above; `vm_ids` are the protected VMs that it is about."""
        self._task_id = task_id
        self._operation = operation
        self._vpg = vpg
        self._vm_ids = set(vm_ids)

    async def before(self, checkpoint: dict[str, Any] | None = None) -> str:
        """Run the pre-recovery script, if there is one; in words how it failed, "" when it did not."""
        script = self._vpg.settings.pre_recovery
        if script is None:
            return ""
        return (await self._run(pre_recovery_script, script, self._told("pre", checkpoint))).words()

    async def demand_before(self) -> None:
        """Run the pre-recovery script, if there is one. Raises Fault when it fails."""
        script = self._vpg.settings.pre_recovery
        if script is None:
            return
        run = await self._run(pre_recovery_script, script, self._told("pre", None))
        if run.failure:
            raise Fault(run.failure, run.remedy)

    async def after(self, checkpoint: dict[str, Any], started: Sequence[dict[str, Any]]) -> str:
        """Run the post-recovery script, if there is one, when the VMs run (`started`); in words how it failed."""
        script = self._vpg.settings.post_recovery
        if script is None:
            return ""
        told = self._told("post", checkpoint)
        told["FARSHORE_RECOVERED_VMS"] = _lines(vm["name"] for vm in started)
        told["FARSHORE_RECOVERED_VM_IDS"] = _lines(vm["vm_id"] for vm in started)
        return (await self._run(post_recovery_script, script, told)).words()

    async def _run(self, step: Any, script: Script, told: dict[str, str]) -> ScriptRun:
        test_task = self._task_id if self._operation == FAILOVER_TEST else ""
        json = await step(self._task_id, self._vpg.id, script.model_dump(mode="json"), told, test_task)
        return ScriptRun.model_validate(json)

    def _told(self, phase: str, checkpoint: dict[str, Any] | None) -> dict[str, str]:
        """What the script finds in its environment about the operation."""
        vms = [vm for vm in self._vpg.vms if vm.vm_id in self._vm_ids]
        told = {
            "FARSHORE_OPERATION": self._operation,
            "FARSHORE_PHASE": phase,
            "FARSHORE_TASK_ID": self._task_id,
            "FARSHORE_VPG_NAME": self._vpg.name,
            "FARSHORE_VPG_ID": self._vpg.id,
            "FARSHORE_VMS": _lines(vm.vm_name for vm in vms),
            "FARSHORE_VM_IDS": _lines(vm.vm_id for vm in vms),
            "FARSHORE_SITE_NAME": site().config.name,
            "FARSHORE_SITE_ID": site().id,
        }
        if checkpoint is not None:
            told["FARSHORE_CHECKPOINT_TIME"] = _moment(int(checkpoint["time_ns"]))
        return told


def _lines(words: Any) -> str:
    """One a line: names may hold anything else."""
    return "\n".join(words)


def _moment(time_ns: int) -> str:
    moment = datetime.fromtimestamp(time_ns // 10**9, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time_ns // 10**6 % 1000:03d}Z"
