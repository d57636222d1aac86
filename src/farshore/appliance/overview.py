"""How many VPGs stand, by one call: hundreds are looked at every few seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from farshore.appliance.keeping import VpgJournal
from farshore.appliance.promotions import Promotions
from farshore.appliance.protection import VpgProtection
from farshore.appliance.recovered_vms import RecoveredVms
from farshore.errors import FarshoreError

SILENT: dict[str, Any] = {"state": "silent"}


class Overview:
    """Looks at everything that one appliance has in hand."""

    def __init__(
        self,
        protections: Mapping[str, VpgProtection],
        journals: Mapping[str, VpgJournal],
        recovered: RecoveredVms,
        promotions: Promotions,
    ) -> None:
        """Both mappings are looked at anew for every call."""
        self._protections = protections
        self._journals = journals
        self._recovered = recovered
        self._promotions = promotions

    def calls(self) -> dict[str, Callable[..., Any]]:
        """By name."""
        return {"vpg_statuses": self.vpg_statuses}

    async def vpg_statuses(
        self, vpg_ids: list[str], operations: Sequence[str] = (), fresh: bool = False
    ) -> dict[str, Any]:
        """{"vpgs": {vpg_id: {"protection", "journal"}}, "operations": {operation: {"promotion", "recovered"}}}.

        Null where there is none; of a journal that does not answer (it may be just beginning) the state is "silent",
        and nothing more. A journal's status may be a second old unless it is to be `fresh`.
        """
        journals = await asyncio.gather(*(self._journal(vpg_id, fresh) for vpg_id in vpg_ids))
        told = await asyncio.gather(*(self._operation(operation) for operation in operations))
        vpgs = {
            vpg_id: {"protection": self._protection(vpg_id), "journal": journal}
            for vpg_id, journal in zip(vpg_ids, journals, strict=True)
        }
        return {"vpgs": vpgs, "operations": dict(zip(operations, told, strict=True))}

    def _protection(self, vpg_id: str) -> dict[str, Any] | None:
        protection = self._protections.get(vpg_id)
        return None if protection is None else protection.status()

    async def _journal(self, vpg_id: str, fresh: bool) -> dict[str, Any] | None:
        journal = self._journals.get(vpg_id)
        return None if journal is None else await journal.status(fresh=fresh) or SILENT

    async def _operation(self, operation: str) -> dict[str, Any]:
        said: dict[str, Any] = {"promotion": None, "recovered": None}
        for name, ask in (("promotion", self._promotions.promotion_status), ("recovered", self._recovered.status)):
            try:
                said[name] = await ask(operation)
            except FarshoreError:  # it has none
                continue
        return said
