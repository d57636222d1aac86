"""Extent maps against a plain list of owners: whatever overlaps, the last writer of each byte wins."""

from __future__ import annotations

import time

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from farshore.datapath.view import extents
from farshore.datapath.view.extents import ZERO, ExtentMap, MapBuilder, overlay, resolve

SIZE = 300
Run = tuple[int, int, bool]
runs = st.lists(st.tuples(st.integers(0, SIZE - 1), st.integers(1, 120), st.booleans()), max_size=40)


def records(some: list[Run], source: int) -> ExtentMap:
    """Records of one file: each one's bytes lie 1000 behind those of the one before."""
    start = np.array([r[0] for r in some], dtype=np.int64)
    end = np.array([min(SIZE, r[0] + r[1]) for r in some], dtype=np.int64)
    zero = np.array([r[2] for r in some], dtype=bool)
    position = np.arange(len(some), dtype=np.int64) * 1000
    return ExtentMap(start, end, np.where(zero, ZERO, source), np.where(zero, 0, position))


def owners(parts: list[list[Run]]) -> list[object]:
    """The model: for each byte who wrote it last, and where its byte lies."""
    found: list[object] = [None] * SIZE
    for source, part in enumerate(parts):
        for number, (start, length, zero) in enumerate(part):
            for at in range(start, min(SIZE, start + length)):
                found[at] = "zero" if zero else (source, number * 1000 + at - start)
    return found


def spelled(found: ExtentMap) -> list[object]:
    """A map as owners of bytes; also checks that it is sorted and disjoint."""
    assert (found.start < found.end).all()
    assert (found.end[:-1] <= found.start[1:]).all()
    spelled: list[object] = [None] * SIZE
    for start, end, source, position in zip(found.start, found.end, found.source, found.position, strict=True):
        for at in range(start, end):
            spelled[at] = "zero" if source == ZERO else (int(source), int(position + at - start))
    return spelled


@given(runs)
@settings(max_examples=150, deadline=None)
def test_the_last_writer_of_each_byte_wins_within_a_batch(some: list[Run]) -> None:
    """resolve equals the model, also when it must split because records cover too many cells."""
    assert spelled(resolve(records(some, 0))) == owners([some])
    before = extents._CELLS_FREE, extents._CELLS_PER_RECORD
    extents._CELLS_FREE, extents._CELLS_PER_RECORD = 4, 1
    try:
        assert spelled(resolve(records(some, 0))) == owners([some])
    finally:
        extents._CELLS_FREE, extents._CELLS_PER_RECORD = before


@given(st.lists(runs, max_size=9), st.integers(1, 30))
@settings(max_examples=100, deadline=None)
def test_batches_are_overlaid_in_the_order_of_the_stream(parts: list[list[Run]], batch: int) -> None:
    """A builder with any batch size gives the model's map."""
    builder = MapBuilder(batch)
    for source, part in enumerate(parts):
        builder.add(records(part, source))
    assert spelled(builder.build()) == owners(parts)


@given(runs, runs, st.integers(0, SIZE), st.integers(0, SIZE))
@settings(max_examples=100, deadline=None)
def test_overlay_and_cut_keep_positions(upper: list[Run], lower: list[Run], start: int, end: int) -> None:
    """overlay equals the model; a cut is the map inside its bounds and nothing else."""
    whole = overlay(resolve(records(upper, 1)), resolve(records(lower, 0)))
    expected = owners([lower, upper])
    assert spelled(whole) == expected
    if start < end:
        inside = spelled(whole.cut(start, end))
        assert inside == [each if start <= at < end else None for at, each in enumerate(expected)]


def test_a_gibibyte_of_small_writes_is_mapped_in_little_time() -> None:
    """262144 random 4 KiB writes with 1 MiB sync reads between them: well under 2 s (it is about 0.2)."""
    random = np.random.default_rng(1)
    start = random.integers(0, 1 << 18, 1 << 18) * 4096
    length = np.where(np.arange(1 << 18) % 256 == 0, 1 << 20, 4096)
    began = time.process_time()
    builder = MapBuilder()
    for at in range(0, 1 << 18, 1024):
        part = slice(at, at + 1024)
        source = np.full(1024, at, dtype=np.int64)
        builder.add(ExtentMap(start[part], start[part] + length[part], source, np.arange(1024) * 4124))
    found = builder.build()
    assert time.process_time() - began < 2
    assert len(found) > 100000
