"""End a failover test at this site: its VMs, views, scratch and pin."""

from __future__ import annotations

import contextlib

from farshore.errors import NotFound
from farshore.operations.engine import in_thread, site, step
from farshore.site.failover_tests import OPEN_STATES

TEARDOWN_SECONDS = 60.0


async def tear_down(vpg_id: str, operation: str) -> None:
    """Remove what the operation has at the appliance; each call is safe to repeat. Raises Unavailable, Fault."""
    appliances, here = site().appliances, site().id
    await appliances.order(here, "remove_recovered_vms", within=TEARDOWN_SECONDS, operation=operation)
    await appliances.order(here, "close_views", within=TEARDOWN_SECONDS, operation=operation)
    with contextlib.suppress(NotFound):  # the journal is gone, and the pin with it
        await appliances.order(here, "unpin_checkpoint", within=TEARDOWN_SECONDS, vpg_id=vpg_id, operation=operation)


@step
async def remove_test(vpg_id: str, operation: str) -> None:
    """Does: remove the test's VMs, views, scratch and pin. Twice: they are gone. Fails: Unavailable, Fault."""
    await tear_down(vpg_id, operation)


@step
async def end_test(test_task_id: str, *, success: bool, summary: str | None) -> None:
    """Does: record the test's end in the history. Twice: the same. Fails: only with the database."""
    await in_thread(site().tests.end, test_task_id, success=success, summary=summary)


@step
async def reopen_test(test_task_id: str) -> None:
    """Does: let the test be stopped again, when it could not be removed. Twice: the same.

    Fails: only with the database.
    """
    await in_thread(site().tests.update, test_task_id, state="running")


@step
async def close_tests(vpg_id: str) -> None:
    """Does: remove all tests of the VPG. Twice: they are gone. Fails: Unavailable, Fault."""
    for test in await in_thread(site().tests.of, vpg_id, *OPEN_STATES):
        await tear_down(vpg_id, test.operation)
        await in_thread(site().tests.end, test.task_id, success=False, summary="Ended: the VPG was removed.")
