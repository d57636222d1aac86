"""Scripts of this site before and after a recovery. A kill of the manager in the middle lets one run a second time."""

from __future__ import annotations

import asyncio
from typing import Any

from farshore.errors import Conflict
from farshore.model.scripts import Phase, Script, ScriptRun
from farshore.operations.engine import LOOK_SECONDS, in_thread, site, stoppable_step
from farshore.site.script_run import run_script

EVENT = "PrePostScript"
_STOPPED = "The failover test was stopped while its {phase}-recovery script was still to end."


@stoppable_step
async def pre_recovery_script(
    vpg_id: str, script: dict[str, Any], told: dict[str, str], test_task: str
) -> dict[str, Any]:
    """Does: run the script before anything is halted or started; gives what came of it, its failure too.

    Twice: runs again; FARSHORE_TASK_ID lets the script tell. Fails: Conflict (the test has been stopped).
    """
    run = await _run("pre", vpg_id, Script.model_validate(script), told, test_task)
    if test_task and not await _is_open(test_task):
        raise Conflict(_STOPPED.format(phase="pre"))
    return run


@stoppable_step
async def post_recovery_script(
    vpg_id: str, script: dict[str, Any], told: dict[str, str], test_task: str
) -> dict[str, Any]:
    """Does: run the script when the recovered VMs have been started; gives what came of it, its failure too.

    Twice: runs again; FARSHORE_TASK_ID lets the script tell. Fails: only with the database, or the task was ended.
    """
    return await _run("post", vpg_id, Script.model_validate(script), told, test_task)


async def _run(phase: Phase, vpg_id: str, script: Script, told: dict[str, str], test_task: str) -> dict[str, Any]:
    run = ScriptRun(phase=phase, command=script.command, failure=_STOPPED.format(phase=phase))
    if not test_task or await _is_open(test_task):
        settings, percent = site().config.settings, {"pre": 5, "post": 90}[phase]
        note = f"Running the {phase}-recovery script {script.command}."
        await in_thread(site().tasks.progress, told["FARSHORE_TASK_ID"], percent, note)
        work = asyncio.ensure_future(run_script(site().folder, settings.script_user, script, phase, told))
        try:
            if await _to_its_end(work, test_task):
                run = work.result()
        finally:
            work.cancel()
            await asyncio.wait({work})
    ended = run.words() or f"The {phase}-recovery script {script.command} ended well after {run.seconds:g} s."
    failed = "failed: " if run.failure else ""
    await in_thread(site().alerts.record, EVENT, f"{failed}{ended}", vpg_id=vpg_id)
    return run.model_dump(mode="json")


async def _to_its_end(work: asyncio.Future[ScriptRun], test_task: str) -> bool:
    """Wait for it; False as soon as the failover test that it is of has been stopped."""
    while not (await asyncio.wait({work}, timeout=LOOK_SECONDS))[0]:
        if test_task and not await _is_open(test_task):
            return False
    return True


async def _is_open(test_task: str) -> bool:
    test = await in_thread(site().tests.get, test_task)
    return test is not None and test.state in ("starting", "running")
