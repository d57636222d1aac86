"""Where a stream goes: what the watcher tells the sender; by itself, as the watcher does without the sender's numpy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a VPG's stream goes, and as whom."""

    vpg_id: str
    epoch: int
    site_id: str
    host: str
    port: int
