"""What a rollback by itself discards is kept out of sight for a while, with nothing of it running [I19].

The record is written first, so whatever a kill leaves is found and goes when its time is over. The time counts while
the appliance runs, by the monotonic clock: a clock that is set ends nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from farshore.appliance.discarded_record import FOLDER, DiscardedDisk, DiscardedRecord, Place, place_of, places
from farshore.appliance.keeping import VpgJournal
from farshore.appliance.promotions import Promotions
from farshore.appliance.recovered_vms import RecoveredVms
from farshore.errors import Conflict, FarshoreError, NotFound
from farshore.model.files import sync_directory
from farshore.model.store_room import room_bytes

WATCH_SECONDS = 1.0
SAVE_SECONDS = 60.0

log = logging.getLogger(__name__)


class Discarded:
    """All that is kept of one site."""

    def __init__(
        self,
        site_folder: Path,
        journal: Callable[[str], VpgJournal],
        recovered: RecoveredVms,
        promotions: Promotions,
        reserve_bytes: int | None,
    ) -> None:
        """`journal` gives a VPG's, or raises NotFound."""
        self.site_folder = site_folder
        self._journal = journal
        self._recovered = recovered
        self._promotions = promotions
        self._reserve_bytes = reserve_bytes
        self._left: dict[str, float] = {}
        self._changing = asyncio.Lock()
        promotions.before_first = self.drop

    def calls(self) -> dict[str, Callable[..., Any]]:
        """By name."""
        return {"discard_recovered": self.discard_recovered}

    async def discard_recovered(
        self,
        vpg_id: str,
        vpg_name: str,
        operation: str,
        checkpoint_id: str,
        checkpoint_time_ns: int | None,
        volumes: dict[str, dict[str, int]],
        keep_seconds: float,
    ) -> None:
        """Stop the operation's VMs and put away what they had written; none is fine.

        `volumes`: by recovered VM and disk the volume's number. Raises Conflict once promotion has begun, NotFound.
        """
        self._promotions.demand_none(operation)
        async with self._changing:
            recovered = self._recovered.record(operation)
            if recovered is None:
                return
            place = place_of(self.site_folder, operation)
            record = DiscardedRecord(
                operation=operation,
                vpg_id=vpg_id,
                vpg_name=vpg_name,
                checkpoint_id=checkpoint_id,
                checkpoint_time_ns=checkpoint_time_ns,
                discarded_ns=time.time_ns(),
                seconds_left=keep_seconds,
                disks=tuple(_disks(recovered["vms"], volumes)),
            )
            place.write(record)
            await self._journal(vpg_id).call("pin", operation=record.pin, checkpoint_id=checkpoint_id)
            await self._recovered.stop(operation)
            scratch = self._recovered.scratch(operation)
            if scratch.is_dir():
                scratch.rename(place.scratch)
                sync_directory(place.folder)
            await self._recovered.forget(operation)

    async def drop(self, vpg_id: str) -> None:
        """Remove what is kept of that VPG: its journal is about to end. Raises Conflict (it is read), Unavailable."""
        async with self._changing:
            for place in places(self.site_folder):
                record = place.read()
                if record is not None and record.vpg_id == vpg_id:
                    await self._remove(place, record)

    async def watch(self) -> None:
        """Remove what is due. Runs until cancelled."""
        before = time.monotonic()
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            now = time.monotonic()
            with contextlib.suppress(OSError):
                await self.sweep(now - before)
            before = now

    async def sweep(self, passed_seconds: float) -> None:
        """That much time has passed; remove what is due, or in the way."""
        async with self._changing:
            for remains in (self.site_folder / FOLDER).glob(".*"):
                await asyncio.to_thread(shutil.rmtree, remains, True)
            for place in places(self.site_folder):
                record = place.read()
                if record is None:
                    continue
                if self._is_over(place, record, passed_seconds) or await self._must_go(record.vpg_id):
                    try:
                        await self._remove(place, record)
                    except (Conflict, FarshoreError) as error:
                        log.info("discarded %s stays for now: %s", record.operation, error)

    def _is_over(self, place: Place, record: DiscardedRecord, passed_seconds: float) -> bool:
        left = self._left.get(record.operation, record.seconds_left) - passed_seconds
        self._left[record.operation] = left
        if left > 0 and record.seconds_left - left >= SAVE_SECONDS:
            place.write(record.model_copy(update={"seconds_left": left}))
        return left <= 0 or place.is_asked_away

    async def _must_go(self, vpg_id: str) -> bool:
        """The store is full: protection goes first. Or there is no journal any more, and nothing to read it with."""
        if room_bytes(self.site_folder, self._reserve_bytes) < 0:
            return True
        try:
            status = await self._journal(vpg_id).status(fresh=False)
        except NotFound:
            return True
        return status is not None and status.get("state") == "no_space"

    async def _remove(self, place: Place, record: DiscardedRecord) -> None:
        """The pin goes, then the folder by a rename, out of sight; after a kill in between the next look goes on."""
        lock = place.lock()
        try:
            with contextlib.suppress(NotFound):
                await self._journal(record.vpg_id).call("unpin", operation=record.pin)
            gone = place.folder.with_name(f".{place.folder.name}")
            place.folder.rename(gone)
            sync_directory(gone.parent)
            await asyncio.to_thread(shutil.rmtree, gone, True)
        finally:
            lock.release()
        self._left.pop(record.operation, None)


def _disks(vms: list[dict[str, Any]], volumes: dict[str, dict[str, int]]) -> list[DiscardedDisk]:
    sizes = {(vm["vm_id"], disk["id"]): disk["size_bytes"] for vm in vms for disk in vm["definition"]["disks"]}
    return [
        DiscardedDisk(
            vm_name=vm["name"],
            disk_id=disk_id,
            volume=volumes[vm["vm_id"]][disk_id],
            scratch=Path(path).name,
            size_bytes=sizes[vm["vm_id"], disk_id],
        )
        for vm in vms
        for disk_id, path in vm["scratch"].items()
    ]
