"""The checks of the disaster, the way home and the move hold for a good run; each fails for what it is for."""

from __future__ import annotations

from pathlib import Path

import pytest

from farshore.lab.demo import recovery_checks as checks
from farshore.lab.demo.differences import count_differing, digest_disks
from farshore.lab.serial import Acknowledged, Booted, GuestFailure, Verified, WorstWrite
from farshore.lab.testimony import Statement, Testimony

BLOCK = checks.BLOCK_BYTES
SECOND = 1_000_000_000
FIRST, AGAIN = Booted(1, "1" * 36), Booted(1, "2" * 36)


@pytest.mark.parametrize(
    ("processes", "ports", "folder", "word"),
    [(["vm 7"], [], False, "vm 7"), ([], [9669], False, "port 9669"), ([], [], True, "folder")],
)
def test_north_is_gone_only_without_process_port_and_folder(processes, ports, folder, word):
    """Whatever of it is left is named."""
    assert checks.check_north_is_gone([], [], folder_is_there=False).good
    found = checks.check_north_is_gone(processes, ports, folder)
    assert not found.good
    assert word in found.words


@pytest.mark.parametrize(
    ("taken", "durable", "good"), [("9", ["5", "9"], True), ("5", ["5", "9"], False), ("5", [], False)]
)
def test_an_older_checkpoint_than_the_newest_is_not_the_newest(taken, durable, good):
    """Compared as numbers."""
    assert checks.check_newest_was_taken(taken, durable).good is good


@pytest.mark.parametrize(("seconds", "good"), [(0.1, True), (2.0, False), (float("inf"), False)])
def test_a_guest_that_stood_still_for_two_seconds_fails(seconds, good):
    """Also one that said nothing at all."""
    assert checks.check_pause(seconds).good is good


def test_the_longest_pause_is_that_of_the_guest_that_stood_still_the_longest():
    """A pause that began before the span or ends after it counts whole; one outside does not; silence is infinite."""

    def said(source: str, *seconds: float) -> list[Statement]:
        return [Statement(round(s * SECOND), 0, source, Acknowledged("a", n)) for n, s in enumerate(seconds, 1)]

    testimony = Testimony(said("vm-1", 0, 5, 5.5, 6.5, 7) + said("vm-2", 0, 5, 5.2, 5.4, 6.9, 7.5))
    assert testimony.longest_pause_seconds(round(5.1 * SECOND), 6 * SECOND) == pytest.approx(1.5)
    assert testimony.longest_pause_seconds(4 * SECOND, 6 * SECOND) == pytest.approx(5)
    assert testimony.longest_pause_seconds(7 * SECOND, 9 * SECOND) == float("inf")
    assert Testimony([]).longest_pause_seconds(0, SECOND) == float("inf")
    assert Testimony([Statement(1, 0, "vm-1", WorstWrite(0.1))]).longest_pause_seconds(0, SECOND) == float("inf")


@pytest.mark.parametrize(
    ("guests", "good"),
    [({"vm-1": [FIRST]}, True), ({"vm-1": [FIRST, AGAIN]}, False), ({"vm-1": []}, False), ({}, False)],
)
def test_a_second_boot_is_a_restart(guests, good):
    """And none is no proof."""
    assert checks.check_never_rebooted(guests).good is good


@pytest.mark.parametrize(
    ("views", "files", "scratch", "good"),
    [(0, ["a.raw"], [], True), (1, ["a.raw"], [], False), (0, [], [], False), (0, ["a.raw"], ["a.qcow2"], False)],
)
def test_what_still_needs_the_journal_stands_on_nothing_of_its_own(views, files, scratch, good):
    """An open view, or a scratch file that is left."""
    assert checks.check_stands_alone(views, files, scratch).good is good


@pytest.mark.parametrize(
    ("line", "then", "now", "good"),
    [
        ("refused the stream (old_epoch): Epoch 1 is over: this journal is at 3.", 1, 3, True),
        ("refused the stream (old_epoch): Epoch 2 is over: this journal is at 3.", 1, 3, False),
        ("refused the stream (no_space): Epoch 1 ", 1, 3, False),
        ("refused the stream (old_epoch): Epoch 1 is over", 1, 1, False),
        ("", 1, 3, False),
    ],
)
def test_only_a_refusal_for_the_old_epoch_counts(line, then, now, good):
    """Of the epoch that the old site's own disk names, by a site that is further."""
    assert checks.check_old_belief_refused(line, then, now).good is good


