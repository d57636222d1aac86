"""What the API needs of the site behind it, as one Protocol: the manager implements it, the API knows nothing else.

Promises of every method: it does not block the event loop; it raises errors of `farshore.errors` with fact and remedy
(NotFound for what does not exist, BadInput, Conflict, Unavailable within 2 s when another site must act and does not
answer); an order is durable before its task's identifier is returned [G11]. `who` is the account's name.
"""

from __future__ import annotations

from typing import Protocol

from farshore.api.record_services import RecordServices
from farshore.model.access import Account, AccountOrder, AuditRecord, Role
from farshore.model.actions import Steering
from farshore.model.policies import CommitPolicy, ShutdownPolicy
from farshore.model.views import (
    CheckpointView,
    LocalSiteView,
    PeerSiteView,
    ProtectedVmView,
    ReportView,
    SiteResourcesView,
    SiteVmView,
    TaskFilter,
    TaskView,
    TokenView,
    VpgOrder,
    VpgView,
)


class Services(RecordServices, Protocol):
    """The site behind the API."""

    async def verify_password(self, user: str, password: str) -> Account | None:
        """The user's account if the password is right; takes as long for an unknown user."""

    async def verify_client(self, client_id: str, secret: str) -> Account | None:
        """The program's account if the secret is right; takes as long for an unknown client."""

    async def account(self, name: str) -> Account | None:
        """The account of that name as it is now, or None."""

    async def accounts(self) -> list[Account]:
        """All accounts by name."""

    async def add_account(self, order: AccountOrder) -> str:
        """Make an account; its password or secret. BadInput (name, password, a VPG that is not there), Conflict."""

    async def change_account(self, name: str, role: Role, vpg_ids: tuple[str, ...]) -> Account:
        """Give it a role, bound to those VPGs. NotFound, BadInput, Conflict for the last administrator."""

    async def change_secret(self, name: str, secret: str | None) -> str:
        """Give it a password or secret (None: made up), and tell it. NotFound, BadInput."""

    async def remove_account(self, name: str) -> None:
        """Remove it. NotFound, Conflict for the last administrator."""

    async def audit(self, kind: str, record: AuditRecord) -> None:
        """Write it into the events; durable when this returns."""

    async def local_site(self) -> LocalSiteView:
        """This site."""

    async def peer_sites(self) -> list[PeerSiteView]:
        """The sites that this one is paired with."""

    async def generate_token(self, who: str) -> TokenView:
        """A new one-time pairing token."""

    async def pair(self, host: str, port: int, token: str, who: str) -> str:
        """Pair with the site whose manager listens for peers there; the task's identifier."""

    async def unpair(self, site_id: str, who: str) -> str:
        """Trust that site no longer; the task's identifier. Conflict while a VPG needs it, NotFound."""

    async def site_vms(self, site_id: str) -> list[SiteVmView]:
        """The inventory of this site or of a paired one. NotFound, Unavailable."""

    async def site_resources(self, site_id: str) -> SiteResourcesView:
        """Hosts, datastores and so on of this site or of a paired one. NotFound, Unavailable."""

    async def list_vpgs(self) -> list[VpgView]:
        """All VPGs that this site has a part in, by name."""

    async def get_vpg(self, vpg_id: str) -> VpgView | None:
        """One VPG, or None."""

    async def protected_vms(self) -> list[ProtectedVmView]:
        """All VMs of all VPGs; a VM in two VPGs stands twice."""

    async def checkpoints(
        self,
        vpg_id: str,
        from_ns: int | None = None,
        to_ns: int | None = None,
        limit: int | None = None,
        *,
        newest_first: bool = False,
    ) -> list[CheckpointView]:
        """Checkpoints with from_ns <= time <= to_ns; at most `limit`, counted from the end that is first. NotFound."""

    async def create_vpg(self, order: VpgOrder, who: str) -> str:
        """Protect VMs; the task's identifier. BadInput (unknown VM, site), Conflict (name taken, VM protected)."""

    async def update_vpg(self, order: VpgOrder, who: str) -> str:
        """Make the VPG `order.vpg_id` what the order says; the task's identifier. NotFound, BadInput, Conflict.

        One that a committed failover or move has left needing configuration is protected back [F6].
        """

    async def delete_vpg(self, vpg_id: str, *, force: bool, keep_recovery_volumes: bool, who: str) -> str:
        """End a VPG; the task's identifier. NotFound, Conflict, Unavailable (not with force)."""

    async def insert_checkpoint(self, vpg_id: str, name: str, who: str) -> str:
        """Cut a tagged checkpoint; the task's identifier. NotFound, Conflict, Unavailable."""

    async def failover_test(self, vpg_id: str, checkpoint_id: str | None, vm_ids: list[str] | None, who: str) -> str:
        """Start a failover test at a checkpoint (None: the latest) of some VMs (None: all); the task's identifier.

        NotFound for the VPG, BadInput for checkpoint and VMs, Conflict, Unavailable.
        """

    async def failover_test_stop(
        self, vpg_id: str, *, success: bool, summary: str | None, test_task: str | None, who: str
    ) -> str:
        """Stop the VPG's tests (or the one begun by `test_task`); the task's identifier. NotFound, Conflict."""

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
        """Recover at a checkpoint (None: the latest) some VMs (None: all), up to Before Commit; the task's identifier.

        `wait_seconds`: how long Before Commit lasts before the policy is carried out; None: the site's setting.
        NotFound for the VPG, BadInput for checkpoint and VMs, Conflict, Unavailable.
        """

    async def failover_commit(self, vpg_id: str, *, reverse_protection: bool, who: str) -> str:
        """Make the recovered VMs the VPG's own; the task's identifier. NotFound, Conflict (not in Before Commit)."""

    async def failover_rollback(self, vpg_id: str, who: str) -> str:
        """Undo the failover in Before Commit; the task's identifier. NotFound, Conflict."""

    async def clone(
        self, vpg_id: str, *, checkpoint_id: str | None, datastore_id: str | None, vm_ids: list[str] | None, who: str
    ) -> str:
        """Copy some VMs (None: all) at a checkpoint (None: the latest) to VMs that are off; the task's identifier.

        `datastore_id` None: where there is most room. NotFound for the VPG, BadInput for checkpoint, datastore and VMs,
        Conflict (the same VM is being cloned to the same place), Unavailable.
        """

    async def clone_abort(self, vpg_id: str, who: str) -> str:
        """Stop the VPG's clones, without a trace; the task's identifier. NotFound, Conflict (none runs)."""

    async def steer(self, vpg_id: str, action: Steering, who: str) -> str:
        """Pause or resume replication, or compare all disks; the task's identifier. NotFound, Conflict, Unavailable."""

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
        """Shut the VMs down and recover them with their last writes, up to Before Commit; the task's identifier.

        `commit_policy` and `wait_seconds`: None is the site's setting. NotFound, Conflict (in a sync too), Unavailable.
        """

    async def move_commit(
        self, vpg_id: str, *, reverse_protection: bool | None, keep_source_vms: bool | None, who: str
    ) -> str:
        """Commit the move; the task's identifier. None: as the move said. NotFound, Conflict (not in Before Commit)."""

    async def move_rollback(self, vpg_id: str, who: str) -> str:
        """Undo the move in Before Commit; the task's identifier. NotFound, Conflict."""

    async def report(self, task_id: str) -> ReportView | None:
        """What the operation of a task did, step by step; None: there is no such task."""

    async def tasks(self, which: TaskFilter) -> list[TaskView]:
        """Tasks that the filter lets through, newest first."""

    async def task(self, task_id: str) -> TaskView | None:
        """One task, or None."""
