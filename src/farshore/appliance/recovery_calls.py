"""The calls of a recovery: views of a checkpoint, VMs on them, and what is left of the journal afterwards."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from farshore.appliance.keeping import VpgJournal
from farshore.appliance.promotions import Promotions
from farshore.appliance.recovered_vms import RecoveredVms, Views
from farshore.appliance.view_keeper import ViewKeeper
from farshore.hypervisor.driver import StartFailed

ATTEMPTS_MAX = 3

log = logging.getLogger(__name__)


class RecoveryCalls:
    """Views and recovered VMs, by operation."""

    def __init__(
        self, journal: Callable[[str], VpgJournal], views: ViewKeeper, recovered: RecoveredVms, promotions: Promotions
    ) -> None:
        """`journal` gives a VPG's, or raises NotFound."""
        self._journal = journal
        self._views = views
        self._recovered = recovered
        self._promotions = promotions

    def calls(self) -> dict[str, Callable[..., Any]]:
        """By name."""
        return {
            "open_views": self.open_views,
            "close_views": self.close_views,
            "start_recovered_vms": self.start_recovered_vms,
            "remove_recovered_vms": self.remove_recovered_vms,
            "recovered_status": self._recovered.status,
        }

    async def open_views(self, vpg_id: str, checkpoint_id: str, operation: str, volumes: list[int]) -> dict[str, Any]:
        """Open read-only views of volumes at a pinned checkpoint. Raises NotFound, Unavailable."""
        self._journal(vpg_id)
        opened = await self._views.open(operation, vpg_id, int(checkpoint_id), volumes)
        return {str(number): view for number, view in opened.items()}

    async def close_views(self, operation: str) -> None:
        """Close the operation's views; none is fine. Raises Conflict while its VMs are being promoted."""
        self._promotions.demand_none(operation, or_done=True)
        await self._views.close(operation)

    async def start_recovered_vms(
        self, operation: str, label: str, definitions: list[dict[str, Any]], views: Views, isolated: bool = True
    ) -> list[dict[str, Any]]:
        """Start recovered VMs on scratch over views, on a network of their own or the site's. All or none.

        A VM that has opened its view waits for it when it dies; one that is just about to open it cannot come up, and
        is started again when the view is there again.
        """
        for _ in range(ATTEMPTS_MAX - 1):
            before = self._views.processes(operation)
            try:
                return await self._recovered.start(operation, label, definitions, views, isolated)
            except StartFailed as error:
                await self._views.ensure(operation)
                if self._views.processes(operation) == before:
                    raise
                log.warning("a view of %s was started anew, so its VMs are started again: %s", operation, error)
        return await self._recovered.start(operation, label, definitions, views, isolated)

    async def remove_recovered_vms(self, operation: str) -> None:
        """Remove the operation's VMs and their scratch; none is fine. Raises Conflict once promotion has begun."""
        self._promotions.demand_none(operation)
        await self._recovered.remove(operation)
