"""The checks of the disaster, the way home and the move: pure functions, as those in checks.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from farshore.cli.output import size_text
from farshore.lab.demo.checks import Check
from farshore.lab.serial import Acknowledged, Booted, Event, GuestFailure, Verified

PAUSE_SECONDS_MAX = 2.0
SENT_RATIO_MAX = 1.2
"""Data sent in a sync by hashes, against what really differed."""
BLOCK_BYTES = 4096

Guests = Mapping[str, Sequence[Event]]


def check_north_is_gone(processes: Sequence[str], ports_open: Sequence[int], folder_is_there: bool) -> Check:
    """Nothing of it can be asked or read: no process, no port, no folder."""
    wrong = [*processes, *(f"port {port} answers" for port in ports_open)]
    wrong += ["its folder is there"] if folder_is_there else []
    return Check("nothing of north can be reached", not wrong, "; ".join(wrong) or "no process, port or folder")


def check_newest_was_taken(taken_id: str, durable_ids: Sequence[str]) -> Check:
    """The recovered VMs start from the last checkpoint that became durable before the disaster."""
    newest = max(map(int, durable_ids), default=None)
    words = f"checkpoint {taken_id} of {len(durable_ids)}, the newest is {newest}"
    return Check("the failover takes the newest checkpoint", newest is not None and int(taken_id) == newest, words)


def check_pause(seconds: float) -> Check:
    """While the commit made the disks whole, no guest stood still for long."""
    good = seconds < PAUSE_SECONDS_MAX
    return Check("the guests write on during the commit", good, f"the longest pause was {seconds:.3f} s")


def check_never_rebooted(guests: Guests) -> Check:
    """Each guest booted exactly once: promotion did not restart it."""
    counts = {guest: sum(isinstance(event, Booted) for event in events) for guest, events in guests.items()}
    words = ", ".join(f"{guest}: {count} boot{'s' * (count != 1)}" for guest, count in counts.items())
    return Check("no guest was restarted by the commit", bool(counts) and set(counts.values()) == {1}, words)


def check_stands_alone(view_processes: int, disk_files: Sequence[str], backing_files: Sequence[str]) -> Check:
    """After the commit the disks are plain files, and nothing reads the journal for them."""
    words = f"{len(disk_files)} plain files"
    wrong = [f"{view_processes} views are open"] if view_processes else []
    wrong += [f"still read: {path}" for path in backing_files]
    return Check(
        "the recovered VMs stand on disks of their own", bool(disk_files) and not wrong, "; ".join(wrong) or words
    )


def check_old_belief_refused(line: str, epoch_then: int, epoch_now: int) -> Check:
    """What the old site believes to protect was refused, for the reason of its epoch, by the site that took over."""
    good = "old_epoch" in line and f"Epoch {epoch_then} " in line and epoch_now > epoch_then
    return Check("what north still believes is refused", good, line or "north's log tells of no refusal")


def check_move_is_refused(error: Mapping[str, Any]) -> Check:
    """A move while the sync back runs: refused (409), and the sync is named as the reason."""
    fact = str(error.get("fact", ""))
    good = error.get("kind") == "conflict" and "sync" in fact
    return Check("a move during the sync is refused, and says why", good, fact or "it was not refused")


def check_delta(sync: Mapping[str, Any], differed_before: int, differed_after: int) -> Check:
    """By hashes, and little more was sent than what differed. Blocks of 4 KiB: of before it, and of after it.

    What the guests wrote in between goes the way of all writes, but a block that was written before it was read
    differs, and is sent: those are added once, without the allowance.
    """
    allowed = SENT_RATIO_MAX * differed_before * BLOCK_BYTES + max(0, differed_after - differed_before) * BLOCK_BYTES
    sent = int(sync["SentInBytes"])
    words = f"{sync['Kind']}: sent {size_text(sent)}, differed {size_text(differed_before * BLOCK_BYTES)} before, "
    words += f"{size_text(differed_after * BLOCK_BYTES)} after"
    good = sync["Kind"] == "delta" and 0 < sent <= allowed and int(sync["HashesInBytes"]) > 0
    return Check("the sync by hashes sends at most 1.2 times what differed", good, words)


def check_bitmap(sync: Mapping[str, Any], size_bytes: int) -> Check:
    """By bitmap: only what was written was read, and no hash was asked for."""
    read = int(sync["ReadInBytes"])
    good = sync["Kind"] == "bitmap" and int(sync["HashesInBytes"]) == 0 and read < size_bytes
    words = f"{sync['Kind']}: read {size_text(read)} of {size_text(size_bytes)}, sent {size_text(sync['SentInBytes'])}"
    return Check("after the move only what its bitmaps name is read", good, words)


def check_nothing_lost(acknowledged: Mapping[str, int], tops: Mapping[str, int]) -> Check:
    """Every disk has the last record that its guest ever said to be written."""
    lost = {letter: last - tops.get(letter, 0) for letter, last in acknowledged.items() if last > tops.get(letter, 0)}
    words = "; ".join(f"{letter} lacks {count} records" for letter, count in lost.items())
    words = words or "to the last record: " + " ".join(f"{letter}={last}" for letter, last in acknowledged.items())
    good = bool(acknowledged) and min(acknowledged.values()) > 0 and not lost
    return Check("the move loses nothing", good, words)


def check_revived(guests: Guests) -> Check:
    """After the rollback each guest booted once more, found every record that it had written, and writes on."""
    wrong = []
    for guest, events in guests.items():
        again = [place for place, event in enumerate(events) if isinstance(event, Booted)]
        if len(again) != 2:
            wrong.append(f"{guest} booted {len(again)} times")
            continue
        before, after = events[: again[-1]], events[again[-1] :]
        last = _last_acknowledged(before)
        found = {event.letter: event.top or 0 for event in after if isinstance(event, Verified)}
        wrong += [
            f"{guest} found {letter} at {found.get(letter)}" for letter in last if found.get(letter, 0) < last[letter]
        ]
        now = _last_acknowledged(after)
        wrong += [f"{guest} writes nothing to {letter}" for letter in last if now.get(letter, 0) <= last[letter]]
        wrong += [f"{guest}: {event.words}" for event in after if isinstance(event, GuestFailure)]
    return Check(
        "after the rollback the guests go on where they were", bool(guests) and not wrong, "; ".join(wrong) or "all"
    )


def _last_acknowledged(events: Sequence[Event]) -> dict[str, int]:
    return {event.letter: event.number for event in events if isinstance(event, Acknowledged)}