@pytest.mark.parametrize(
    ("error", "good"),
    [
        ({"kind": "conflict", "fact": "The VPG demo is in a sync, so move is refused."}, True),
        ({"kind": "conflict", "fact": "The VPG is busy with Move."}, False),
        ({"kind": "unavailable", "fact": "The sync cannot be asked."}, False),
        ({"fact": "farshore vpg move was done, and must have been refused."}, False),
        ({}, False),
    ],
)
def test_a_move_must_be_refused_for_the_sync(error, good):
    """For another reason, or not at all, is none."""
    assert checks.check_move_is_refused(error).good is good


def _sync(kind: str = "delta", *, read: int = 88 << 20, hashes: int = 1 << 16, sent: int = 100 * BLOCK) -> dict:
    return {"Kind": kind, "ReadInBytes": read, "HashesInBytes": hashes, "SentInBytes": sent}


@pytest.mark.parametrize(
    ("sync", "before", "after", "good"),
    [
        (_sync(), 100, 100, True),
        (_sync(sent=120 * BLOCK), 100, 100, True),
        (_sync(sent=121 * BLOCK), 100, 100, False),
        (_sync(sent=140 * BLOCK), 100, 120, True),
        (_sync(sent=141 * BLOCK), 100, 120, False),
        (_sync(sent=0), 100, 100, False),
        (_sync("initial"), 100, 100, False),
        (_sync(hashes=0), 100, 100, False),
    ],
)
def test_a_sync_by_hashes_that_sends_too_much_fails(sync, before, after, good):
    """1.2 times what differed before, and once what the guests wrote meanwhile; a whole sync is none by hashes."""
    assert checks.check_delta(sync, before, after).good is good


@pytest.mark.parametrize(
    ("sync", "good"),
    [
        (_sync("bitmap", read=4 << 20, hashes=0), True),
        (_sync("bitmap", read=88 << 20, hashes=0), False),
        (_sync("delta", read=4 << 20, hashes=0), False),
        (_sync("bitmap", read=4 << 20, hashes=9), False),
    ],
)
def test_a_way_back_that_reads_all_is_none_by_bitmap(sync, good):
    """Of 88 MiB."""
    assert checks.check_bitmap(sync, 88 << 20).good is good


@pytest.mark.parametrize(
    ("acknowledged", "tops", "good"),
    [
        ({"a": 7, "b": 6}, {"a": 7, "b": 6}, True),
        ({"a": 7, "b": 6}, {"a": 7, "b": 7}, True),
        ({"a": 7, "b": 6}, {"a": 7, "b": 5}, False),
        ({"a": 7, "b": 6}, {"a": 7}, False),
        ({"a": 0}, {"a": 0}, False),
        ({}, {}, False),
    ],
)
def test_one_record_that_is_missing_is_a_loss(acknowledged, tops, good):
    """A record that was written and not yet acknowledged may be there; one that was may not be missing."""
    assert checks.check_nothing_lost(acknowledged, tops).good is good


GOES_ON = [FIRST, Acknowledged("a", 7), AGAIN, Verified("a", 7, ""), Acknowledged("a", 8)]


@pytest.mark.parametrize(
    ("events", "good"),
    [
        (GOES_ON, True),
        (GOES_ON[:-1], False),
        (GOES_ON[:2], False),
        ([FIRST, Acknowledged("a", 7), AGAIN, Verified("a", 6, ""), Acknowledged("a", 8)], False),
        ([*GOES_ON, GuestFailure("a 9 EIO")], False),
        ([*GOES_ON, Booted(1, "3" * 36)], False),
    ],
)
def test_after_a_rollback_a_guest_has_all_and_writes_on(events, good):
    """One boot more, the last record found, a new one after it."""
    assert checks.check_revived({"vm-1": events}).good is good
    assert not checks.check_revived({}).good


def test_blocks_that_differ_are_counted_one_by_one(tmp_path: Path):
    """One byte is one block; the same is none."""
    data = bytearray(9 << 20)
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(data)
    for at in (0, BLOCK - 1, 3 * BLOCK, len(data) - 1):
        data[at] ^= 1
    other.write_bytes(data)
    key = ("vm-1", "disk-a")
    assert count_differing(digest_disks({key: one}), digest_disks({key: other})) == 3
    assert count_differing(digest_disks({key: one}), digest_disks({key: one})) == 0
