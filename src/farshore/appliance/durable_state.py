"""What an appliance knows of a VPG's protection across its own restarts: small, fsynced, beside the spec.

`synced` says of which process of a VM (`instance`) the other site's journal (`journal_id`) holds everything but what
the bitmaps in that process count. It is written only after a checkpoint that holds the sync was acknowledged.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from farshore.model.files import write_durably


@dataclass(slots=True)
class ProtectionState:
    """The state of one VPG, and where it is kept."""

    path: Path
    last_session: int = 0
    journal_id: str = ""
    synced: dict[str, str] = field(default_factory=dict)
    holes: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def load(cls, path: Path) -> ProtectionState:
        """Read it; nothing known when there is no file, or none that can be read (then the disks are compared anew)."""
        try:
            data = json.loads(path.read_text())
            return cls(
                path, int(data["last_session"]), str(data["journal_id"]), dict(data["synced"]), list(data["holes"])
            )
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return cls(path)

    def save(self) -> None:
        """Make it durable. Raises OSError."""
        data = {
            "last_session": self.last_session,
            "journal_id": self.journal_id,
            "synced": self.synced,
            "holes": self.holes[-100:],
        }
        write_durably(self.path, json.dumps(data).encode())

    def is_synced(self, vm_id: str, instance: str, journal_id: str) -> bool:
        """Whether bitmaps suffice for that process of the VM."""
        return self.synced.get(vm_id) == instance and (not journal_id or journal_id == self.journal_id)
