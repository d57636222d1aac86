"""The VMs of a lab: put into north's inventory and started through the site's own hypervisor drivers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal

from farshore.hypervisor.driver import StartRequest, VmSummary
from farshore.hypervisor.inventory import Inventory
from farshore.hypervisor.registry import Hypervisors
from farshore.model.rundir import make_run_directory
from farshore.model.site import SiteConfig
from farshore.model.vm import DiskDefinition, VmDefinition


def storage_definitions(site_folder: Path, site_id: str, vms: int, disks: int, size_bytes: int) -> list[VmDefinition]:
    """VMs that are only disks: sparse raw files under the site's `disks` folder, made here."""
    folder = site_folder / "disks"
    folder.mkdir(exist_ok=True)
    return [_storage_vm(folder, site_id, number, disks, size_bytes) for number in range(1, vms + 1)]


def _storage_vm(folder: Path, site_id: str, number: int, disks: int, size_bytes: int) -> VmDefinition:
    made = []
    for disk in range(disks):
        disk_id = disk_name(disk)
        path = folder / f"vm-{number}-{disk_id}.raw"
        with path.open("xb") as image:
            image.truncate(size_bytes)
        made.append(DiskDefinition(id=disk_id, path=str(path), size_bytes=size_bytes))
    return VmDefinition(
        id=f"{site_id}.vm-{number}", name=f"vm-{number}", hypervisor="storage_daemon", disks=tuple(made)
    )


def disk_name(number: int) -> str:
    """disk-a, disk-b, ..., disk-z, disk-27, ..."""
    return f"disk-{chr(ord('a') + number)}" if number < 26 else f"disk-{number + 1}"


def put_vms(site_folder: Path, definitions: list[VmDefinition]) -> None:
    """Write definitions into the site's inventory."""
    inventory = Inventory(site_folder / "vms")
    for definition in definitions:
        inventory.put(definition)


def start_vms(site_folder: Path) -> list[VmSummary]:
    """Start all VMs of the site's inventory that are off and not held; their state. Raises StartFailed, Unsupported."""
    inventory = Inventory(site_folder / "vms")
    definitions = [entry.definition for entry in inventory.entries() if entry.definition is not None]
    requests = [StartRequest(definition) for definition in definitions if inventory.held(definition.id) is None]
    return asyncio.run(_hypervisors(site_folder).start_vms(requests)) if requests else []


def list_vms(site_folder: Path) -> list[VmSummary]:
    """All VMs of the site, recovered ones included; none where its folder is gone."""
    if not site_folder.is_dir():
        return []
    return asyncio.run(_hypervisors(site_folder).list_vms())


def _hypervisors(site_folder: Path) -> Hypervisors:
    return Hypervisors(site_folder, make_run_directory(site_folder), accelerator(site_folder))


def accelerator(site_folder: Path) -> Literal["kvm", "tcg"]:
    """What the lab's VMs run on: what the site's settings say; `auto` is TCG, which every machine has."""
    chosen = SiteConfig.load(site_folder).settings.accelerator
    return "kvm" if chosen == "kvm" else "tcg"
