"""The one connection to a VM's process, for whoever needs it: its monitor takes no second one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

from farshore.appliance.protection import VpgProtection
from farshore.errors import NotFound
from farshore.hypervisor.driver import VmHandle, VmSummary
from farshore.hypervisor.registry import Hypervisors


class VmDoors:
    """Lends the connection that a VM's protection holds, or opens one where there is none."""

    def __init__(self, hypervisors: Hypervisors, protections: Mapping[str, VpgProtection]) -> None:
        """`protections` is looked at anew for every use."""
        self.hypervisors = hypervisors
        self._protections = protections
        self._locks: dict[str, asyncio.Lock] = {}

    @contextlib.asynccontextmanager
    async def open(self, vm_id: str) -> AsyncIterator[VmHandle]:
        """A handle for the time of the block. Raises NotFound, VmGone (it is off), Unavailable."""
        async with self._locks.setdefault(vm_id, asyncio.Lock()):
            protection = next((p for p in self._protections.values() if vm_id in p.spec.vm_ids), None)
            if protection is not None:
                async with protection.borrowed(vm_id) as handle:
                    yield handle
                return
            handle = await self.hypervisors.open_vm(vm_id)
            try:
                yield handle
            finally:
                await handle.close()

    async def summary(self, vm_id: str) -> VmSummary | None:
        """The VM as it is listed, None when there is none of that name."""
        try:
            return await self.hypervisors.find_vm(vm_id)
        except NotFound:
            return None

    def is_off(self, vm_id: str) -> bool:
        """Whether no process of that VM is there; a VM that is not known has none."""
        try:
            driver = self.hypervisors.driver_of(vm_id)
        except NotFound:
            return True
        return not driver.processes.is_live(vm_id)
