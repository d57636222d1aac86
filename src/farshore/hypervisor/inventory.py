"""The inventory of a site: one JSON file a VM in `<site>/vms`, which a person or the lab puts there, or a commit.

A VM is held by a file `<id>.held` beside it, with the reason: it cannot be started until that is gone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from farshore.errors import BadInput, NotFound
from farshore.model.files import remove_durably, write_durably
from farshore.model.vm import VmDefinition


@dataclass(frozen=True)
class InventoryEntry:
    """A file of the inventory: either a definition, or a problem in words. `vm_id` is the file's name."""

    vm_id: str
    definition: VmDefinition | None
    problem: str | None


class Inventory:
    """The definitions in one folder. A file that is not valid is told of, and hinders no other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def entries(self) -> list[InventoryEntry]:
        """All files, by name. A folder that does not exist is an empty inventory."""
        return [_read(path) for path in sorted(self.folder.glob("*.json")) if not path.name.startswith(".")]

    def entry(self, vm_id: str) -> InventoryEntry | None:
        """The file of that VM, None when there is none."""
        path = self._path(vm_id)
        return _read(path) if path is not None and path.exists() else None

    def find(self, vm_id: str) -> VmDefinition | None:
        """The definition of that VM, None when it has none. Raises NotFound, with the problem, for a bad file."""
        entry = self.entry(vm_id)
        if entry is None:
            return None
        if entry.definition is None:
            raise NotFound(f"The VM {vm_id} cannot be used: {entry.problem}", "Mend the file.")
        return entry.definition

    def put(self, definition: VmDefinition) -> None:
        """Write a definition durably, in the place of the one that there may be."""
        self.folder.mkdir(parents=True, exist_ok=True)
        data = json.dumps(definition.model_dump(mode="json"), indent=1).encode()
        write_durably(self.folder / f"{definition.id}.json", data)

    def adopt(self, definition: VmDefinition) -> None:
        """A recovered VM that was committed belongs to this site from now on; safe to repeat."""
        self.put(definition)

    def hold(self, vm_id: str, reason: str) -> None:
        """Durably refuse to start the VM, for that reason; the reason of an earlier hold is replaced.

        Raises BadInput for what cannot be an identifier.
        """
        path = self._path(vm_id, "held")
        if path is None:
            raise BadInput(f"{vm_id!r} cannot be a VM's identifier.", "farshore vm list shows all.")
        self.folder.mkdir(parents=True, exist_ok=True)
        write_durably(path, reason.encode())

    def release(self, vm_id: str) -> None:
        """The VM may be started again; not held is fine."""
        path = self._path(vm_id, "held")
        if path is not None and path.exists():
            remove_durably(path)

    def held(self, vm_id: str) -> str | None:
        """Why the VM cannot be started, None when it can."""
        path = self._path(vm_id, "held")
        if path is None:
            return None
        try:
            return path.read_text(errors="replace") or "No reason is told."
        except FileNotFoundError:
            return None

    def remove(self, vm_id: str) -> None:
        """Remove a definition; none is fine."""
        path = self._path(vm_id)
        if path is not None and path.exists():
            remove_durably(path)

    def _path(self, vm_id: str, kind: str = "json") -> Path | None:
        """None for a name that is no file's name in the folder: it may come from a client."""
        if not vm_id or vm_id.startswith(".") or "/" in vm_id or "\0" in vm_id or len(vm_id.encode()) > 200:
            return None
        return self.folder / f"{vm_id}.{kind}"


def _read(path: Path) -> InventoryEntry:
    try:
        definition = VmDefinition.model_validate_json(path.read_bytes())
    except OSError as error:
        return InventoryEntry(path.stem, None, f"{path} cannot be read: {error.strerror}.")
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        return InventoryEntry(path.stem, None, f"{path} is not valid: {where}: {first['msg']}.")
    if definition.id != path.stem:
        return InventoryEntry(
            path.stem, None, f"{path} is not valid: its id is {definition.id}, which is not its name."
        )
    if len({disk.id for disk in definition.disks}) != len(definition.disks):
        return InventoryEntry(path.stem, None, f"{path} is not valid: two of its disks have the same id.")
    return InventoryEntry(path.stem, definition, None)
