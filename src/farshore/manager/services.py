"""What the API asks of a site (`api.services.Services`), answered from the site and its operations."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import Any

from farshore import __version__
from farshore.errors import BadInput, NotFound
from farshore.manager.account_services import AccountServices
from farshore.manager.export_services import ExportServices
from farshore.manager.filters import conditions_of
from farshore.manager.held_services import HeldServices
from farshore.manager.inventory import Inventory
from farshore.manager.kept_services import KeptServices
from farshore.manager.record_services import RecordServices
from farshore.manager.recovery_services import RecoveryServices
from farshore.manager.site_pairing import SitePairing
from farshore.model.task import TaskState, TaskType
from farshore.model.views import (
    CheckpointView,
    LocalSiteView,
    PeerSiteView,
    ProtectedVmView,
    SiteResourcesView,
    SiteVmView,
    TaskFilter,
    TaskView,
    TokenView,
    VpgOrder,
    VpgView,
)
from farshore.operations.orders import Orders
from farshore.site.kinds import kind_of
from farshore.site.site import Site
from farshore.site.tasks import TaskRow
from farshore.site.vpg_views import VpgViews, checkpoint_view
from farshore.site.vpgs import VpgRow


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def task_view(task: TaskRow) -> TaskView:
    """A task as the API shows it."""
    return TaskView(
        task_id=task.id,
        type=task.type,
        state=TaskState(task.state),
        progress=task.progress,
        started_ns=task.started_ns,
        completed_ns=task.completed_ns,
        reason=task.reason or task.note,
        who=task.who,
        vpg_id=task.vpg_id or None,
        site_id=task.runs_at,
    )


class ManagerServices(AccountServices, ExportServices, HeldServices, KeptServices, RecordServices, RecoveryServices):
    """The site behind the API."""

    def __init__(self, site: Site, orders: Orders, views: VpgViews) -> None:
        super().__init__(site, orders)
        self._views = views
        self._inventory = Inventory(site)
        self._pairing = SitePairing(site)

    async def local_site(self) -> LocalSiteView:
        """This site."""
        config = self._site.config
        minutes = time.localtime().tm_gmtoff // 60
        return LocalSiteView(
            site_id=config.site_id,
            name=config.name,
            host=config.host,
            version=__version__,
            kind=config.settings.kind,
            utc_offset_minutes=minutes,
            commit_seconds=config.settings.commit_seconds,
            shutdown_seconds=config.settings.shutdown_seconds,
            move_commit_policy=config.settings.default_move_commit_policy,
        )

    async def peer_sites(self) -> list[PeerSiteView]:
        """The paired sites."""
        found = []
        for peer in await asyncio.to_thread(self._site.peers.all):
            host, port = _split(peer.peer_address)
            view = PeerSiteView(
                site_id=peer.site_id,
                name=peer.name,
                host=host,
                port=port,
                kind=await asyncio.to_thread(kind_of, self._site, peer.site_id),
                connected=self._site.peers.connected(peer.site_id),
            )
            found.append(view)
        return found

    async def generate_token(self, who: str) -> TokenView:
        """A new one-time pairing token."""
        token = await asyncio.to_thread(self._site.pairing.generate)
        await asyncio.to_thread(self._site.alerts.record, "token", "A pairing token was made.", who=who)
        return TokenView(token=token.text(), expires_ns=token.expires * 10**9)

    async def pair(self, host: str, port: int, token: str, who: str) -> str:
        """Pair with the site there; goes on beyond the answer when it takes long."""
        return await self._pairing.pair(host, port, token, who)

    async def unpair(self, site_id: str, who: str) -> str:
        """Trust that site no longer; works with it dead."""
        return await self._pairing.unpair(site_id, who)

    async def site_vms(self, site_id: str) -> list[SiteVmView]:
        """The inventory of this site or of a paired one."""
        return await self._inventory.vms(site_id)

    async def site_resources(self, site_id: str) -> SiteResourcesView:
        """Hosts, datastores and so on of this site or of a paired one."""
        return await self._inventory.resources(site_id)

    async def list_vpgs(self) -> list[VpgView]:
        """All VPGs that this site has a part in."""
        return await self._views.all()

    async def get_vpg(self, vpg_id: str) -> VpgView | None:
        """One VPG, or None."""
        row = await asyncio.to_thread(self._site.vpgs.get, vpg_id)
        if row is None or row.phase == "released":
            return None
        if row.vpg.owner_site_id == self._site.id:
            return await self._views.look(row)
        return next((view for view in await self._views.all() if view.vpg_id == vpg_id), None)

    async def protected_vms(self) -> list[ProtectedVmView]:
        """All VMs of all VPGs."""
        vpgs, known = await asyncio.gather(self._views.all(), self._inventory.known())
        return await self._inventory.protected(vpgs, known)

    async def checkpoints(
        self,
        vpg_id: str,
        from_ns: int | None = None,
        to_ns: int | None = None,
        limit: int | None = None,
        *,
        newest_first: bool = False,
    ) -> list[CheckpointView]:
        """Checkpoints, from the journal itself."""
        row = await self._row(vpg_id)
        asked = {"from_ns": from_ns, "to_ns": to_ns, "limit": limit, "newest_first": newest_first}
        arguments: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
        try:
            told = await self._site.appliances.ask(
                row.vpg.recovery_site_id, "list_checkpoints", vpg_id=vpg_id, **arguments
            )
        except NotFound:  # the VPG is being created: its journal is not there yet
            return []
        return [checkpoint_view(checkpoint) for checkpoint in told]

    async def _row(self, vpg_id: str) -> VpgRow:
        return await asyncio.to_thread(self._site.vpg, vpg_id)

    async def create_vpg(self, order: VpgOrder, who: str) -> str:
        """Protect VMs; carried out by the recovery site."""
        if self._site.id not in (order.protected_site_id, order.recovery_site_id):
            raise BadInput("This site has no part in that VPG.", "Ask one of its two sites.")
        vpg_id, request = str(uuid.uuid4()), {"order": order.model_dump(mode="json")}
        kind = TaskType.CreateProtectionGroup
        return await self._orders.place(kind, vpg_id, order.recovery_site_id, request, who)

    async def delete_vpg(self, vpg_id: str, *, force: bool, keep_recovery_volumes: bool, who: str) -> str:
        """End a VPG; carried out by its owner, by force here when the owner does not answer."""
        row = await self._row(vpg_id)
        request = {"force": force, "keep_recovery_volumes": keep_recovery_volumes}
        runs_at = row.vpg.owner_site_id
        if force and runs_at != self._site.id and not self._site.peers.connected(runs_at):
            runs_at = self._site.id
        return await self._orders.place(TaskType.RemoveProtectionGroup, vpg_id, runs_at, request, who)

    async def insert_checkpoint(self, vpg_id: str, name: str, who: str) -> str:
        """Cut a tagged checkpoint; carried out by the site that got the call."""
        await self._row(vpg_id)
        return await self._orders.place(TaskType.InsertTaggedCP, vpg_id, self._site.id, {"name": name}, who)

    async def failover_test(self, vpg_id: str, checkpoint_id: str | None, vm_ids: list[str] | None, who: str) -> str:
        """Start a failover test; carried out by the owner."""
        row = await self._row(vpg_id)
        request = {"checkpoint_id": checkpoint_id, "vm_ids": vm_ids}
        return await self._orders.place(TaskType.FailOverTest, vpg_id, row.vpg.owner_site_id, request, who)

    async def failover_test_stop(
        self, vpg_id: str, *, success: bool, summary: str | None, test_task: str | None, who: str
    ) -> str:
        """Stop the VPG's tests; carried out by the owner."""
        row = await self._row(vpg_id)
        request = {"success": success, "summary": summary, "test_task": test_task}
        return await self._orders.place(TaskType.StopFailOverTest, vpg_id, row.vpg.owner_site_id, request, who)

    async def tasks(self, which: TaskFilter) -> list[TaskView]:
        """Tasks that the filter lets through, newest first."""
        columns = self._site.tasks.columns
        wanted = (
            (which.type, columns.type.__eq__),
            (which.state, columns.state.__eq__),
            (which.started_before_ns, columns.started_ns.__le__),
            (which.started_after_ns, columns.started_ns.__ge__),
            (which.completed_before_ns, columns.completed_ns.__le__),
            (which.completed_after_ns, columns.completed_ns.__ge__),
        )
        conditions = conditions_of(wanted)
        return [task_view(t) for t in await asyncio.to_thread(self._site.tasks.newest, which.limit, *conditions)]

    async def task(self, task_id: str) -> TaskView | None:
        """One task, or None; one that was passed on is asked after."""
        task = await asyncio.to_thread(self._site.tasks.get, task_id)
        if task is not None and task.live and task.runs_at != self._site.id:
            task = await self._orders.follow_known(task)
        return task_view(task) if task else None
