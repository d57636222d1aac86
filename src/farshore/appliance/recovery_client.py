"""The part of the appliance's client that failover, move and their ends use; see `client`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

LONG_CALL_SECONDS_MAX = 60.0


class RecoveryClient(ABC):
    """Calls by name, over a connection that a subclass has. Each is safe to repeat."""

    @abstractmethod
    async def call(self, call: str, timeout_seconds: float = ..., /, **args: Any) -> Any:
        """Make a call by name."""

    # -- where the VMs were protected

    async def halt_vms(self, vpg_id: str, vm_ids: list[str], operation: str, *, force: bool) -> dict[str, str]:
        """Ask VMs to halt, or force them; at once. How each is now: running, halted or off. Ask again until all are.

        Their processes and taps stay: a checkpoint that is cut then holds the very last write. Which ran is remembered
        under `operation`. Raises NotFound (then none was asked).
        """
        call: dict[str, Any] = {"vpg_id": vpg_id, "vm_ids": vm_ids, "operation": operation, "force": force}
        return dict(await self.call("halt_vms", LONG_CALL_SECONDS_MAX, **call))

    async def revive_vms(self, vpg_id: str, operation: str) -> None:
        """Let run again what `operation` halted and what ran before; what has ended meanwhile is started anew."""
        await self.call("revive_vms", LONG_CALL_SECONDS_MAX, vpg_id=vpg_id, operation=operation)

    async def retire_protection(self, vpg_id: str) -> None:
        """Take the taps off and forget the VPG; the bitmaps go on counting."""
        await self.call("retire_protection", LONG_CALL_SECONDS_MAX, vpg_id=vpg_id)

    async def end_vms(self, vpg_id: str, vm_ids: list[str]) -> None:
        """End the processes of halted VMs. Raises Conflict when one runs."""
        await self.call("end_vms", LONG_CALL_SECONDS_MAX, vpg_id=vpg_id, vm_ids=vm_ids)

    async def hold_vms(self, vpg_id: str, vm_ids: list[str], reason: str) -> None:
        """The VMs cannot be started from now on, and whoever tries reads `reason`. Raises NotFound, Conflict."""
        await self.call("hold_vms", vpg_id=vpg_id, vm_ids=vm_ids, reason=reason)

    async def release_vms(self, vpg_id: str, vm_ids: list[str]) -> None:
        """The VMs may be started again."""
        await self.call("release_vms", vpg_id=vpg_id, vm_ids=vm_ids)

    async def delete_vms(self, vpg_id: str, vm_ids: list[str]) -> None:
        """Remove definitions and disk files (no block device). Raises Conflict: one runs, or its disk is in use."""
        await self.call("delete_vms", LONG_CALL_SECONDS_MAX, vpg_id=vpg_id, vm_ids=vm_ids)

    # -- where they are recovered

    async def open_views(
        self, vpg_id: str, checkpoint_id: str, operation: str, volumes: list[int]
    ) -> dict[int, dict[str, Any]]:
        """Open views of volumes at a checkpoint: {number: {"socket", "export"}}."""
        call: dict[str, Any] = {"vpg_id": vpg_id, "checkpoint_id": checkpoint_id, "operation": operation}
        opened = await self.call("open_views", LONG_CALL_SECONDS_MAX, **call, volumes=volumes)
        return {int(number): view for number, view in opened.items()}

    async def close_views(self, operation: str) -> None:
        """Close an operation's views. Raises Conflict while its VMs are being promoted."""
        await self.call("close_views", LONG_CALL_SECONDS_MAX, operation=operation)

    async def start_recovered_vms(
        self,
        operation: str,
        label: str,
        definitions: list[dict[str, Any]],
        views: dict[str, dict[str, dict[str, str]]],
        *,
        isolated: bool = True,
    ) -> list[dict[str, Any]]:
        """Start recovered VMs; `views`: by vm_id and disk_id the view's socket and export. See `recovered_status`.

        `isolated`: on a network of their own, else on the site's. `label` is put behind their names; empty: nothing.
        """
        call: dict[str, Any] = {"operation": operation, "label": label, "definitions": definitions, "views": views}
        return list(await self.call("start_recovered_vms", LONG_CALL_SECONDS_MAX, **call, isolated=isolated))

    async def remove_recovered_vms(self, operation: str) -> None:
        """Stop and remove an operation's VMs and their scratch. Raises Conflict once they are being promoted."""
        await self.call("remove_recovered_vms", LONG_CALL_SECONDS_MAX, operation=operation)

    async def recovered_status(self, operation: str) -> list[dict[str, Any]]:
        """An operation's VMs: vm_id, name, source_vm_id (the protected VM), power, serial_log, disks."""
        return list(await self.call("recovered_status", operation=operation))

    async def promote_recovered(
        self, vpg_id: str, operation: str, checkpoint_id: str, volumes: dict[str, dict[str, int]]
    ) -> None:
        """Begin to make the operation's VMs independent of journal and views, while they run; at once.

        `volumes`: by recovered vm_id and disk_id the volume's number. It goes on by itself after a restart of the
        appliance; after a failure it goes on when asked again. Raises NotFound, BadInput.
        """
        call: dict[str, Any] = {"vpg_id": vpg_id, "operation": operation, "checkpoint_id": checkpoint_id}
        await self.call("promote_recovered", **call, volumes=volumes)

    async def promotion_status(self, operation: str) -> dict[str, Any]:
        """How far it is: state (running, failed, done), reason, done_bytes, total_bytes, vms. Raises NotFound.

        vms: by vm_id `instance` (the process whose bitmaps have counted since before the promotion, empty when there
        is none such) and `disks`, by disk_id the path of each that is promoted.
        """
        return dict(await self.call("promotion_status", operation=operation))

    async def adopt_recovered(self, operation: str) -> list[dict[str, Any]]:
        """Take the promoted VMs into the inventory; their definitions. Scratch and the operation's record are removed.

        A VM that is held and whose disks have become theirs leaves the inventory. Raises NotFound, Conflict.
        """
        return list(await self.call("adopt_recovered", LONG_CALL_SECONDS_MAX, operation=operation))

    async def retire_journal(self, vpg_id: str, volumes: list[int] | None) -> None:
        """Remove all checkpoints of these volumes (None: of all). The epoch stays: an older sender is refused."""
        await self.call("retire_journal", LONG_CALL_SECONDS_MAX, vpg_id=vpg_id, volumes=volumes)
