"""What an appliance knows of a VPG's protection across its own restarts: small, fsynced, beside the spec.

`synced` says of which process of a VM (`instance`) the other site's journal (`journal_id`) holds everything but what
the bitmaps in that process count. It is written only after a checkpoint that holds the sync was acknowledged.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from farshore.model.files import write_durably

SyncKind = Literal["initial", "delta", "bitmap"]


@dataclass(slots=True)
class ProtectionState:
    """The state of one VPG, and where it is kept."""

    path: Path
    last_session: int = 0
    journal_id: str = ""
    synced: dict[str, str] = field(default_factory=dict)
    holes: list[dict[str, Any]] = field(default_factory=list)
    last_sync: dict[str, Any] | None = None
    """The figures of the last sync that was done."""
    paused: bool = False
    """A person has paused it."""
    forced: str = ""
    """The task of the last sync by hashes that a person asked for; `last_sync` names it once it was done."""

    @classmethod
    def load(cls, path: Path) -> ProtectionState:
        """Read it; nothing known when there is no file, or none that can be read (then the disks are compared anew)."""
        try:
            data = json.loads(path.read_text())
            return cls(
                path=path,
                last_session=int(data["last_session"]),
                journal_id=str(data["journal_id"]),
                synced=dict(data["synced"]),
                holes=list(data["holes"]),
                last_sync=data.get("last_sync"),
                paused=bool(data.get("paused")),
                forced=str(data.get("forced", "")),
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
            "last_sync": self.last_sync,
            "paused": self.paused,
            "forced": self.forced,
        }
        write_durably(self.path, json.dumps(data).encode())

    def take_word(self, synced: dict[str, str], journal_id: str) -> None:
        """The order's word that `journal_id` holds everything but what the bitmaps in these processes count."""
        self.synced = {**(self.synced if journal_id == self.journal_id else {}), **synced}
        self.journal_id = journal_id
        self.save()

    def begin_with(self, journal_id: str) -> None:
        """A first sync into that journal begins. Raises OSError.

        Whatever of it arrives need not be sent again after a break: from now on the disks are compared with it.
        """
        if journal_id != self.journal_id:
            self.synced, self.journal_id = {}, journal_id
            self.save()

    def kind_for(self, vm_id: str, instance: str, journal_id: str, *, unbroken: bool, copies: bool) -> SyncKind:
        """How a disk of that process is to be synced: `unbroken` are its bitmaps, `copies` the other site has for sure.

        Bitmaps where they count on from what that journal has; hashes where a sync into it began once; else all goes.
        """
        if unbroken and not self.owes_comparison and self.is_synced(vm_id, instance, journal_id):
            return "bitmap"
        known = bool(self.journal_id) and journal_id in ("", self.journal_id)
        return "delta" if copies or known else "initial"

    @property
    def owes_comparison(self) -> bool:
        """Whether a sync by hashes was asked for and is not done yet."""
        return bool(self.forced) and (self.last_sync or {}).get("forced") != self.forced

    def is_synced(self, vm_id: str, instance: str, journal_id: str) -> bool:
        """Whether bitmaps suffice for that process of the VM."""
        return self.synced.get(vm_id) == instance and (not journal_id or journal_id == self.journal_id)
