"""Pins of a journal that were left behind: what the appliance knows of each, and the way to drop one [I21].

A pin under an open view, a recovered VM, a copy, a promotion or what was discarded is needed, whoever asks. Which
operations there are besides is the manager's to know.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from farshore.appliance.discarded_record import FOLDER
from farshore.appliance.keeping import VpgJournal
from farshore.appliance.promotion_record import PromotionRecord
from farshore.errors import Conflict
from farshore.model.recovery import GUARD

_RECORDS = {"views": "views", "recovered": "recovered VMs", "clones": "a clone", "keeps": "volumes that are kept"}
"""Folders below `appliance` that hold a file for each operation while it has such."""


class PinKeeping:
    """The calls, at the recovery site."""

    def __init__(self, site_folder: Path, journal: Callable[[str], VpgJournal]) -> None:
        """`journal` gives a VPG's, or raises NotFound."""
        self._site_folder = site_folder
        self._journal = journal

    def calls(self) -> dict[str, Callable[..., Any]]:
        """By name."""
        return {"list_pins": self.list_pins, "drop_pin": self.drop_pin}

    async def list_pins(self, vpg_id: str) -> list[dict[str, Any]]:
        """operation, ordinal, pinned_ns, age_seconds, and what here needs it ("" if nothing does). Raises NotFound."""
        pins = await self._journal(vpg_id).call("pins")
        return [pin | {"needed_by": self._needed_by(pin["operation"], held=pin["held"])} for pin in pins]

    async def drop_pin(self, vpg_id: str, operation: str, pinned_ns: int) -> bool:
        """Let go of the pin that was made then; whether it was there. Raises NotFound, Conflict when it is needed."""
        needed_by = self._needed_by(operation, held=False)  # a living process is looked for where it is dropped
        if needed_by:
            raise Conflict(f"The pin {operation} is needed by {needed_by}.", "Let that end first.")
        return bool(await self._journal(vpg_id).call("drop_pin", operation=operation, pinned_ns=pinned_ns))

    def _needed_by(self, operation: str, *, held: bool) -> str:
        if held:
            return "a process that lives"
        name, appliance = operation.removesuffix(GUARD), self._site_folder / "appliance"
        for folder, words in _RECORDS.items():
            if (appliance / folder / f"{name}.json").exists():
                return words
        discarded = name.removeprefix(f"{FOLDER}-")
        if discarded != name and (self._site_folder / FOLDER / discarded).is_dir():
            return "what a rollback discarded"
        return "a promotion" if self._is_promoted(appliance / "promotions" / f"{name}.json") else ""

    @staticmethod
    def _is_promoted(path: Path) -> bool:
        try:
            return PromotionRecord.load(path).state != "adopted"
        except FileNotFoundError:
            return False
