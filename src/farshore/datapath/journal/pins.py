"""Pins: small durable files, one an operation, each of which keeps a checkpoint from being promoted away.

The folder is the truth: another process (`farshore journal export`) may pin as well. Pin and promotion each write
first and look at the other's file afterwards, so that at least one of two that meet gives way.

A pin is dropped by who made it. What a crash leaves is found by its age, and dropped by whoever knows that nobody
needs it [I21]; a pin that is a process's own says by its name whether that process lives.
"""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import NamedTuple

from farshore.datapath.journal.faults import DamagedJournal
from farshore.datapath.tap.heartbeat import process_start_time
from farshore.errors import BadInput
from farshore.model.files import remove_durably, sync_directory, write_durably

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_OWN = re.compile(r"[a-z]+-([0-9]+)\.([0-9]+)-.*")


class Pin(NamedTuple):
    """One pin: who made it, what it keeps, when it was made (unix nanoseconds)."""

    operation: str
    ordinal: int
    pinned_ns: int

    @property
    def is_held(self) -> bool:
        """Whether it is a process's own, and that process lives."""
        found = _OWN.fullmatch(self.operation)
        return found is not None and process_start_time(int(found[1])) == int(found[2])


def own_name(kind: str, what: str) -> str:
    """A name for a pin of this process, of that kind (a word) and for that purpose."""
    return f"{kind}-{os.getpid()}.{process_start_time(os.getpid())}-{what}"


class Pins:
    """The pins of one journal."""

    def __init__(self, journal: Path) -> None:
        self._folder = journal / "pins"

    def _file(self, operation: str) -> Path:
        if not _NAME.fullmatch(operation):
            raise BadInput(f"'{operation}' cannot name an operation.", "Use letters, digits, dot, dash and underscore.")
        return self._folder / f"{operation}.json"

    def read(self, operation: str) -> int | None:
        """The ordinal that this operation pinned."""
        try:
            return int(json.loads(self._file(operation).read_bytes())["ordinal"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedJournal(f"The pin {self._file(operation)} cannot be understood.") from error

    def write(self, operation: str, ordinal: int) -> None:
        """Make the pin durable."""
        path = self._file(operation)
        if not self._folder.is_dir():
            self._folder.mkdir(mode=0o700)
            sync_directory(self._folder.parent)
        data = {"operation": operation, "ordinal": ordinal, "pinned_ns": time.time_ns()}
        write_durably(path, json.dumps(data).encode())

    def remove(self, operation: str) -> None:
        """Let go; none is fine."""
        path = self._file(operation)
        if path.exists():
            remove_durably(path)

    def drop(self, operation: str, pinned_ns: int) -> bool:
        """Let go of the pin that was made then; False if it is gone, another one by now, or held by its process."""
        known = next((pin for pin in self.listed() if pin.operation == operation), None)
        if known is None or known.pinned_ns != pinned_ns or known.is_held:
            return False
        self.remove(operation)
        return True

    def listed(self) -> list[Pin]:
        """All that can be read."""
        found = []
        for operation in self.all():
            try:
                data = json.loads(self._file(operation).read_bytes())
                found.append(Pin(operation, int(data["ordinal"]), int(data["pinned_ns"])))
            except (FileNotFoundError, ValueError, KeyError, TypeError):
                continue
        return found

    def all(self) -> dict[str, int]:
        """The pinned ordinal of each operation. A pin that cannot be read keeps everything (ordinal 0)."""
        found: dict[str, int] = {}
        for path in self._folder.glob("*.json") if self._folder.is_dir() else ():
            if path.name.startswith("."):
                continue
            try:
                ordinal = self.read(path.stem)
            except DamagedJournal:
                ordinal = 0
            if ordinal is not None:
                found[path.stem] = ordinal
        return found
