"""The part of the API's services that is about failover, move and the way home."""

from __future__ import annotations

import asyncio
from typing import Any

from farshore.errors import BadInput
from farshore.manager.reports import Reports
from farshore.model.actions import Steering
from farshore.model.policies import CommitPolicy, ShutdownPolicy
from farshore.model.task import TaskType
from farshore.model.views import ReportView, VpgOrder
from farshore.operations.orders import Orders
from farshore.site.site import Site

_STEERING: dict[Steering, TaskType] = {
    "pause": TaskType.PauseProtectionGroup,
    "resume": TaskType.ResumeProtectionGroup,
    "forcesync": TaskType.ForceSync,
}


class RecoveryServices:
    """A failover or move, and its ends, are carried out where the VMs are recovered: at the recovery site."""

    def __init__(self, site: Site, orders: Orders) -> None:
        """See api.services for what each method promises."""
        self._site = site
        self._orders = orders
        self._reports = Reports(site)

    async def _at_recovery_site(self, kind: TaskType, vpg_id: str, request: dict[str, Any], who: str) -> str:
        row = await asyncio.to_thread(self._site.vpg, vpg_id)
        return await self._orders.place(kind, vpg_id, row.vpg.recovery_site_id, request, who)

    async def failover(
        self,
        vpg_id: str,
        *,
        checkpoint_id: str | None,
        commit_policy: CommitPolicy,
        wait_seconds: int | None,
        shutdown_policy: ShutdownPolicy,
        reverse_protection: bool,
        vm_ids: list[str] | None,
        who: str,
    ) -> str:
        """Recover the VMs (None: all) at a checkpoint (None: the latest), up to Before Commit [F1-F7]."""
        request = {
            "checkpoint_id": checkpoint_id,
            "commit_policy": int(commit_policy),
            "wait_seconds": wait_seconds,
            "shutdown_policy": int(shutdown_policy),
            "reverse_protection": reverse_protection,
            "vm_ids": vm_ids,
        }
        return await self._at_recovery_site(TaskType.FailOver, vpg_id, request, who)

    async def failover_commit(self, vpg_id: str, *, reverse_protection: bool, who: str) -> str:
        """Keep what was recovered [F8]."""
        request = {"reverse_protection": reverse_protection}
        return await self._at_recovery_site(TaskType.FailoverCommit, vpg_id, request, who)

    async def failover_rollback(self, vpg_id: str, who: str) -> str:
        """All as before the failover [F9]."""
        return await self._at_recovery_site(TaskType.FailoverRollback, vpg_id, {}, who)

    async def clone(
        self, vpg_id: str, *, checkpoint_id: str | None, datastore_id: str | None, vm_ids: list[str] | None, who: str
    ) -> str:
        """Copy VMs (None: all) at a checkpoint (None: the latest) to VMs of their own [L1-L3, L5]."""
        request = {"checkpoint_id": checkpoint_id, "datastore_id": datastore_id, "vm_ids": vm_ids}
        return await self._at_recovery_site(TaskType.Clone, vpg_id, request, who)

    async def clone_abort(self, vpg_id: str, who: str) -> str:
        """Stop the VPG's clones; nothing of them is left [L4]."""
        return await self._at_recovery_site(TaskType.AbortClone, vpg_id, {}, who)

    async def steer(self, vpg_id: str, action: Steering, who: str) -> str:
        """Pause, resume or compare; carried out by the protected site, with the other one away too [S1-S3]."""
        row = await asyncio.to_thread(self._site.vpg, vpg_id)
        return await self._orders.place(_STEERING[action], vpg_id, row.vpg.protected_site_id, {}, who)

    async def move(
        self,
        vpg_id: str,
        *,
        commit_policy: CommitPolicy | None,
        wait_seconds: int | None,
        force_shutdown: bool | None,
        reverse_protection: bool,
        keep_source_vms: bool,
        continue_on_script_failure: bool,
        who: str,
    ) -> str:
        """Shut the VMs down and run them at the recovery site, nothing lost, up to Before Commit [M1-M5]."""
        request = {
            "commit_policy": None if commit_policy is None else int(commit_policy),
            "wait_seconds": wait_seconds,
            "force_shutdown": force_shutdown,
            "reverse_protection": reverse_protection,
            "keep_source_vms": keep_source_vms,
            "continue_on_script_failure": continue_on_script_failure,
        }
        return await self._at_recovery_site(TaskType.Move, vpg_id, request, who)

    async def move_commit(
        self, vpg_id: str, *, reverse_protection: bool | None, keep_source_vms: bool | None, who: str
    ) -> str:
        """Keep the move; None: as the move said [M7]."""
        request = {"reverse_protection": reverse_protection, "keep_source_vms": keep_source_vms}
        return await self._at_recovery_site(TaskType.MoveCommit, vpg_id, request, who)

    async def move_rollback(self, vpg_id: str, who: str) -> str:
        """All as before the move [M8]."""
        return await self._at_recovery_site(TaskType.MoveRollback, vpg_id, {}, who)

    async def update_vpg(self, order: VpgOrder, who: str) -> str:
        """Change a VPG's name, settings and VMs; one that needs configuration is protected back with them [F6]."""
        vpg = (await asyncio.to_thread(self._site.vpg, str(order.vpg_id))).vpg
        kind = TaskType.UpdateProtectionGroup
        if vpg.way_home is None or vpg.way_home.began:
            request: dict[str, Any] = {"update": order.model_dump(mode="json")}
            return await self._orders.place(kind, vpg.id, vpg.recovery_site_id, request, who)
        if (order.protected_site_id, order.recovery_site_id) != (vpg.protected_site_id, vpg.recovery_site_id):
            raise BadInput(f"The VPG {vpg.name} runs at its recovery site now.", "Leave its sites as they are.")
        if order.vm_ids and set(order.vm_ids) != {vm.vm_id for vm in vpg.vms}:
            raise BadInput(f"The VMs of VPG {vpg.name} cannot be changed while it is protected back.", "Leave them.")
        request = {"settings": order.settings.model_dump(mode="json"), "name": order.name}
        return await self._orders.place(kind, vpg.id, vpg.protected_site_id, request, who)

    async def report(self, task_id: str) -> ReportView | None:
        """What an operation did, step by step."""
        return await self._reports.of(task_id)
