"""Recovered VMs of an operation: started on scratch over views, on a network of their own; removed without a trace.

What was started is kept in `appliance/recovered/<operation>.json`, written before the first start, so that a removal
after any kill finds all of it.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import uuid
from pathlib import Path
from typing import Any

from farshore.appliance.road import Surroundings
from farshore.errors import NotFound
from farshore.hypervisor.driver import Overlay, StartRequest, VmSummary
from farshore.hypervisor.registry import Hypervisors
from farshore.model.files import remove_durably, write_durably
from farshore.model.vm import VmDefinition

_NAMESPACE = uuid.UUID("a3b0a3de-2d1c-5b43-9d0e-5ad9fbc1a3f1")


class RecoveredVms:
    """The recovered VMs of a site, by operation."""

    def __init__(self, around: Surroundings, hypervisors: Hypervisors) -> None:
        """Nothing is started here."""
        self.around = around
        self.hypervisors = hypervisors
        self.folder = around.site_folder / "appliance" / "recovered"

    async def start(
        self, operation: str, label: str, definitions: list[dict[str, Any]], views: dict[str, dict[str, dict[str, str]]]
    ) -> list[dict[str, Any]]:
        """Start the VMs, all or none; `views`: by VM and disk the view's socket and export. Again is the same."""
        network = self._network(operation)
        requests = [self._request(operation, label, VmDefinition.model_validate(d), views) for d in definitions]
        record = {"vms": [{"vm_id": r.definition.id, "name": r.definition.name} for r in requests], "label": label}
        self.folder.mkdir(parents=True, exist_ok=True)
        self._scratch(operation).mkdir(parents=True, exist_ok=True)
        write_durably(self._path(operation), json.dumps(record).encode())
        await self.hypervisors.start_vms(requests, network_scope=network, label=operation)
        return await self.status(operation)

    async def remove(self, operation: str) -> None:
        """Stop the VMs and remove their scratch; none is fine."""
        try:
            record = json.loads(self._path(operation).read_text())
        except FileNotFoundError:
            return
        for vm in record["vms"]:
            try:
                await self.hypervisors.stop_vm(vm["vm_id"], force=True)
            except NotFound:
                continue
        await asyncio.to_thread(shutil.rmtree, self._scratch(operation), True)
        await asyncio.to_thread(shutil.rmtree, self._network(operation), True)
        remove_durably(self._path(operation))

    async def status(self, operation: str) -> list[dict[str, Any]]:
        """The operation's VMs as they are; empty when there are none."""
        try:
            record = json.loads(self._path(operation).read_text())
        except FileNotFoundError:
            return []
        by_id = {summary.id: summary for summary in await self.hypervisors.list_vms()}
        return [_shown(vm, by_id.get(vm["vm_id"])) for vm in record["vms"]]

    def _request(
        self, operation: str, label: str, definition: VmDefinition, views: dict[str, dict[str, dict[str, str]]]
    ) -> StartRequest:
        scratch = self._scratch(operation)
        short = operation[:8]
        overlays = {
            disk_id: Overlay(Path(view["socket"]), view["export"], scratch / f"{definition.id}.{disk_id}.qcow2")
            for disk_id, view in views[definition.id].items()
        }
        recovered = definition.model_copy(
            update={
                "id": str(uuid.uuid5(_NAMESPACE, f"{operation}/{definition.id}")),
                "name": f"{definition.name} - {label}" if label else definition.name,
                "serial_log": None,
            }
        )
        log = self.around.site_folder / "log" / f"vm-{short}-{definition.name[:60].replace('/', '_')}.serial"
        return StartRequest(recovered, overlays, log)

    def _path(self, operation: str) -> Path:
        return self.folder / f"{operation}.json"

    def _scratch(self, operation: str) -> Path:
        return self.around.site_folder / "scratch" / operation

    def _network(self, operation: str) -> Path:
        return self.around.run_folder / f"net-{operation[:8]}"


def _shown(vm: dict[str, str], summary: VmSummary | None) -> dict[str, Any]:
    return {
        "vm_id": vm["vm_id"],
        "name": vm["name"],
        "power": summary.power if summary else "off",
        "serial_log": str(summary.serial_log) if summary and summary.serial_log else None,
        "disks": [
            {
                "disk_id": d.disk_id,
                "nbd_socket": str(d.nbd_socket) if d.nbd_socket else None,
                "nbd_export": d.nbd_export,
            }
            for d in (summary.disks if summary else ())
        ],
    }
