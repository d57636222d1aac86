"""A site that exists in memory only, for the protocol side of the API; what it is told is kept in `calls`.

The data side is proven on real sites elsewhere.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx
import uvicorn

from farshore.api.application import create_app
from farshore.api.settings import ApiSettings
from farshore.errors import Conflict, NotFound
from farshore.identity.certificates import create_identity
from farshore.identity.contexts import server_context
from farshore.manager.ports import bind, server
from farshore.model.policies import CommitPolicy
from farshore.model.record_views import KnownVpg
from farshore.model.task import TaskState, new_task_id
from farshore.model.views import (
    CheckpointView,
    LocalSiteView,
    PeerSiteView,
    ProtectedVmView,
    RecoveredVmView,
    RecoveryView,
    ReportView,
    ResourceView,
    SiteDiskView,
    SiteResourcesView,
    SiteVmView,
    TaskFilter,
    TaskView,
    TokenView,
    VpgOrder,
    VpgView,
)
from farshore.model.vpg import VpgVm
from farshore.model.vpg_states import VpgStatus
from tests.service.made_up_accounts import VPG, MadeUpAccounts
from tests.service.made_up_records import START_NS, MadeUpRecords, made_up_report

NORTH = "11111111-1111-4111-8111-111111111111"
SOUTH = "22222222-2222-4222-8222-222222222222"
PAYROLL = "Payroll <&> Löhne"


def _vpg() -> VpgView:
    checkpoints = [CheckpointView(checkpoint_id=str(n), time_ns=START_NS + n * 5_000_000_000) for n in (7, 9)]
    return VpgView(
        vpg_id=VPG,
        name=PAYROLL,
        protected_site_id=NORTH,
        protected_site_name="north",
        recovery_site_id=SOUTH,
        recovery_site_name="south",
        vms=(
            VpgVm(vm_id="vm-1", vm_name="db"),
            VpgVm(vm_id="vm-2", vm_name="web"),
            VpgVm(vm_id="vm-3", vm_name="twin"),
            VpgVm(vm_id="vm-4", vm_name="twin"),
        ),
        status=VpgStatus.MeetingSLA,
        actual_rpo_seconds=4,
        earliest_checkpoint=checkpoints[0],
        latest_checkpoint=checkpoints[1],
    )


SECOND = 1_000_000_000


def before_commit(kind: Literal["failover", "move"], *, reverse: bool, seconds_left: int | None = 90) -> RecoveryView:
    """A recovery of the VPG that waits for its commit."""
    return RecoveryView(
        kind=kind,
        stage="before_commit",
        task_id=new_task_id(SOUTH),
        checkpoint_id="9",
        commit_policy=CommitPolicy.None_ if seconds_left is None else CommitPolicy.Rollback,
        seconds_left=seconds_left,
        reverse_protection=reverse,
        vms=(RecoveredVmView(vm_id="vm-9", vm_name="db", power="running", serial_log="/logs/db"),),
    )


@dataclass
class MadeUpSite(MadeUpAccounts, MadeUpRecords):
    """Services in memory."""

    busy: bool = False
    broken: bool = False
    standing: dict[str, Any] = field(default_factory=dict)
    """What is so of its VPG besides: members of VpgView."""

    def _vpg(self) -> VpgView:
        return _vpg().model_copy(update=self.standing)

    def _order(self, kind: str, who: str, **arguments: Any) -> str:
        if self.busy:
            raise Conflict("The VPG is busy with Move (task t).", "Wait until that task has ended.")
        self.calls.append((kind, arguments))
        task_id = new_task_id(NORTH)
        state = TaskState.InProgress
        self.known_tasks[task_id] = TaskView(
            task_id=task_id, type=kind, state=state, progress=0, started_ns=START_NS, who=who, vpg_id=VPG
        )
        return task_id

    async def local_site(self) -> LocalSiteView:
        """North."""
        if self.broken:
            raise RuntimeError("broken on purpose")
        return LocalSiteView(site_id=NORTH, name="north", host="127.0.0.1", version="0.1.0")

    async def peer_sites(self) -> list[PeerSiteView]:
        """South."""
        return [PeerSiteView(site_id=SOUTH, name="south", host="127.0.0.2", port=9670)]

    async def generate_token(self, who: str) -> TokenView:
        """A text."""
        return TokenView(token="tok", expires_ns=START_NS)

    async def pair(self, host: str, port: int, token: str, who: str) -> str:
        """Noted."""
        return self._order("PairSite", who, host=host, port=port, token=token)

    async def unpair(self, site_id: str, who: str) -> str:
        """Noted."""
        return self._order("UnpairSite", who, site_id=site_id)

    async def site_vms(self, site_id: str) -> list[SiteVmView]:
        """Two."""
        if site_id not in {NORTH, SOUTH}:
            raise NotFound(f"There is no site {site_id}.", "")
        disk = SiteDiskView(disk_id="disk-a", size_bytes=1 << 30)
        more: dict[str, Any] = {"site_id": site_id, "disks": (disk,), "nic_ids": ("nic-a", "nic-b")}
        return [SiteVmView(vm_id=f"vm-{n}", vm_name=f"vm {n}", **more) for n in (1, 2)]

    async def site_resources(self, site_id: str) -> SiteResourcesView:
        """One of each."""
        one = (ResourceView(resource_id="r-1", name="one"),)
        slash = (ResourceView(resource_id="f-1", name="/"),)
        return SiteResourcesView(hosts=one, datastores=one, networks=one, folders=slash, resource_pools=one)

    async def list_vpgs(self) -> list[VpgView]:
        """One."""
        return [self._vpg()]

    async def get_vpg(self, vpg_id: str) -> VpgView | None:
        """That one."""
        return self._vpg() if vpg_id == VPG else None

    async def known_vpg(self, vpg_id: str) -> KnownVpg | None:
        """That one as it is kept."""
        view = await self.get_vpg(vpg_id)
        if view is None:
            return None
        reverse = view.recovery is not None and view.recovery.reverse_protection
        return KnownVpg(vpg_id=view.vpg_id, name=view.name, vms=view.vms, reverse_protection=reverse)

    async def protected_vms(self) -> list[ProtectedVmView]:
        """Its VMs."""
        disks = (SiteDiskView(disk_id="disk-a", size_bytes=1 << 30),)
        return [ProtectedVmView(vm_id=vm.vm_id, vm_name=vm.vm_name, vpg=self._vpg(), disks=disks) for vm in _vpg().vms]

    async def checkpoints(
        self,
        vpg_id: str,
        from_ns: int | None = None,
        to_ns: int | None = None,
        limit: int | None = None,
        *,
        newest_first: bool = False,
    ) -> list[CheckpointView]:
        """Three, 5 s apart."""
        found = [
            CheckpointView(checkpoint_id=str(n), time_ns=START_NS + n * 5_000_000_000, tag="t" if n == 8 else None)
            for n in (7, 8, 9)
        ]
        found = [c for c in found if (from_ns or 0) <= c.time_ns <= (to_ns or 1 << 63)]
        return (found[::-1] if newest_first else found)[:limit]

    async def create_vpg(self, order: VpgOrder, who: str) -> str:
        """Noted."""
        return self._order("CreateProtectionGroup", who, order=order)

    async def update_vpg(self, order: VpgOrder, who: str) -> str:
        """Noted."""
        return self._order("UpdateProtectionGroup", who, order=order)

    async def delete_vpg(self, vpg_id: str, *, force: bool, keep_recovery_volumes: bool, who: str) -> str:
        """Noted."""
        return self._order("RemoveProtectionGroup", who, force=force, keep=keep_recovery_volumes)

    async def insert_checkpoint(self, vpg_id: str, name: str, who: str) -> str:
        """Noted."""
        return self._order("InsertTaggedCP", who, name=name)

    async def failover_test(self, vpg_id: str, checkpoint_id: str | None, vm_ids: list[str] | None, who: str) -> str:
        """Noted."""
        return self._order("FailOverTest", who, checkpoint_id=checkpoint_id, vm_ids=vm_ids)

    async def failover_test_stop(
        self, vpg_id: str, *, success: bool, summary: str | None, test_task: str | None, who: str
    ) -> str:
        """Noted."""
        return self._order("StopFailOverTest", who, success=success, summary=summary, test_task=test_task)

    async def failover(self, vpg_id: str, *, who: str, **arguments: Any) -> str:
        """Noted."""
        return self._order("FailOver", who, **arguments)

    async def failover_commit(self, vpg_id: str, *, reverse_protection: bool, who: str) -> str:
        """Noted."""
        return self._order("FailoverCommit", who, reverse_protection=reverse_protection)

    async def failover_rollback(self, vpg_id: str, who: str) -> str:
        """Noted."""
        return self._order("FailoverRollback", who)

    async def clone(self, vpg_id: str, *, who: str, **arguments: Any) -> str:
        """Noted."""
        return self._order("Clone", who, **arguments)

    async def clone_abort(self, vpg_id: str, who: str) -> str:
        """Noted."""
        return self._order("AbortClone", who)

    async def steer(self, vpg_id: str, action: str, who: str) -> str:
        """Noted."""
        return self._order(action, who)

    async def move(self, vpg_id: str, *, who: str, **arguments: Any) -> str:
        """Noted."""
        return self._order("Move", who, **arguments)

    async def move_commit(self, vpg_id: str, *, who: str, **arguments: Any) -> str:
        """Noted."""
        return self._order("MoveCommit", who, **arguments)

    async def move_rollback(self, vpg_id: str, who: str) -> str:
        """Noted."""
        return self._order("MoveRollback", who)

    async def report(self, task_id: str) -> ReportView | None:
        """A failover's, of any task that was ordered; one step has failed, one runs."""
        task = self.known_tasks.get(task_id)
        return None if task is None else made_up_report(task, PAYROLL)

    async def tasks(self, which: TaskFilter) -> list[TaskView]:
        """Those that were ordered."""
        self.calls.append(("tasks", which))
        return list(self.known_tasks.values())

    async def task(self, task_id: str) -> TaskView | None:
        """One of them; by `ending` it runs at the first look and has ended at the second."""
        task = self.known_tasks.get(task_id)
        if task is not None and self.ending is not None:
            done = {"state": self.ending, "progress": 100, "completed_ns": START_NS + 3 * SECOND, "reason": "It ended."}
            half = {"progress": 50, "reason": "half [of] it"}
            task = self.known_tasks[task_id] = task.model_copy(update=done if task.progress else half)
        return task


