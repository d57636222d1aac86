"""Why a journal refuses; each maps to one code of the stream protocol."""

from __future__ import annotations

from typing import ClassVar

from farshore.datapath.stream.messages import Refusal
from farshore.errors import Conflict, Damaged, Unavailable


class DamagedJournal(Damaged):
    """Acknowledged segments are not what was written. `first_ordinal`: the first of them."""

    refusal: ClassVar[Refusal] = Refusal.DAMAGED

    def __init__(self, fact: str, remedy: str = "", first_ordinal: int = 0) -> None:
        super().__init__(fact, remedy)
        self.first_ordinal = first_ordinal


class JournalInUse(Conflict):
    """Another process writes this journal."""


class NoSpace(Unavailable):
    """The store is at its reserve or full; nothing of what was offered was kept."""

    refusal: ClassVar[Refusal] = Refusal.NO_SPACE


class OldEpoch(Conflict):
    """The sender's epoch is lower than the journal's: it was failed over."""

    refusal: ClassVar[Refusal] = Refusal.OLD_EPOCH


class OldSession(Conflict):
    """The sender's session is not the newest."""

    refusal: ClassVar[Refusal] = Refusal.OLD_SESSION


class Retired(Conflict):
    """The journal is over: its VPG was recovered here for good."""

    refusal: ClassVar[Refusal] = Refusal.RETIRED


class SequenceGap(Conflict):
    """The segment offered does not follow the last one kept."""

    refusal: ClassVar[Refusal] = Refusal.GAP
