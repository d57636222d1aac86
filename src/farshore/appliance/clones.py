"""The calls of a clone: copy volumes of a checkpoint into images of their own, and take them over as VMs that are off.

A clone is nothing that a person sees until `adopt_clone`; until `keep_clone` it can be removed without a trace.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from farshore.appliance.clone_copy import CloneCopy
from farshore.appliance.clone_record import ClonedVm, CloneRecord, cloned_definition
from farshore.appliance.copies import Copies
from farshore.appliance.datastores import Datastores
from farshore.appliance.keeping import VpgJournal
from farshore.appliance.road import Surroundings
from farshore.appliance.vm_doors import VmDoors
from farshore.errors import Conflict, NotFound
from farshore.model.files import sync_directory
from farshore.model.vm import VmDefinition


class Clones:
    """All clones under way at a site, by operation."""

    def __init__(
        self,
        around: Surroundings,
        journal: Callable[[str], VpgJournal],
        datastores: Datastores,
        doors: VmDoors,
        reserve_bytes: int | None,
    ) -> None:
        """Nothing goes on before `resume`. `journal` gives a VPG's, or raises NotFound."""
        self._copies = Copies(
            around.site_folder / "appliance" / "clones",
            CloneRecord.load,
            lambda record: CloneCopy(record, around, reserve_bytes),
            "There is no clone {} here.",
        )
        self._journal = journal
        self._datastores = datastores
        self._doors = doors
        self._changing = asyncio.Lock()

    def calls(self) -> dict[str, Callable[..., Any]]:
        """By name."""
        return {
            "begin_clone": self.begin_clone,
            "clone_status": self.clone_status,
            "adopt_clone": self.adopt_clone,
            "keep_clone": self.keep_clone,
            "remove_clone": self.remove_clone,
        }

    def resume(self) -> None:
        """Go on with what was being copied."""
        self._copies.resume()

    async def stop(self) -> None:
        """Leave all where they are."""
        await self._copies.stop()

    async def begin_clone(
        self,
        vpg_id: str,
        operation: str,
        checkpoint: dict[str, Any],
        datastore_id: str,
        definitions: list[dict[str, Any]],
        volumes: dict[str, dict[str, int]],
    ) -> None:
        """Begin to copy; at once. Again is the same, also when it has failed.

        `checkpoint`: its id and time_ns, pinned; `definitions`: the VMs as of it; `volumes`: by VM and disk the volume.
        Raises NotFound, BadInput.
        """
        async with self._changing:
            if self._copies.record(operation) is not None:
                return
            self._journal(vpg_id)
            folder = self._datastores.find(datastore_id).folder / f"clone-{operation}"
            taken = {entry.definition.name for entry in self._doors.hypervisors.inventory.entries() if entry.definition}
            vms = []
            for data in definitions:
                source = VmDefinition.model_validate(data)
                definition = cloned_definition(source, operation, int(checkpoint["time_ns"]), taken)
                taken.add(definition["name"])
                vms.append(ClonedVm(source.id, definition, volumes[source.id]))
            record = CloneRecord(
                self._copies.path(operation), operation, vpg_id, str(checkpoint["id"]), str(folder), vms, {}
            )
            record.save()
            self._copies.go_on(record)

    async def clone_status(self, operation: str) -> dict[str, Any]:
        """How far it is. Raises NotFound."""
        return self._copies.status(operation)

    async def adopt_clone(self, operation: str) -> list[dict[str, Any]]:
        """Put the clones into the inventory, off; gives their definitions. Again is the same.

        Raises NotFound, Conflict while they are not all copied.
        """
        async with self._changing:
            record = self._copies.demand(operation)
            if record.state not in ("copied", "adopted"):
                raise Conflict(f"The clone {operation} is not copied yet ({record.state}).", "Wait.")
            definitions = record.definitions()
            _remove_all_but(Path(record.folder), record.disks())
            for definition in definitions:
                self._doors.hypervisors.inventory.adopt(definition)
            record.state = "adopted"
            record.save()
            return [definition.model_dump(mode="json") for definition in definitions]

    async def keep_clone(self, operation: str) -> None:
        """It was adopted and is VMs like all others from now on; none is fine."""
        async with self._changing:
            record = self._copies.record(operation)
            if record is not None and record.state == "adopted":
                self._copies.forget(operation)

    async def remove_clone(self, vpg_id: str, operation: str) -> None:
        """Stop the copy; its files and VMs go, and the checkpoint's pin. None is fine.

        Raises Conflict when one of its VMs runs, Unavailable.
        """
        async with self._changing:
            await self._remove(operation)
            with contextlib.suppress(NotFound):  # the journal is gone, and the pin with it
                await self._journal(vpg_id).call("unpin", operation=operation)

    async def _remove(self, operation: str) -> None:
        record = self._copies.record(operation)
        if record is None:
            return
        await self._copies.end(operation)
        for definition in record.definitions():
            if not self._doors.is_off(definition.id):
                raise Conflict(f"VM {definition.name} runs.", "Stop it first.")
        for definition in record.definitions():
            self._doors.hypervisors.inventory.remove(definition.id)
            with contextlib.suppress(NotFound):  # a driver may remember that it was started once
                await self._doors.hypervisors.stop_vm(definition.id, force=True)
        folder = Path(record.folder)
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        if folder.parent.is_dir():
            sync_directory(folder.parent)
        self._copies.forget(operation)


def _remove_all_but(folder: Path, images: Collection[str]) -> None:
    """What killed copiers have left beside the images."""
    for path in folder.iterdir():
        if path.name not in images:
            path.unlink()
    sync_directory(folder)
