"""The demo's checks of recovered disks can fail: each thing that can be wrong is found and named."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from farshore.lab.disk_examination import Kind, examine_disk
from farshore.lab.law import LawReport, check_instants, check_prefix, check_recovered_set
from farshore.lab.record_layout import SLOT_BYTES, DiskLayout, Extent, make_empty, make_header, make_record
from farshore.lab.serial import Acknowledged
from farshore.lab.testimony import Statement, Testimony

SLOTS = 16
RANDOM = bytes(range(256)) * 32
MS = 1_000_000


class MadeDisk:
    """A disk in memory: header, ring, random data."""

    def __init__(self, number: int, top: int) -> None:
        digest = xxhash.xxh64_intdigest(RANDOM)
        self.data = bytearray(make_header(number, SLOTS, (1 + SLOTS) * SLOT_BYTES, len(RANDOM), digest))
        for slot in range(SLOTS):
            self.data += make_empty(slot, number)
        self.data += RANDOM
        self.number = number
        for record in range(max(1, top - SLOTS + 1), top + 1):
            self.put(record, make_record(record, number, b"b" * 16))
        ring_bytes = (1 + SLOTS) * SLOT_BYTES
        sha256 = hashlib.sha256(RANDOM).hexdigest()
        rest = (Extent(ring_bytes, 4096), Extent(ring_bytes + 4096, len(RANDOM) - 4096))
        self.layout = DiskLayout(number, "raw", len(self.data), SLOTS, (Extent(0, ring_bytes),), rest, sha256)

    def put(self, record: int, slot: bytes) -> None:
        """Write a slot where that record belongs."""
        self.put_in(record % SLOTS, slot)

    def put_in(self, place: int, slot: bytes) -> None:
        """Write a slot in a place of the ring."""
        self.data[(1 + place) * SLOT_BYTES : (2 + place) * SLOT_BYTES] = slot

    def pread(self, offset: int, length: int) -> bytes:
        """As a disk is read."""
        return bytes(self.data[offset : offset + length])


def _made_set(*tops: int) -> list[MadeDisk]:
    return [MadeDisk(number, top) for number, top in enumerate(tops)]


def _report(disks: list[MadeDisk], *more: object) -> LawReport:
    return check_recovered_set({d.number: (d.layout, d) for d in disks}, *more)  # type: ignore[arg-type]


def _kinds(found: LawReport) -> set[Kind]:
    return {fault.kind for fault in found.faults}


def _witnessed(last: int, disks: int = 4) -> Testimony:
    """Record n of disk i was seen at (100 n + 10 i) ms, and was absent 1 ms before."""
    statements = []
    for n in range(1, last + 1):
        for i in range(disks):
            seen = (100 * n + 10 * i) * MS
            statements.append(Statement(seen, seen - MS, "vm", Acknowledged("abcd"[i], n)))
    return Testimony(statements)


@pytest.mark.parametrize("tops", [(0, 0, 0, 0), (5, 5, 5, 4), (5, 4, 4, 4), (40, 40, 39, 39), (16, 16, 16, 16)])
def test_an_unbroken_prefix_is_good(tops: tuple[int, ...]) -> None:
    """No false alarm: before the first record, inside the ring, at its end, and after it went round."""
    found = _report(_made_set(*tops))
    assert found.good, found.summary
    assert tuple(found.tops.values()) == tops


def _leave_out(disk: MadeDisk) -> None:
    disk.put(30, make_record(30 - SLOTS, disk.number))


def _swap(disk: MadeDisk) -> None:
    disk.put_in(30 % SLOTS, make_record(31, disk.number))
    disk.put_in(31 % SLOTS, make_record(30, disk.number))


def _flip(disk: MadeDisk) -> None:
    disk.data[(1 + 30 % SLOTS) * SLOT_BYTES + 2000] ^= 1


def _take_from_other_disk(disk: MadeDisk) -> None:
    disk.put(30, make_record(30, disk.number + 1))


def _flip_random(disk: MadeDisk) -> None:
    disk.data[-1] ^= 0x80


def _flip_header(disk: MadeDisk) -> None:
    disk.data[40] ^= 1


@pytest.mark.parametrize(
    ("break_it", "kind"),
    [
        (_leave_out, Kind.LEFT_OUT),
        (_swap, Kind.MISPLACED),
        (_flip, Kind.FLIPPED),
        (_take_from_other_disk, Kind.MISPLACED),
        (_flip_random, Kind.RANDOM),
        (_flip_header, Kind.HEADER),
    ],
)
def test_each_damage_is_named(break_it: Callable[[MadeDisk], None], kind: Kind) -> None:
    """One record left out, two swapped, one byte flipped, ...: exactly that is said, of that disk."""
    disks = _made_set(40, 40, 40, 40)
    break_it(disks[2])
    found = _report(disks)
    assert _kinds(found) == {kind}
    assert {fault.letter for fault in found.faults} == {"c"}
    assert "disk c" in found.summary


def test_a_record_left_out_before_the_ring_went_round_is_named() -> None:
    """The slot then still says that it is empty."""
    disks = _made_set(9, 9, 9, 9)
    disks[1].put(5, make_empty(5, 1))
    assert _kinds(_report(disks)) == {Kind.LEFT_OUT}


def test_a_flipped_number_is_no_new_top() -> None:
    """A flipped byte in a record's number must not hide behind a new top."""
    disks = _made_set(20, 20, 20, 20)
    disks[0].data[(1 + 20 % SLOTS) * SLOT_BYTES + 8 + 2] ^= 1
    assert Kind.FLIPPED in _kinds(_report(disks))


