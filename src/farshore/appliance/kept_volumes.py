"""The calls that keep a VPG's volumes beyond its end: copied from its journal while it still stands, listed, removed.

Nothing of them is seen before they are whole: they are copied into a hidden folder, and one rename makes them known.
Until then they can be dropped without a trace. The journal is not touched by any of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from farshore.appliance.carrier import end_tasks
from farshore.appliance.clone_copy import CloneCopy
from farshore.appliance.copies import Copies
from farshore.appliance.datastores import own_disks
from farshore.appliance.keeping import VpgJournal
from farshore.appliance.kept_record import NOTE, KeepRecord, KeptSet
from farshore.appliance.road import Surroundings
from farshore.errors import BadInput, Conflict, Fault, NotFound
from farshore.hypervisor.inventory import Inventory
from farshore.model.files import sync_directory, write_durably

GONE = ".gone-"
"""Before the name of a set that is being removed."""
WHAT = "the volumes that are to be kept"
REMEDY = "Free space there, or delete the VPG without keeping its recovery volumes."

log = logging.getLogger(__name__)


class KeptVolumes:
    """All kept volumes of a site, and those that are being copied."""

    def __init__(
        self,
        around: Surroundings,
        journal: Callable[[str], VpgJournal],
        inventory: Inventory,
        reserve_bytes: int | None,
    ) -> None:
        """Nothing goes on before `resume`. `journal` gives a VPG's, or raises NotFound."""
        self._copies = Copies(
            around.site_folder / "appliance" / "keeps",
            KeepRecord.load,
            lambda record: CloneCopy(record, around, reserve_bytes, what=WHAT, remedy=REMEDY),
            "No volumes are being kept by {} here.",
            checked=_checked,
        )
        self._around = around
        self._journal = journal
        self._inventory = inventory
        self._removals: dict[str, asyncio.Task[None]] = {}
        self._changing = asyncio.Lock()

    @property
    def folder(self) -> Path:
        """Where the sets lie, each in a folder of its own."""
        return own_disks(self._around.site_folder) / "kept"

    def calls(self) -> dict[str, Callable[..., Any]]:
        """By name."""
        return {
            "begin_keep": self.begin_keep,
            "keep_status": self.keep_status,
            "finish_keep": self.finish_keep,
            "drop_keep": self.drop_keep,
            "kept_volumes": self.kept_volumes,
            "remove_kept": self.remove_kept,
        }

    def resume(self) -> None:
        """Go on with what was being copied, and with what was being removed."""
        self._copies.resume()
        for remains in self.folder.glob(f"{GONE}*"):
            self._clear(remains)

    async def stop(self) -> None:
        """Leave all where they are."""
        await self._copies.stop()
        await end_tasks(self._removals.values())

    async def begin_keep(
        self, vpg_id: str, vpg_name: str, operation: str, checkpoint: dict[str, Any], volumes: list[dict[str, Any]]
    ) -> None:
        """Begin to copy the volumes at that checkpoint, which is pinned; at once. Again is the same.

        `volumes`: each with number, vm_id, vm_name, disk_id. Raises NotFound, BadInput.
        """
        async with self._changing:
            if self._copies.record(operation) is not None or self._finished(operation) is not None:
                return
            self._journal(vpg_id)
            await asyncio.to_thread(_make_durably, self.folder)
            record = KeepRecord(
                self._copies.path(operation),
                operation,
                vpg_id,
                vpg_name,
                str(checkpoint["id"]),
                int(checkpoint["time_ns"]),
                str(self._hidden(operation)),
                volumes,
            )
            record.save()
            self._copies.go_on(record)

    async def keep_status(self, operation: str) -> dict[str, Any]:
        """How far it is: state copying, failed (with reason), copied, finished. Raises NotFound."""
        if self._finished(operation) is not None:
            return {"state": "finished", "reason": "", "done_bytes": 0, "total_bytes": 0, "read_bytes": 0}
        return self._copies.status(operation)

    async def finish_keep(self, operation: str) -> dict[str, Any]:
        """Make the set known, which stays until it is removed; the checkpoint's pin goes. Again is the same; gives it.

        Raises NotFound, Conflict while it is not all copied.
        """
        async with self._changing:
            known = self._finished(operation)
            if known is None:
                record = self._copies.demand(operation)
                if record.state != "copied":
                    raise Conflict(f"The volumes of {operation} are not copied yet ({record.state}).", "Wait.")
                known = record.finished(time.time_ns())
                try:
                    await asyncio.to_thread(self._settle, record, known)
                except OSError as error:
                    raise Fault(f"The volumes cannot be kept: {error}.", "Look at the store they are on.") from error
            self._copies.forget(operation)
            await self._unpin(known.vpg_id, operation)
            return self._told(known)

    async def drop_keep(self, vpg_id: str, operation: str) -> None:
        """Stop the copy; its files go, also when they were finished, and the checkpoint's pin. None is fine."""
        async with self._changing:
            await self._copies.end(operation)
            for folder in (self._place(operation), self._hidden(operation)):
                await asyncio.to_thread(self._remove, folder)
            self._copies.forget(operation)
            await self._unpin(vpg_id, operation)

    async def _unpin(self, vpg_id: str, operation: str) -> None:
        with contextlib.suppress(NotFound):  # the journal is gone, and the pin with it
            await self._journal(vpg_id).call("unpin", operation=operation)

    async def kept_volumes(self) -> list[dict[str, Any]]:
        """All sets, oldest first, each with its `folder`."""
        found = await asyncio.to_thread(list, self._sets())
        return [self._told(one) for one in sorted(found, key=lambda one: (one.kept_ns, one.identifier))]

    async def remove_kept(self, identifier: str) -> None:
        """Remove a set with all its files. Raises NotFound, Conflict when a VM has one of them as its disk."""
        async with self._changing:
            found = next((one for one in self._sets() if one.identifier == identifier.lower()), None)
            if found is None:
                raise NotFound(f"No volumes are kept as {identifier}.", "List them: farshore volumes list")
            folder = self._place(found.identifier)
            user = self._user_of(folder)
            if user is not None:
                raise Conflict(f"VM {user} has its disks there.", "Remove that VM first, or move its disks.")
            self._clear(self._hide(folder))

    def _clear(self, gone: Path) -> None:
        """Remove it while others go on: files of any size take their time."""
        removing = asyncio.to_thread(shutil.rmtree, gone, True)
        self._removals[gone.name] = asyncio.get_running_loop().create_task(removing)

    def _user_of(self, folder: Path) -> str | None:
        """The VM of the inventory that has a disk there."""
        inside = folder.resolve()
        for entry in self._inventory.entries():
            for disk in entry.definition.disks if entry.definition else ():
                if Path(disk.path).resolve().is_relative_to(inside):
                    return entry.definition.name if entry.definition else entry.vm_id
        return None

    def _settle(self, record: KeepRecord, known: KeptSet) -> None:
        hidden, files = Path(record.folder), {*record.disks(), NOTE}
        write_durably(hidden / NOTE, known.model_dump_json(indent=1).encode() + b"\n")
        for path in hidden.iterdir():
            if path.name not in files:  # the copiers' own, and what killed ones have left
                path.unlink()
        sync_directory(hidden)
        hidden.rename(self._place(record.operation))
        sync_directory(self.folder)

    def _hide(self, folder: Path) -> Path:
        """Out of sight by a rename; gives where it is now. After a kill the next start removes it."""
        gone = folder.with_name(f"{GONE}{folder.name.lstrip('.')}")
        folder.rename(gone)
        sync_directory(gone.parent)
        return gone

    def _remove(self, folder: Path) -> None:
        if folder.is_dir():
            shutil.rmtree(self._hide(folder), ignore_errors=True)

    def _sets(self) -> Iterator[KeptSet]:
        for folder in self.folder.glob("[!.]*"):
            try:
                found = KeptSet.read(folder)
            except (OSError, ValueError) as error:
                log.warning("kept volumes cannot be read: %s", error)
                continue
            if found is not None and found.identifier == folder.name:
                yield found

    def _told(self, known: KeptSet) -> dict[str, Any]:
        return known.model_dump(mode="json") | {"folder": str(self._place(known.identifier))}

    def _finished(self, operation: str) -> KeptSet | None:
        try:
            return KeptSet.read(self._place(operation))
        except ValueError as error:
            raise Fault(f"Kept volumes cannot be read: {error}.", "Look at that file.") from error

    def _place(self, operation: str) -> Path:
        return self.folder / _checked(operation)

    def _hidden(self, operation: str) -> Path:
        return self.folder / f".{_checked(operation)}"


def _checked(operation: str) -> str:
    """An operation is a GUID; nothing else becomes a name of a file."""
    try:
        return str(uuid.UUID(operation))
    except ValueError:
        raise BadInput(f"{operation} is no identifier.", "Give a GUID.") from None


def _make_durably(folder: Path) -> None:
    """Make it and what is missing above it, such that all of their names are durable."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for place in missing:
        sync_directory(place.parent)
