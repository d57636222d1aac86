"""Where a stream goes, and who is asked for hashes: what the watcher tells sender and sync reader.

By itself, as the watcher does without what those two import.
"""

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


@dataclass(frozen=True, slots=True)
class HashPeer:
    """Whom to ask, as whom, and what it must have: segment `sequence` of `session`, in the journal `journal_id`."""

    vpg_id: str
    epoch: int
    session: int
    sequence: int
    journal_id: str
    host: str
    port: int
