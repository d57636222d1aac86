"""Which part of a journal may go into the replica: pure rules over what the ledger knows.

1. Never past a pin, never into damage.
2. With checkpoints: up to the newest one that is older than the history setting; the newest of all never goes.
3. With none at all (an initial sync): everything in closed files, but not past a marker that may still become one.
4. Time without history (from a break to the first checkpoint after the sync) ages nothing that was before it.
"""

from __future__ import annotations

from collections.abc import Iterable

from farshore.datapath.journal.ledger import Ledger


def aged_ns(time_ns: int, now_ns: int, ledger: Ledger) -> int:
    """How old a moment is for retention: the time since, less what fell into periods without history."""
    age = now_ns - time_ns
    periods = [*ledger.periods]
    if ledger.unsynced_since_ns is not None:
        periods.append((ledger.unsynced_since_ns, now_ns))
    for begin, end in periods:
        age -= max(0, min(end, now_ns) - max(begin, time_ns))
    return age


def promotion_target(
    ledger: Ledger, *, floor: int, last_closed: int, pinned: Iterable[int], history_seconds: float, now_ns: int
) -> int | None:
    """The ordinal up to which the replica may take the journal now; None when there is nothing to do.

    `now_ns` is the local clock; the stream's own newest time counts when it is earlier, so that neither clock alone,
    when it leaps ahead, can make history go.
    """
    limit = min([last_closed_or_newest(ledger, last_closed), *pinned])
    if ledger.damaged_from is not None:
        limit = min(limit, ledger.damaged_from - 1)
    if not len(ledger.catalogue):
        pending = [candidate.ordinal - 1 for candidate in ledger.candidates.values()]
        target = min([limit, *pending])
        return target if target > floor else None
    now = min(now_ns, ledger.newest_ns)
    times, ordinals = ledger.catalogue.times_and_ordinals()
    target = floor
    for time_ns, ordinal in zip(times, ordinals, strict=True):
        if ordinal > limit or aged_ns(time_ns, now, ledger) <= history_seconds * 1e9:
            break
        target = ordinal
    return target if target > floor else None


def last_closed_or_newest(ledger: Ledger, last_closed: int) -> int:
    """With checkpoints the newest of them bounds the promotion, without any the end of the closed files."""
    newest = ledger.catalogue.newest()
    return last_closed if newest is None else newest.ordinal
