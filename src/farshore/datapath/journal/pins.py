"""Pins: small durable files, one an operation, each of which keeps a checkpoint from being promoted away.

The folder is the truth: another process (`farshore journal export`) may pin as well. Pin and promotion each write
first and look at the other's file afterwards, so that at least one of two that meet gives way.
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

from farshore.datapath.journal.faults import DamagedJournal
from farshore.errors import BadInput
from farshore.model.files import remove_durably, sync_directory, write_durably

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


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
