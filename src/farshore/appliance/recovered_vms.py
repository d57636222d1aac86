"""Recovered VMs of an operation: started on scratch over views; removed without a trace, or promoted and adopted.

A test's are on a network of their own; those of a failover or move are on the site's. What was started is kept in
`appliance/recovered/<operation>.json`, written before the first start, so that whatever comes after any kill finds
all of it.
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
Views = dict[str, dict[str, dict[str, str]]]
"""By protected VM and disk the view's socket and export."""


class RecoveredVms:
    """The recovered VMs of a site, by operation."""

    def __init__(self, around: Surroundings, hypervisors: Hypervisors) -> None:
        """Nothing is started here."""
        self.around = around
        self.hypervisors = hypervisors
        self.folder = around.site_folder / "appliance" / "recovered"

    async def start(
        self, operation: str, label: str, definitions: list[dict[str, Any]], views: Views, isolated: bool
    ) -> list[dict[str, Any]]:
        """Start the VMs, all or none. Again is the same."""
        sources = [VmDefinition.model_validate(d) for d in definitions]
        requests = [self._request(operation, label, source, views) for source in sources]
        vms = [_recorded(source.id, request) for source, request in zip(sources, requests, strict=True)]
        self.folder.mkdir(parents=True, exist_ok=True)
        self.scratch(operation).mkdir(parents=True, exist_ok=True)
        write_durably(self._path(operation), json.dumps({"vms": vms, "label": label}).encode())
        network = self._network(operation) if isolated else None
        await self.hypervisors.start_vms(requests, network_scope=network, label=operation)
        return await self.status(operation)

    async def remove(self, operation: str) -> None:
        """Stop the VMs and remove their scratch; none is fine."""
        if self.record(operation) is None:
            return
        await self.stop(operation)
        await self.forget(operation)

    async def stop(self, operation: str) -> None:
        """Stop the VMs; their scratch stays. None is fine."""
        for vm in (self.record(operation) or {"vms": []})["vms"]:
            try:
                await self.hypervisors.stop_vm(vm["vm_id"], force=True)
            except NotFound:
                continue

    async def forget(self, operation: str) -> None:
        """Remove scratch and record; the VMs go on, they need neither any more. None is fine."""
        await asyncio.to_thread(shutil.rmtree, self.scratch(operation), True)
        await asyncio.to_thread(shutil.rmtree, self._network(operation), True)
        if self.folder.is_dir():
            remove_durably(self._path(operation))

    async def status(self, operation: str) -> list[dict[str, Any]]:
        """The operation's VMs as they are; empty when there are none."""
        record = self.record(operation)
        if record is None:
            return []
        by_id = {summary.id: summary for summary in await self.hypervisors.list_vms()}
        return [_shown(vm, by_id.get(vm["vm_id"])) for vm in record["vms"]]

    def record(self, operation: str) -> dict[str, Any] | None:
        """What was started, None when nothing was."""
        try:
            record: dict[str, Any] = json.loads(self._path(operation).read_text())
        except FileNotFoundError:
            return None
        return record

    def _request(self, operation: str, label: str, definition: VmDefinition, views: Views) -> StartRequest:
        scratch = self.scratch(operation)
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

    def scratch(self, operation: str) -> Path:
        """The folder of what the operation's VMs write."""
        return self.around.site_folder / "scratch" / operation

    def _network(self, operation: str) -> Path:
        return self.around.run_folder / f"net-{operation[:8]}"


def _recorded(source_vm_id: str, request: StartRequest) -> dict[str, Any]:
    return {
        "vm_id": request.definition.id,
        "name": request.definition.name,
        "source_vm_id": source_vm_id,
        "definition": request.definition.model_dump(mode="json"),
        "serial_log": str(request.serial_log),
        "scratch": {disk_id: str(overlay.scratch_path) for disk_id, overlay in request.overlays.items()},
    }


def _shown(vm: dict[str, Any], summary: VmSummary | None) -> dict[str, Any]:
    return {
        "vm_id": vm["vm_id"],
        "name": vm["name"],
        "source_vm_id": vm.get("source_vm_id", ""),
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
