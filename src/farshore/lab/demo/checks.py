"""The demo's checks: pure functions from what was seen to a named word on whether it holds.

Each can fail: tests/system/test_demo_can_fail.py breaks what it looks at and sees it fail by its name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from farshore.lab.serial import (
    Acknowledged,
    Booted,
    Event,
    GuestFailure,
    HeardBoot,
    LawJudged,
    Mounted,
    Verified,
)

WRITE_SECONDS_MAX = 2.0
GAP_ALLOWANCE = 2.0
"""How many checkpoint intervals may lie between two checkpoints in a row on a busy machine."""


@dataclass(frozen=True)
class Check:
    """A named check, whether it holds, and what was seen."""

    name: str
    good: bool
    words: str


def check_paired(peers_by_site: Mapping[str, Sequence[Mapping[str, Any]]]) -> Check:
    """Both sites list the other one as paired."""
    states = {site: [peer["PairingStatus"] for peer in peers] for site, peers in peers_by_site.items()}
    good = bool(states) and all(found == [0] for found in states.values())
    return Check("both sites are paired", good, ", ".join(f"{site}: {found}" for site, found in states.items()))


def check_grew(name: str, before: Mapping[str, int], after: Mapping[str, int]) -> Check:
    """Every disk got new records between two looks."""
    still = [letter for letter in after if after[letter] <= before.get(letter, 0)]
    grown = sum(after[letter] - before.get(letter, 0) for letter in after)
    return Check(
        name, bool(after) and not still, f"{grown} records" + (f", none on {', '.join(still)}" if still else "")
    )


def check_rhythm(times_ns: Sequence[int], interval_seconds: float, until_ns: int) -> Check:
    """Checkpoints came at the interval, up to the end of the look."""
    name = f"checkpoints come every {interval_seconds:g} s"
    moments = [*sorted(times_ns), until_ns]
    gaps = [(b - a) / 1e9 for a, b in pairwise(moments)]
    worst = max(gaps, default=float("inf"))
    enough = len(times_ns) >= 3
    return Check(
        name, enough and worst <= GAP_ALLOWANCE * interval_seconds, f"{len(times_ns)}, at most {worst:.1f} s apart"
    )


def check_listed_is_durable(listed: Iterable[Mapping[str, Any]], in_files: Iterable[Mapping[str, Any]]) -> Check:
    """Every checkpoint that the API lists is in the journal's files, with the same tag, read without any service."""
    held = {str(c["CheckpointIdentifier"]): c.get("Tag") for c in in_files}
    all_listed = list(listed)
    wrong = [
        c["CheckpointIdentifier"]
        for c in all_listed
        if held.get(str(c["CheckpointIdentifier"]), False) != (c.get("Tag") or None)
    ]
    words = f"{len(all_listed)} listed, {len(held)} in the files" + (
        f"; not in the files: {', '.join(map(str, wrong))}" if wrong else ""
    )
    return Check("every listed checkpoint is durable", bool(all_listed) and not wrong, words)


def check_guests_verified(events_by_guest: Mapping[str, Sequence[Event]], disks_per_guest: int) -> Check:
    """Each recovered guest read all of its disks and found exactly what an unbroken row of records leaves."""
    wrong, seen = [], 0
    for guest, events in events_by_guest.items():
        verified = [event for event in events if isinstance(event, Verified)]
        seen += len({event.letter for event in verified})
        wrong += [f"{guest} {event.letter}: {event.words}" for event in verified if not event.good]
    expected = disks_per_guest * len(events_by_guest)
    words = "; ".join(wrong) or f"{seen} of {expected} disks"
    return Check("the recovered guests verify their own disks", seen == expected > 0 and not wrong, words)


