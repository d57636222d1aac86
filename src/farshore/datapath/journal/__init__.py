"""The journal: keeps a VPG's segments in order on the recovery site, and says which checkpoints they hold.

Words: an *ordinal* numbers the segments of a journal (1, 2, ...) for ever; the *floor* is the ordinal up to which the
replica has everything; a *checkpoint* is a marker that was vouched for and is durable, its identifier the ordinal of
the marker's segment; a *pin* keeps a checkpoint; *damage* is where acknowledged bytes are no longer what was written; a
volume that is *taken out* has left the history for good; a *retired* journal is over, all but its epoch.

Always true:
1. Files are append-only; a segment is acknowledged only after fdatasync, and is then never changed.
2. The files are the only truth: everything in memory is rebuilt from them at open.
3. A failed append leaves nothing behind; a failed fsync is final for its file.
4. A torn tail is cut back to the last whole segment. Damage before that is named and is never taken for the end.
5. A checkpoint is listed only when every segment from the floor to its marker is there, in one order without a break.

No asyncio, no service library: `farshore journal` reads it with no manager alive. The format is in
docs/journal-format.md.
Leaves to others: applying segments to the base image (replica), reading a volume at a checkpoint (view), TLS (stream).
"""

from farshore.datapath.journal.checkpoint import Checkpoint
from farshore.datapath.journal.faults import (
    DamagedJournal,
    JournalInUse,
    NoSpace,
    OldEpoch,
    OldSession,
    Retired,
    SequenceGap,
)
from farshore.datapath.journal.journal import Journal
from farshore.datapath.stream.arrived import Arrived

__all__ = [
    "Arrived",
    "Checkpoint",
    "DamagedJournal",
    "Journal",
    "JournalInUse",
    "NoSpace",
    "OldEpoch",
    "OldSession",
    "Retired",
    "SequenceGap",
]
