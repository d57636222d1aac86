"""A site with a protected VPG, whose appliance and whose peer are fakes, in this process: for tests of operations."""

from __future__ import annotations

import asyncio
import atexit
import functools
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farshore.model.task import TaskType
from farshore.model.views import VpgOrder
from farshore.model.vpg import Vpg
from farshore.operations import engine
from farshore.operations.orders import Orders
from farshore.site.site import Site, open_site
from farshore.site.tasks import TaskRow
from tests.fake_appliance import FakeAppliance
from tests.fake_peer import FakePeer
from tests.operations_harness import FAILOVER, MOVE, NORTH, VPG, bind_fakes, fakes, prepare

END_SECONDS = 30.0


@functools.cache
def _new_site() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="farshore-site-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    prepare(folder / "site")
    return folder / "site"


def prepared(folder: Path) -> Path:
    """A new site in `folder`, paired with the fake one; made once and copied."""
    return shutil.copytree(_new_site(), folder / "site")


async def until(condition: Callable[[], Any], what: str) -> None:
    """Wait for it."""
    deadline = time.monotonic() + END_SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.02)


@dataclass
class FakedSite:
    """South, with its fakes; use `with_site`."""

    site: Site
    orders: Orders
    south: FakeAppliance
    north: FakePeer

    @property
    def vpg(self) -> Vpg:
        """The VPG's row."""
        return self.site.vpg(VPG).vpg

    def hear(self) -> None:
        """The other site answered just now."""
        self.site.peers.heard(NORTH)

    async def place(self, kind: TaskType, request: dict[str, Any], vpg_id: str = VPG, who: str = "tester") -> str:
        """Give an order."""
        return await self.orders.place(kind, vpg_id, self.site.id, request, who)

    async def failover(self, **changes: Any) -> str:
        """Order a failover."""
        return await self.place(TaskType.FailOver, FAILOVER | changes)

    async def move(self, **changes: Any) -> str:
        """Order a move."""
        return await self.place(TaskType.Move, MOVE | changes)

    async def ended(self, task_id: str) -> TaskRow:
        """The task, once it and its workflow have ended."""
        await until(lambda: not (self.site.tasks.get(task_id) or TaskRow("", "", "")).live, "the task did not end")
        await until(lambda: not engine.is_running(task_id), "the workflow did not end")
        task = self.site.tasks.get(task_id)
        assert task is not None
        return task


def with_site(folder: Path, test: Callable[[FakedSite], Any]) -> None:
    """Run `test` on a site with a protected VPG. There is one DBOS in a process, so one at a time."""

    async def run() -> None:
        home = prepared(folder)
        own, peer = fakes(home, {}, "")
        site = open_site(home, own)
        bind_fakes(site, own, peer)
        engine.launch(site, home / "operations.sqlite")
        faked = FakedSite(site, Orders(site), own, peer)
        try:
            order = VpgOrder(name="shop", protected_site_id=NORTH, recovery_site_id=site.id, vm_ids=("vm1", "vm2"))
            request = {"order": order.model_dump(mode="json")}
            task = await faked.ended(await faked.place(TaskType.CreateProtectionGroup, request))
            assert task.state == 6, task.reason
            faked.hear()
            await test(faked)
        finally:
            engine.shut_down()
            site.database.close()

    asyncio.run(run())