def check_mounts(events_by_guest: Mapping[str, Sequence[Event]]) -> Check:
    """The ext4 disk of each recovered guest mounted without an error."""
    mounts = [(guest, e) for guest, events in events_by_guest.items() for e in events if isinstance(e, Mounted)]
    wrong = [f"{guest} {event.letter}: {event.words}" for guest, event in mounts if not event.clean]
    there = {guest for guest, _ in mounts}
    good = bool(events_by_guest) and there == set(events_by_guest) and not wrong
    return Check("ext4 mounts clean", good, "; ".join(wrong) or f"{len(mounts)} file systems")


def check_isolated(events_by_guest: Mapping[str, Sequence[Event]], protected_boots: Collection[str]) -> Check:
    """Each recovered guest heard the other recovered ones on its network, and no protected one; seen from inside."""
    boots = {guest: _boot(events) for guest, events in events_by_guest.items()}
    wrong = []
    for guest, events in events_by_guest.items():
        heard = {event.boot for event in events if isinstance(event, HeardBoot)}
        others = {boot for other, boot in boots.items() if other != guest and boot}
        if heard & set(protected_boots):
            wrong.append(f"{guest} heard a protected VM")
        if heard - others - set(protected_boots):
            wrong.append(f"{guest} heard a stranger")
        if not others or not others <= heard:
            wrong.append(f"{guest} did not hear the other recovered VM")
    good = len(boots) > 1 and not wrong and bool(protected_boots)
    return Check("recovered VMs reach each other and no protected one", good, "; ".join(wrong) or "as heard inside")


def check_guests_law(events_by_guest: Mapping[str, Sequence[Event]]) -> Check:
    """The recovered guests compared how far their disks are, and found the chain unbroken."""
    judged = {g: [e for e in events if isinstance(e, LawJudged)] for g, events in events_by_guest.items()}
    wrong = [f"{guest}: {event.words}" for guest, found in judged.items() for event in found if not event.good]
    missing = [guest for guest, found in judged.items() if not found]
    words = "; ".join(wrong + [f"{guest} did not judge" for guest in missing]) or next(
        (found[0].words for found in judged.values() if found), ""
    )
    return Check("the chain is unbroken, say the guests", bool(judged) and not wrong and not missing, words)


def check_goes_on(events_by_guest: Mapping[str, Sequence[Event]]) -> Check:
    """After they verified, the recovered guests write new records, beyond the last one that they found."""
    wrong, count = [], 0
    for guest, events in events_by_guest.items():
        tops = {e.letter: e.top for e in events if isinstance(e, Verified) and e.top is not None}
        new = {e.letter for e in events if isinstance(e, Acknowledged) and e.number > tops.get(e.letter, 0)}
        count += sum(isinstance(e, Acknowledged) for e in events)
        wrong += [f"{guest} wrote nothing to {letter}" for letter in tops if letter not in new]
        wrong += [f"{guest}: {e.words}" for e in events if isinstance(e, GuestFailure)]
    return Check("the recovered guests go on writing", count > 0 and not wrong, "; ".join(wrong) or f"{count} records")


def check_same_tops(events_by_guest: Mapping[str, Sequence[Event]], tops: Mapping[str, int]) -> Check:
    """The recovered guests and the host found the same last record on every disk."""
    inside = {e.letter: e.top for events in events_by_guest.values() for e in events if isinstance(e, Verified)}
    wrong = [
        f"{letter}: inside {inside.get(letter)}, outside {top}"
        for letter, top in tops.items()
        if inside.get(letter) != top
    ]
    words = "; ".join(wrong) or " ".join(f"{letter}={top}" for letter, top in tops.items())
    return Check("guests and host find the same last records", bool(tops) and not wrong, words)


def check_write_times(worst_seconds: float, failures: Sequence[str]) -> Check:
    """No write of a protected guest failed or took over 2 s."""
    words = "; ".join(failures) or f"the longest took {worst_seconds:.3f} s"
    return Check("no guest write fails or takes over 2 s", not failures and worst_seconds <= WRITE_SECONDS_MAX, words)


def _boot(events: Sequence[Event]) -> str:
    return next((event.boot for event in events if isinstance(event, Booted)), "")