@dataclass
class Running:
    """A made-up site whose API serves over HTTPS; `http` is not signed in; `folder` has its identity."""

    site: MadeUpSite
    http: httpx.Client
    folder: Path

    def sign_in(self, user: str = "admin", password: str = "pass:wörd") -> dict[str, str]:
        """The classic way; the headers that later requests need."""
        reply = self.http.post("/v1/session/add", auth=httpx.BasicAuth(user.encode(), password.encode()))
        assert reply.status_code == 200, reply.text
        return {"x-zerto-session": reply.headers["x-zerto-session"]}

    def token(self, **form: str) -> dict[str, str]:
        """By token; the headers that later requests need."""
        form = form or {"grant_type": "password", "client_id": "zerto-client", "username": "admin"}
        if form["grant_type"] == "password":
            form["password"] = "pass:wörd"
        reply = self.http.post("/auth/realms/zerto/protocol/openid-connect/token", data=form)
        assert reply.status_code == 200, reply.text
        return {"Authorization": f"Bearer {reply.json()['access_token']}"}


@asynccontextmanager
async def serving(server: uvicorn.Server, listener: socket.socket) -> AsyncIterator[int]:
    """Serve while the block runs; yields the port's number."""
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        async with asyncio.timeout(10):
            while not server.started:
                assert not task.done()
                await asyncio.sleep(0.01)
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await task
        listener.close()


@contextmanager
def running_api(folder: Path, settings: ApiSettings | None = None) -> Iterator[Running]:
    """The API of a made-up site on a free port of 127.0.0.1, over HTTPS, in a thread with a loop of its own."""
    site = MadeUpSite()
    identity = create_identity(folder / "identity", NORTH, ["127.0.0.1"])
    listener = bind("127.0.0.1", 0, "API")
    port = listener.getsockname()[1]
    loop = asyncio.new_event_loop()
    stop, ready = asyncio.Event(), threading.Event()

    async def serve() -> None:
        running = server(create_app(site, settings), server_context(identity.folder, require_client=False), peers=False)
        async with serving(running, listener):
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="made-up site")
    thread.start()
    try:
        assert ready.wait(10)
        trust = ssl.create_default_context(cadata=identity.ca_pem())
        with httpx.Client(base_url=f"https://127.0.0.1:{port}", verify=trust, trust_env=False, timeout=10) as http:
            yield Running(site, http, folder)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
        assert not thread.is_alive()
