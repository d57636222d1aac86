"""Stop failover tests: all that run, or the one whose task is named.

VMs, views and scratch go; the result stays in the history.
"""

from __future__ import annotations

from farshore.errors import FarshoreError
from farshore.operations.engine import in_thread, site, workflow
from farshore.operations.steps.close_tests import end_test, remove_test, reopen_test
from farshore.operations.steps.finish_task import complete_task, fail_task, read_order, show_progress


@workflow("failover_test_stop")
async def failover_test_stop(task_id: str) -> None:
    """Remove each test that this order claimed, and record success and summary."""
    vpg_id, order = await read_order(task_id)
    tests = await in_thread(site().tests.claimed, task_id)  # claimed with the order, so always the same ones
    failed: list[str] = []
    for done, test in enumerate(tests):
        await show_progress(task_id, 10 + 80 * done // len(tests), "Removing the recovered VMs.")
        try:
            await remove_test(vpg_id, test.operation)
        except FarshoreError as error:
            failed.append(str(error))
            await reopen_test(test.task_id)
        else:
            await end_test(test.task_id, success=order["success"], summary=order["summary"])
    if failed:
        await fail_task(task_id, " ".join(failed))
    else:
        await complete_task(task_id, f"{len(tests)} test{'s' if len(tests) > 1 else ''} stopped; nothing is left.")
