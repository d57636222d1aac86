"""What a person orders of a protection that goes on: pause, resume, a sync by hashes. Durable, and safe to repeat."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from farshore.appliance.protection import VpgProtection


class Steering:
    """The calls, at the protected site."""

    def __init__(self, protection: Callable[[str], VpgProtection]) -> None:
        """`protection` gives a VPG's, or raises NotFound."""
        self._protection = protection

    def calls(self) -> dict[str, Callable[..., Any]]:
        """By name."""
        return {
            "pause_protection": self.pause_protection,
            "resume_protection": self.resume_protection,
            "force_sync": self.force_sync,
        }

    async def pause_protection(self, vpg_id: str) -> None:
        """Let the disks go until they are resumed; the bitmaps count. Raises NotFound."""
        self._protection(vpg_id).pause()

    async def resume_protection(self, vpg_id: str) -> None:
        """Take them again; what changed meanwhile is read. Raises NotFound."""
        self._protection(vpg_id).resume()

    async def force_sync(self, vpg_id: str, task: str) -> None:
        """Compare all disks with the other site's copy, once for each `task`. Raises NotFound."""
        self._protection(vpg_id).force_sync(task)
