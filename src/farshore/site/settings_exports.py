"""Exports of VPGs' settings: one small file each in the site's folder, the newest hundred.

An export is named by the second in which it was made: clients take the time that they were told, cut its fraction off
and look for it in the list. Two of one second get seconds of their own.
"""

from __future__ import annotations

import threading
from pathlib import Path

from pydantic import ValidationError

from farshore.errors import Fault
from farshore.model.files import remove_durably, write_durably
from farshore.model.settings_export import ExportedVpg, SettingsExport

KEPT_MAX = 100
SECOND_NS = 1_000_000_000


class SettingsExports:
    """The folder of exports. Its methods block: call them in a thread."""

    def __init__(self, folder: Path) -> None:
        """It is made with the first export."""
        self.folder = folder
        self._changing = threading.Lock()

    def add(self, vpgs: tuple[ExportedVpg, ...], now_ns: int) -> SettingsExport:
        """Keep these durably; what is older than the newest hundred goes. Raises OSError: then all is as before."""
        with self._changing:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            known = set(self._seconds())
            second = now_ns // SECOND_NS
            while second in known:
                second += 1
            export = SettingsExport(time_ns=second * SECOND_NS, vpgs=vpgs)
            write_durably(self._path(second), export.model_dump_json().encode())
            for old in sorted(known | {second}, reverse=True)[KEPT_MAX:]:
                if old != second:  # a clock that was set back must not cost the export that was just made
                    remove_durably(self._path(old))
            return export

    def times_ns(self) -> list[int]:
        """When they were made, newest first."""
        return [second * SECOND_NS for second in sorted(self._seconds(), reverse=True)]

    def get(self, time_ns: int) -> SettingsExport | None:
        """The one of that second, or None. Raises Fault when its file cannot be read."""
        path = self._path(time_ns // SECOND_NS)  # made from a number only
        try:
            return SettingsExport.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            raise Fault(f"The export {path} cannot be read: {error}.", "Export again; remove that file.") from error

    def _path(self, second: int) -> Path:
        return self.folder / f"{second}.json"

    def _seconds(self) -> list[int]:
        return [int(path.stem) for path in self.folder.glob("*.json") if path.stem.isascii() and path.stem.isdigit()]