@pytest.mark.parametrize("tops", [(5, 6, 5, 5), (6, 5, 5, 4), (7, 5, 5, 5), (5, 5, 4, 5)])
def test_b_without_a_is_named(tops: tuple[int, ...]) -> None:
    """A disk that holds a record without the one that was acknowledged before it was issued breaks the law."""
    assert _kinds(_report(_made_set(*tops))) == {Kind.ORDER}


@given(st.integers(0, 200), st.integers(1, 8))
@settings(max_examples=100)
def test_the_law_is_what_a_chain_leaves(writes: int, disks: int) -> None:
    """Stop a chain after any number of writes: that is lawful. One disk one further or back is not.

    But where that is just another point of the chain.
    """
    tops = [(writes + disks - 1 - i) // disks for i in range(disks)]
    lawful = {tuple((w + disks - 1 - i) // disks for i in range(disks)) for w in range(max(0, writes - 1), writes + 2)}
    findings = [examine_disk(d.layout, d) for d in _made_set(*([0] * disks))]

    def faults(changed: list[int]) -> bool:
        return bool(check_prefix([replace(f, top=t) for f, t in zip(findings, changed, strict=True)]))

    assert not faults(tops)
    for i in range(disks):
        for step in (-1, 1):
            changed = tops.copy()
            changed[i] += step
            if min(changed) >= 0:
                assert faults(changed) == (tuple(changed) not in lawful)


def test_a_prefix_that_is_too_short_is_named() -> None:
    """A record that was acknowledged before the checkpoint was asked for must be in it."""
    testimony = _witnessed(30)
    asked = (100 * 20 + 15) * MS  # a 20 and b 20 were seen
    assert not _report(_made_set(20, 20, 19, 19), testimony, asked, None).faults
    short = _report(_made_set(20, 19, 19, 19), testimony, asked, None)
    assert _kinds(short) == {Kind.TOO_SHORT}
    assert short.faults[0].letter == "b"


def test_a_prefix_that_is_too_long_is_named() -> None:
    """A record may be in flight when the checkpoint's task completes; the next was issued later."""
    testimony = _witnessed(30)
    completed = (100 * 20 + 15) * MS  # after b 20 was seen: c 20 may be in flight
    assert not _report(_made_set(20, 20, 20, 19), testimony, None, completed).faults
    long = _report(_made_set(20, 20, 20, 20), testimony, None, completed)
    assert _kinds(long) == {Kind.TOO_LONG}
    assert {fault.letter for fault in long.faults} == {"d"}
    assert _kinds(_report(_made_set(21, 20, 20, 20), testimony, None, completed)) == {Kind.TOO_LONG}


def test_a_record_that_the_witness_cannot_account_for_is_named() -> None:
    """A prefix beyond all that the witness ever saw is never called good."""
    found = _report(_made_set(40, 40, 40, 40), _witnessed(30), None, 10**18)
    assert _kinds(found) == {Kind.UNWITNESSED}


def test_a_record_whose_word_was_lost_with_its_guest_is_accounted_for() -> None:
    """A guest killed between a write and its word leaves a gap in the testimony: the record before it counts."""
    full = _witnessed(30)
    testimony = Testimony([s for s in full.statements if s.event != Acknowledged("b", 20)])
    findings = [examine_disk(d.layout, d) for d in _made_set(20, 20, 20, 20)]
    assert not check_instants(findings, testimony, None, 100 * 21 * MS)
