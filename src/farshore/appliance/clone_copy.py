"""Follows the copier of one clone, or of volumes that are kept: starts it, hears how far it is.

It is started again when it dies or says nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from farshore.appliance.carrier import carrier_environment
from farshore.appliance.orphans import end_forerunner
from farshore.appliance.road import Surroundings
from farshore.errors import FarshoreError, Unavailable, error_from_json

MODULE = "farshore.datapath.clone"
SILENT_SECONDS = 60.0
"""A copier speaks twice a second; one that does not for so long was stopped, or hangs."""
STARTS_MAX = 5
"""How often one is started that gets no further."""
AGAIN_SECONDS = 0.5

log = logging.getLogger(__name__)


class CopyRecord(Protocol):
    """What is known of a copy, and survives the watcher."""

    operation: str
    vpg_id: str
    checkpoint_id: str
    folder: str
    sizes: dict[str, int]
    state: str
    reason: str

    def save(self) -> None:
        """Make it durable. Raises OSError."""

    def disks(self) -> dict[str, int]:
        """{image: volume number}."""


Record = TypeVar("Record", bound=CopyRecord)


@dataclass(frozen=True)
class CopierOrder:
    """What the copier is told; the other side of it is datapath/clone."""

    journal: str
    checkpoint_id: str
    folder: str
    reserve_bytes: int | None
    disks: dict[str, int]
    what: str
    remedy: str


class CloneCopy(Generic[Record]):
    """Carries one record from "copying" to "copied" or "failed"."""

    def __init__(
        self,
        record: Record,
        around: Surroundings,
        reserve_bytes: int | None,
        *,
        what: str = "the clone",
        remedy: str = "Free space there, or name another datastore.",
    ) -> None:
        """Nothing runs before `run`. `what` and `remedy`: how a lack of room is told."""
        self.record = record
        self.done_bytes = 0
        self.total_bytes = 0
        self.read_bytes = 0
        """All that the copier has read; it grows as long as it does something."""
        self._around = around
        journal = around.site_folder / "journal" / record.vpg_id
        self._order = CopierOrder(
            os.fspath(journal), record.checkpoint_id, record.folder, reserve_bytes, record.disks(), what, remedy
        )

    async def run(self) -> None:
        """To the end, or to what went wrong; either stands in the record then. Cancelled: the copier is killed."""
        starts = 0
        try:
            while True:
                await end_forerunner(Path(self.record.folder), MODULE)
                before, starts = self.done_bytes, starts + 1
                try:
                    await self._copy_once()
                    break
                except Unavailable as error:
                    log.warning("the copier of clone %s: %s", self.record.operation, error)
                    starts = 0 if self.done_bytes > before else starts
                    if starts >= STARTS_MAX:
                        raise
                await asyncio.sleep(AGAIN_SECONDS)
            self.record.state, self.record.reason = "copied", ""
        except (FarshoreError, OSError) as error:
            self.record.state, self.record.reason = "failed", str(error)
        with contextlib.suppress(OSError):  # a full store: it is told all the same
            self.record.save()

    async def _copy_once(self) -> None:
        """Raises Unavailable when the copier ended without a word or went silent, or what it said."""
        with open(self._around.log(f"clone-{self.record.operation[:8]}"), "ab") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", MODULE, "--folder", self.record.folder,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=output,
                env=carrier_environment(), start_new_session=True,
            )  # fmt: skip
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps(asdict(self._order)).encode() + b"\n")
            last = await self._follow(process)
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if "error" in last:
            raise error_from_json(last["error"])
        if "sizes" not in last:
            raise Unavailable("The clone's copier ended before it was done.", "See its log in the site's folder.")
        self.record.sizes = {str(name): int(size) for name, size in last["sizes"].items()}

    async def _follow(self, process: asyncio.subprocess.Process) -> dict[str, Any]:
        """Take its lines until it ends; the last one. Raises Unavailable when it says nothing for long."""
        assert process.stdout is not None
        said: dict[str, Any] = {}
        while True:
            try:
                line = await asyncio.wait_for(process.stdout.readline(), SILENT_SECONDS)
            except TimeoutError:
                raise Unavailable("The clone's copier said nothing.", "It is started again by itself.") from None
            if not line:
                return said
            said = json.loads(line)
            self.done_bytes, self.total_bytes = int(said["done_bytes"]), int(said["total_bytes"])
            self.read_bytes = int(said["read_bytes"])
