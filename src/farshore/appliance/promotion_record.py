"""What is known of a promotion across the watcher's restarts: `appliance/promotions/<operation>.json`.

It is written before the first step and after each: what it does not say is done again, and every step stands that.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from farshore.model.files import write_durably
from farshore.model.vm import VmDefinition


@dataclass(slots=True)
class PromotedDisk:
    """One disk: from scratch over a view to a plain file. `path` is known once the journal has let the file go."""

    number: int
    scratch: str
    path: str = ""
    done: bool = False
    size_bytes: int = 0
    """What the commit of the scratch wrote, for the progress."""


@dataclass(slots=True)
class PromotedVm:
    """One recovered VM. `definition` is the one it was started as.

    `instance`: the process whose bitmaps count since before the promotion; empty when there is none such.
    """

    definition: dict[str, Any]
    serial_log: str
    disks: dict[str, PromotedDisk]
    instance: str = ""
    broken: bool = False
    """Its process ended on the way: no bitmap has counted all of it."""
    settled: bool = False

    def settled_definition(self) -> VmDefinition:
        """What the VM is from now on: the same, on plain files."""
        definition = VmDefinition.model_validate(self.definition)
        disks = tuple(d.model_copy(update={"path": self.disks[d.id].path, "format": "raw"}) for d in definition.disks)
        return definition.model_copy(update={"disks": disks, "serial_log": self.serial_log})


@dataclass(slots=True)
class PromotionRecord:
    """One operation's promotion. `state`: running, failed (with `reason`), done, adopted."""

    path: Path
    operation: str
    vpg_id: str
    checkpoint_id: str
    vms: dict[str, PromotedVm]
    state: str = "running"
    reason: str = ""
    adopted: list[dict[str, Any]] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    """Held VMs whose disks have become those of these: neither definition nor hold of them stays."""

    @classmethod
    def load(cls, path: Path) -> PromotionRecord:
        """Raises FileNotFoundError."""
        data = json.loads(path.read_text())
        vms = {
            vm_id: PromotedVm(**{**vm, "disks": {d: PromotedDisk(**disk) for d, disk in vm["disks"].items()}})
            for vm_id, vm in data.pop("vms").items()
        }
        return cls(path=path, vms=vms, **data)

    def save(self) -> None:
        """Make it durable. Raises OSError."""
        data = asdict(self)
        del data["path"]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(self.path, json.dumps(data).encode())

    def disks(self) -> list[PromotedDisk]:
        """All disks of all VMs."""
        return [disk for vm in self.vms.values() for disk in vm.disks.values()]
