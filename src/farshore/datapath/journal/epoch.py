"""The epoch of a journal (`epoch.json`): who may write. It only grows, and is durable before it counts."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

from farshore.datapath.journal.faults import DamagedJournal, OldEpoch
from farshore.model.files import write_durably


class EpochKeeper:
    """`journal_id` is made with the journal: a sender sees by it that a journal was begun anew."""

    def __init__(self, journal: Path) -> None:
        """Read the file. Raises DamagedJournal when it cannot be understood."""
        self._path = journal / "epoch.json"
        self.epoch = 0
        self.journal_id = ""
        try:
            data = json.loads(self._path.read_bytes())
            self.epoch = int(data["epoch"])
            self.journal_id = str(data["journal_id"])
        except FileNotFoundError:
            return
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedJournal(f"{self._path} cannot be understood.", "Nobody may write without it.") from error

    def raise_to(self, epoch: int) -> None:
        """Take a higher epoch (the same is fine). Raises OldEpoch for a lower one."""
        if epoch < self.epoch:
            raise OldEpoch(
                f"Epoch {epoch} is over: this journal is at {self.epoch}.",
                "The VPG was failed over at the other site, or is being so.",
            )
        if epoch == self.epoch and self.journal_id:
            return
        self._write(epoch, self.journal_id or str(uuid.uuid4()))

    def renew(self, epoch: int = 0) -> None:
        """Another identifier: what a sender knows of this journal holds no more. The epoch does not go down."""
        self._write(max(epoch, self.epoch), str(uuid.uuid4()))

    def _write(self, epoch: int, journal_id: str) -> None:
        write_durably(self._path, json.dumps({"epoch": epoch, "journal_id": journal_id}).encode())
        self.epoch, self.journal_id = epoch, journal_id
