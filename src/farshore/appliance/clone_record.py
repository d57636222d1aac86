"""What is known of a clone across the watcher's restarts: `appliance/clones/<operation>.json`.

It is written before the first file is, and stays until the clone was taken over for good or removed: whatever comes
after any kill finds all of it.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from farshore.model.files import write_durably
from farshore.model.vm import VmDefinition

_NAMESPACE = uuid.UUID("6f0f2b0a-2f0c-5d5e-9e0f-0d9d2c6b7c11")
NAME_CHARACTERS_MAX = 255


@dataclass(slots=True)
class ClonedVm:
    """One VM. `numbers`: the volume of each disk; `definition`: what the clone is."""

    source_vm_id: str
    definition: dict[str, Any]
    numbers: dict[str, int]

    def file(self, disk_id: str) -> str:
        """The name of a disk's image."""
        return f"{self.definition['id']}.{disk_id}.raw"


@dataclass(slots=True)
class CloneRecord:
    """One clone. `state`: copying, failed (with `reason`), copied, adopted; `sizes`: of each image, once known."""

    path: Path
    operation: str
    vpg_id: str
    checkpoint_id: str
    folder: str
    vms: list[ClonedVm]
    sizes: dict[str, int]
    state: str = "copying"
    reason: str = ""

    @classmethod
    def load(cls, path: Path) -> CloneRecord:
        """Raises FileNotFoundError."""
        data = json.loads(path.read_text())
        vms = [ClonedVm(**vm) for vm in data.pop("vms")]
        return cls(path=path, vms=vms, **data)

    def save(self) -> None:
        """Make it durable. Raises OSError."""
        data = asdict(self)
        del data["path"]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(self.path, json.dumps(data).encode())

    def disks(self) -> dict[str, int]:
        """{image: volume number} of all VMs."""
        return {vm.file(disk_id): number for vm in self.vms for disk_id, number in vm.numbers.items()}

    def definitions(self) -> list[VmDefinition]:
        """The clones, on their images."""
        return [self._settled(vm) for vm in self.vms]

    def _settled(self, vm: ClonedVm) -> VmDefinition:
        definition = VmDefinition.model_validate(vm.definition)
        disks = tuple(
            disk.model_copy(
                update={
                    "path": f"{self.folder}/{vm.file(disk.id)}",
                    "format": "raw",
                    "size_bytes": self.sizes.get(vm.file(disk.id), disk.size_bytes),
                }
            )
            for disk in definition.disks
        )
        return definition.model_copy(update={"disks": disks})


def cloned_definition(source: VmDefinition, operation: str, time_ns: int, taken: Collection[str]) -> dict[str, Any]:
    """The clone of a VM: an identifier, a name and network addresses of its own; its disks are still the source's.

    Its name is the VM's with the checkpoint's time (UTC); a number goes with it where that name is `taken`.
    """
    moment = datetime.fromtimestamp(time_ns / 1e9, UTC).strftime("%Y-%m-%d %H.%M.%S")
    count = 1
    while (name := _name(source.name, moment, count)) in taken:
        count += 1
    nics = tuple(
        nic.model_copy(update={"mac": _mac(uuid.uuid5(_NAMESPACE, f"{operation}/{source.id}/{nic.id}"))})
        for nic in source.nics
    )
    own = {"id": str(uuid.uuid5(_NAMESPACE, f"{operation}/{source.id}")), "name": name, "nics": nics}
    return source.model_copy(update={**own, "serial_log": None}).model_dump(mode="json")


def _name(vm_name: str, moment: str, count: int) -> str:
    end = f" - {moment} (clone)" if count == 1 else f" - {moment} (clone {count})"
    return vm_name[: NAME_CHARACTERS_MAX - len(end)] + end


def _mac(made_from: uuid.UUID) -> str:
    """An address in QEMU's range."""
    return "52:54:00:" + ":".join(f"{byte:02x}" for byte in made_from.bytes[:3])
