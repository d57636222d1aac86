"""Copies of one kind that are under way, by operation: clones, and volumes that are kept beyond their VPG.

Each has a record, written before it begins, and a task that follows its copier until the record says how it ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic

from farshore.appliance.carrier import end_tasks
from farshore.appliance.clone_copy import CloneCopy, Record
from farshore.errors import NotFound
from farshore.model.files import remove_durably


class Copies(Generic[Record]):
    """The records in a folder, and what goes on of them."""

    def __init__(
        self,
        folder: Path,
        load: Callable[[Path], Record],
        follow: Callable[[Record], CloneCopy[Record]],
        absent: str,
        *,
        checked: Callable[[str], str] = str,
    ) -> None:
        """Nothing goes on before `resume`.

        `load` reads a record or raises FileNotFoundError; `follow` makes what carries one on; `absent`: how it is told
        that there is none of an operation, with {}; `checked` refuses what is no operation's name.
        """
        self.folder = folder
        self._load = load
        self._follow = follow
        self._absent = absent
        self._checked = checked
        self._copies: dict[str, CloneCopy[Record]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def path(self, operation: str) -> Path:
        """Where an operation's record is kept."""
        return self.folder / f"{self._checked(operation)}.json"

    def resume(self) -> None:
        """Go on with what was being copied."""
        for path in sorted(self.folder.glob("*.json")):
            record = self._load(path)
            if record.state == "copying":
                self.go_on(record)

    async def stop(self) -> None:
        """Leave all where they are."""
        await end_tasks(self._tasks.values())

    def go_on(self, record: Record) -> None:
        """Copy what the record says, which is durable."""
        copy = self._follow(record)
        self._copies[record.operation] = copy
        self._tasks[record.operation] = asyncio.get_running_loop().create_task(copy.run())

    async def end(self, operation: str) -> None:
        """Stop copying; none is fine."""
        task = self._tasks.get(operation)
        if task is not None:
            await end_tasks([task])

    def record(self, operation: str) -> Record | None:
        """What is known of it."""
        copy = self._copies.get(operation)
        if copy is not None:
            return copy.record
        try:
            return self._load(self.path(operation))
        except FileNotFoundError:
            return None

    def demand(self, operation: str) -> Record:
        """The same. Raises NotFound when there is none."""
        record = self.record(operation)
        if record is None:
            raise NotFound(self._absent.format(operation), "Order it first.")
        return record

    def status(self, operation: str) -> dict[str, Any]:
        """How far it is: state, reason, done_bytes, total_bytes, read_bytes. Raises NotFound."""
        record, copy = self.demand(operation), self._copies.get(operation)
        return {
            "state": record.state,
            "reason": record.reason,
            "done_bytes": copy.done_bytes if copy else 0,
            "total_bytes": copy.total_bytes if copy else 0,
            "read_bytes": copy.read_bytes if copy else 0,
        }

    def forget(self, operation: str) -> None:
        """Remove its record, durably; none is fine."""
        remove_durably(self.path(operation))
        self._copies.pop(operation, None)
        self._tasks.pop(operation, None)
