"""What the control records of a stream mean, segment by segment: which markers became checkpoints, which never will.

Pure: it is fed each durable segment's header and control records in order, by the carrier as they come and by anyone
who opens the files later; both must arrive at the same. Rules:
1. A marker is a candidate. It becomes a checkpoint by its vouch in a later segment of the same session.
2. A break (a flag, a record, a new session) makes every candidate void: what followed may be in no order.
3. From a break to the end of a sync of all volumes no marker counts, and a marker must name all volumes of the VPG.
4. A void marker stays void. After damage nothing is listed any more.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from farshore.datapath.journal.checkpoint import Catalogue, Checkpoint
from farshore.datapath.segment import SegmentHeader

VOIDS_KEPT = 4096
CANDIDATES_MAX = 4096
PERIODS_KEPT = 1024


@dataclass(frozen=True, slots=True)
class _Candidate:
    ordinal: int
    marker: dict[str, Any]


class Ledger:
    """State after the segments fed so far. `unsynced`: volumes that differ from their disks, None for all of them."""

    def __init__(self) -> None:
        self.catalogue = Catalogue()
        self.session = 0
        self.sequence = 0
        self.epoch = 0
        self.newest_ns = 0
        """Time of the newest segment, by the protected host's clock."""
        self.unsynced: set[int] | None = None
        self.unsynced_since_ns: int | None = None
        """When the disks left the journal's history; None while the first checkpoint after a sync stands."""
        self.periods: list[tuple[int, int]] = []
        """Times in which there was no history (break to first checkpoint): they age nothing."""
        self.last_break_ordinal = 0
        self.break_reason = ""
        self.volumes: dict[int, dict[str, Any]] = {}
        self.volumes_log: list[tuple[int, list[dict[str, Any]]]] = []
        self.definitions_log: list[tuple[int, dict[str, Any]]] = []
        self.candidates: dict[str, _Candidate] = {}
        self.voids: OrderedDict[str, tuple[str, str | None]] = OrderedDict()
        self.damaged_from: int | None = None
        self.lost: list[str] = []
        """Checkpoints that would be listed were it not for damage."""

    # -- feeding
    def feed(self, ordinal: int, header: SegmentHeader, control: list[dict[str, Any]]) -> None:
        """Take the next durable segment."""
        if header.session != self.session:
            self._break(ordinal, header.first_ns, "a new stream began")
            self.session = header.session
        elif header.is_break:
            self._break(ordinal, header.first_ns, "the stream broke")
        self.sequence = header.sequence
        self.epoch = max(self.epoch, header.epoch)
        self.newest_ns = header.last_ns  # not the highest of all: a clock that was ahead once would count for ever
        for record in control:
            self._record(ordinal, header, record)

    def _record(self, ordinal: int, header: SegmentHeader, record: dict[str, Any]) -> None:
        kind = record.get("type")
        if kind == "marker":
            self._marker(ordinal, record)
        elif kind == "vouch":
            self._vouch(ordinal, str(record.get("id")))
        elif kind == "void":
            self._void(str(record.get("id")), str(record.get("reason", "")))
        elif kind == "break":
            self._break(ordinal, header.last_ns, str(record.get("reason", "")))
        elif kind == "sync_begin":
            self._sync_begin(header.last_ns, record.get("volumes"))
        elif kind == "sync_end":
            self._sync_end(record.get("volumes"))
        elif kind == "volumes":
            self.volumes = {int(volume["number"]): volume for volume in record["volumes"]}
            self.volumes_log.append((ordinal, record["volumes"]))
            if self.unsynced is not None:  # a volume that left the VPG keeps nobody waiting
                self.unsynced &= set(self.volumes)
        elif kind == "definition":
            self.definitions_log.append((ordinal, record["vm"]))

    def _marker(self, ordinal: int, record: dict[str, Any]) -> None:
        marker_id = str(record["id"])
        named = {int(number) for number in record.get("volumes", ())}
        if marker_id in self.voids:
            return
        if self.damaged_from is not None:  # whether it would count is not known any more; it is named as lost
            self.candidates[marker_id] = _Candidate(ordinal, record)
        elif self.unsynced is None or self.unsynced:
            self._void(marker_id, "the disks were not in sync", record.get("task"))
        elif not self.volumes or not named >= set(self.volumes):
            self._void(marker_id, "the marker is not good for all volumes", record.get("task"))
        elif len(self.candidates) < CANDIDATES_MAX:
            self.candidates[marker_id] = _Candidate(ordinal, record)

    def _vouch(self, ordinal: int, marker_id: str) -> None:
        candidate = self.candidates.get(marker_id)
        if candidate is None or candidate.ordinal >= ordinal:
            return
        del self.candidates[marker_id]
        if self.damaged_from is not None:
            self.lost.append(str(candidate.ordinal))
            return
        marker = candidate.marker
        before = self.catalogue.newest_up_to(candidate.ordinal)
        checkpoint = Checkpoint(
            id=str(candidate.ordinal),
            time_ns=int(marker["time_ns"]),
            tag=marker.get("tag"),
            task=marker.get("task"),
            marker_id=marker_id,
            ordinal=candidate.ordinal,
            volumes=tuple(sorted(int(number) for number in marker["volumes"])),
            hole_before=before is not None and self.last_break_ordinal > before.ordinal,
        )
        self.catalogue.add(checkpoint)
        if self.unsynced_since_ns is not None:
            self.periods = [*self.periods[1 - PERIODS_KEPT :], (self.unsynced_since_ns, checkpoint.time_ns)]
            self.unsynced_since_ns = None

    def _void(self, marker_id: str, reason: str, task: str | None = None) -> None:
        candidate = self.candidates.pop(marker_id, None)
        if candidate is not None:
            task = candidate.marker.get("task")
        self.voids[marker_id] = (reason, task)
        while len(self.voids) > VOIDS_KEPT:
            self.voids.popitem(last=False)

    def _break(self, ordinal: int, at_ns: int, reason: str) -> None:
        for marker_id in list(self.candidates):
            self._void(marker_id, f"before it was vouched for: {reason}")
        self.unsynced = None
        self.last_break_ordinal = ordinal
        self.break_reason = reason
        if self.unsynced_since_ns is None:
            self.unsynced_since_ns = at_ns

    def _sync_begin(self, at_ns: int, numbers: list[int] | None) -> None:
        if numbers is None:
            self.unsynced = None
        elif self.unsynced is not None:
            self.unsynced |= {int(number) for number in numbers}
        if self.unsynced_since_ns is None:
            self.unsynced_since_ns = at_ns

    def _sync_end(self, numbers: list[int] | None) -> None:
        if numbers is None:
            self.unsynced = set()
            return
        before = set(self.volumes) if self.unsynced is None else self.unsynced
        if self.volumes or self.unsynced is not None:
            self.unsynced = before - {int(number) for number in numbers}

    # -- asking
    def volumes_at(self, ordinal: int) -> list[dict[str, Any]]:
        """The VPG's volumes (number, vm_id, disk_id, size_bytes) as they were at that ordinal."""
        return next((volumes for at, volumes in reversed(self.volumes_log) if at <= ordinal), [])

    def definitions_at(self, ordinal: int) -> dict[str, dict[str, Any]]:
        """Each VM's definition at that ordinal, by its identifier."""
        return {str(vm["id"]): vm for at, vm in self.definitions_log if at <= ordinal}

    def void_of(self, marker_id: str | None, task: str | None) -> str | None:
        """Why a marker never becomes a checkpoint; None when that is not known. By task: only if none is pending."""
        if marker_id is not None:
            return self.voids[marker_id][0] if marker_id in self.voids else None
        if any(each.marker.get("task") == task for each in self.candidates.values()):
            return None
        return next((reason for reason, its in reversed(self.voids.values()) if its == task), None)

    def waits_for(self) -> str:
        """Why the next marker would not count; empty when it would."""
        if self.unsynced is None or self.unsynced:
            which = "all volumes" if self.unsynced is None else f"volumes {sorted(self.unsynced)}"
            return f"waits for the end of a sync of {which} ({self.break_reason or 'nothing was received yet'})"
        return "" if self.volumes else "waits for the list of volumes"

    def pass_floor(self, ordinal: int) -> None:
        """The replica goes on to that ordinal: what lies below is offered no more, and a late vouch changes nothing."""
        self.catalogue.drop_before(ordinal)
        for marker_id in [name for name, each in self.candidates.items() if each.ordinal < ordinal]:
            self._void(marker_id, "its vouch came after history had passed it")

    # -- the floor's copy
    def snapshot(self, ordinal: int) -> dict[str, Any]:
        """What a ledger that begins at this ordinal must know (this one was fed up to there)."""
        return {
            "session": self.session,
            "sequence": self.sequence,
            "epoch": self.epoch,
            "newest_ns": self.newest_ns,
            "unsynced": None if self.unsynced is None else sorted(self.unsynced),
            "unsynced_since_ns": self.unsynced_since_ns,
            "periods": self.periods[-64:],
            "last_break_ordinal": self.last_break_ordinal,
            "break_reason": self.break_reason,
            "volumes": self.volumes_at(ordinal),
            "definitions": list(self.definitions_at(ordinal).values()),
        }

    @classmethod
    def restore(cls, state: dict[str, Any], ordinal: int) -> Ledger:
        """A ledger as it was at that ordinal, without checkpoints and candidates."""
        ledger = cls()
        if not state:
            return ledger
        ledger.session, ledger.sequence = state["session"], state["sequence"]
        ledger.epoch, ledger.newest_ns = state["epoch"], state["newest_ns"]
        ledger.unsynced = None if state["unsynced"] is None else set(state["unsynced"])
        ledger.unsynced_since_ns = state["unsynced_since_ns"]
        ledger.periods = [(begin, end) for begin, end in state["periods"]]
        ledger.last_break_ordinal, ledger.break_reason = state["last_break_ordinal"], state["break_reason"]
        if state["volumes"]:
            ledger.volumes = {int(volume["number"]): volume for volume in state["volumes"]}
            ledger.volumes_log = [(ordinal, state["volumes"])]
        ledger.definitions_log = [(ordinal, vm) for vm in state["definitions"]]
        return ledger
