"""What the watcher may ask a journal carrier.

JSON lines: {"id", "call", "args"} is answered by {"id", "result"} or {"id", "error": {"kind", "fact", "remedy"}}.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from typing import Any

from farshore.datapath.journal import Checkpoint
from farshore.datapath.journal_carrier.service import Service
from farshore.datapath.stream.messages import Refusal
from farshore.errors import BadInput, FarshoreError, Fault

_LOG = logging.getLogger(__name__)
_PAGE_MAX = 10000


class Calls:
    """Answers calls on one service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._known: dict[str, Callable[..., Any]] = {
            "status": self.status,
            "list_checkpoints": self.list_checkpoints,
            "find_marker": self.find_marker,
            "pin": self.pin,
            "unpin": self.unpin,
            "pins": self.pins,
            "drop_pin": self._service.journal.drop_pin,
            "raise_epoch": self.raise_epoch,
            "configure": self.configure,
            "definitions": self.definitions,
            "volumes": self.volumes,
            "verify": self.verify,
            "take_out": service.takings.take_out,
            "take_out_status": service.takings.status,
            "retire": self.retire,
        }

    def answer(self, line: bytes) -> bytes:
        """The line that answers this one; never raises for what a caller may do wrong."""
        identifier = None
        try:
            request = json.loads(line)
            identifier = request["id"]
            call = self._known.get(str(request["call"]))
            if call is None:
                raise BadInput(f"A journal carrier has no call '{request['call']}'.")
            said: dict[str, Any] = {"result": call(**request.get("args", {}))}
        except FarshoreError as error:
            said = {"error": error.to_json()}
        except OSError as error:
            _LOG.exception("a call failed")
            said = {"error": Fault(f"The journal's store failed: {error}.", "Look at its device.").to_json()}
        except (ValueError, KeyError, TypeError) as error:
            said = {"error": BadInput(f"The call cannot be understood: {error!r}.").to_json()}
        return json.dumps({"id": identifier, **said}).encode() + b"\n"

    def status(self) -> dict[str, Any]:
        """How the journal stands."""
        service, journal = self._service, self._service.journal
        with journal.state_lock:
            ledger = journal.ledger
            newest, oldest = map(self._offered, (ledger.catalogue.newest(), ledger.catalogue.oldest()))
            state, reason = self._state()
            return {
                "epoch": journal.epoch.epoch,
                "journal_id": journal.epoch.journal_id,
                "last_ordinal": journal.last_ordinal,
                "durable_sequence": ledger.sequence,
                "session": ledger.session,
                "connected": service.receiver is not None,
                "newest_checkpoint": newest,
                "oldest_checkpoint": oldest,
                "checkpoint_count": len(ledger.catalogue),
                "journal_bytes": sum(file.end for file in journal.files()),
                "replica_bytes": _allocated_bytes(os.fspath(journal.path / "replica")),
                "state": state,
                "reason": reason,
                "base": journal.floor.ordinal,
                "waits_for": ledger.waits_for(),
                "pins": journal.pins.all(),
                "retired": journal.retired,
                "base_changed": service.old_disks.changed(),
            }

    def _offered(self, checkpoint: Checkpoint | None) -> dict[str, Any] | None:
        offered = None if checkpoint is None else self._service.journal.taken.offered(checkpoint)
        return None if offered is None else offered.to_json()

    def _state(self) -> tuple[str, str]:
        service = self._service
        if service.journal.damages:
            return "damaged", "; ".join(str(damage) for damage in service.journal.damages)
        if service.disks_fault:
            return "base_in_use", service.disks_fault
        if service.receiver is not None:
            return "receiving", ""
        if service.refusal is Refusal.NO_SPACE:
            return "no_space", service.refused_because
        return "idle", service.refused_because

    def list_checkpoints(
        self,
        from_ns: int | None = None,
        to_ns: int | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[dict[str, Any]]:
        """Checkpoints by time, at most `limit` (and at most 10000)."""
        bound = _PAGE_MAX if limit is None else min(limit, _PAGE_MAX)
        found = self._service.journal.checkpoints(from_ns, to_ns, bound, newest_first)
        return [checkpoint.to_json() for checkpoint in found]

    def find_marker(self, marker_id: str | None = None, task: str | None = None) -> dict[str, Any] | None:
        """A marker's checkpoint, {"void": why}, or null when it is not known (yet)."""
        if (marker_id is None) == (task is None):
            raise BadInput("Name a marker or a task, one of them.")
        found = self._service.journal.find_marker(marker_id, task)
        if isinstance(found, Checkpoint):
            return found.to_json()
        return None if found is None else {"void": found}

    def pin(self, operation: str, checkpoint_id: str | None = None) -> dict[str, Any]:
        """Keep a checkpoint (the newest one) for an operation."""
        return self._service.journal.pin(operation, checkpoint_id).to_json()

    def unpin(self, operation: str) -> None:
        """Let it go."""
        self._service.journal.unpin(operation)

    def pins(self) -> list[dict[str, Any]]:
        """All pins, with their age; `held`: by a process that lives."""
        now_ns = time.time_ns()
        return [
            {**pin._asdict(), "age_seconds": (now_ns - pin.pinned_ns) / 1e9, "held": pin.is_held}
            for pin in self._service.journal.pins.listed()
        ]

    def raise_epoch(self, epoch: int) -> dict[str, Any]:
        """From the answer on nothing of a lower epoch is kept."""
        self._service.journal.raise_epoch(epoch)
        return {"epoch": self._service.journal.epoch.epoch}

    def configure(self, history_seconds: float) -> None:
        """A new history setting."""
        self._service.spec = self._service.spec._replace(history_seconds=float(history_seconds))

    def definitions(self, checkpoint_id: str) -> dict[str, Any]:
        """The VMs' definitions at a checkpoint, by VM."""
        journal = self._service.journal
        return journal.definitions_at(journal.checkpoint(checkpoint_id))

    def volumes(self, checkpoint_id: str) -> list[dict[str, Any]]:
        """The VPG's volumes at a checkpoint."""
        journal = self._service.journal
        return journal.volumes_at(journal.checkpoint(checkpoint_id))

    def retire(self, volumes: list[int] | None = None) -> None:
        """These volumes are offered nowhere any more; none named: the journal is over, its epoch stays."""
        self._service.retire(volumes)

    def verify(self) -> dict[str, Any]:
        """Read everything against its checksums."""
        report = self._service.journal.verify()
        damages = [str(damage) for damage in report.damages]
        return {"segments": report.segments, "bytes": report.bytes, "damages": damages, "lost": report.lost}


def _allocated_bytes(folder: str) -> int:
    with os.scandir(folder) as entries:
        # a symlink leads to an old disk, which is not the journal's
        return sum(entry.stat(follow_symlinks=False).st_blocks * 512 for entry in entries)
