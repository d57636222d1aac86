"""The window: what was published stays as it was until it is acknowledged, whatever fits and wraps."""

import contextlib
import os
import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farshore.datapath.segment.requests import COMMAND_WRITE, REQUEST_BYTES, REQUEST_MAGIC
from farshore.datapath.segment.window import Window
from farshore.datapath.tap.connection import _REQUEST
from farshore.datapath.tap.filling import REGION_BYTES_MAX
from farshore.datapath.tap.recorder import Recorder

_POSITION = struct.Struct("<I")
_RUN = struct.Struct("<IIQ")
WINDOW_BYTES = 3 * REGION_BYTES_MAX + 4096


@contextlib.contextmanager
def _recorder():
    window, fd = Window.create(WINDOW_BYTES, 5)
    wake = os.eventfd(0, os.EFD_NONBLOCK)
    try:
        yield Recorder(window, wake), window
    finally:
        os.close(wake)
        os.close(fd)


def _append(recorder, number, length, volume):
    filling = recorder.room()
    if filling is None:
        return False
    at = filling.end
    _REQUEST.pack_into(filling.view, at, REQUEST_MAGIC, 0, COMMAND_WRITE, number, number * 4096, length)
    filling.view[at + REQUEST_BYTES : at + REQUEST_BYTES + length] = bytes([number % 256]) * length
    filling.positions.append(at)
    filling.note_run(at, volume)
    filling.end = at + REQUEST_BYTES + length
    return True


def _numbers(window, sequence):
    body, positions, runs, control = window.contents(window.descriptor(sequence))
    found = []
    for (position,), (run_position, _, _) in zip(_POSITION.iter_unpack(positions), _RUN.iter_unpack(runs), strict=True):
        _, _, _, cookie, offset, length = _REQUEST.unpack_from(body, position)
        payload = bytes(body[position + REQUEST_BYTES : position + REQUEST_BYTES + length])
        assert payload == bytes([cookie % 256]) * length
        assert offset == cookie * 4096
        assert run_position == position
        found.append(cookie)
    return found, control


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32))
def test_every_record_comes_out_once_in_order_or_was_refused_for_room(seed):
    """Random sizes, rolls and acknowledgements: the sender sees each accepted record once, in order, unchanged."""
    random_ = random.Random(seed)
    with _recorder() as (recorder, window):
        accepted, seen, at = [], [], 0
        for number in range(1, 120):
            if _append(recorder, number, random_.choice([1, 512, 4096, 300_000, 1 << 20]), number % 3):
                accepted.append(number)
            if random_.random() < 0.2:
                recorder.roll()
            while at < window.published and random_.random() < 0.6:
                at += 1
                seen += _numbers(window, at)[0]
            if random_.random() < 0.5 and at > window.acknowledged:
                window.acknowledge(random_.randint(window.acknowledged, at))
            assert window.unacknowledged_bytes() <= window.regions_bytes
        recorder.roll()
        while at < window.published:
            at += 1
            seen += _numbers(window, at)[0]
        assert seen == accepted


def test_a_full_window_refuses_and_takes_again_after_an_acknowledgement():
    """No room is told, nothing published is overwritten, and room comes back."""
    with _recorder() as (recorder, window):
        number = 0
        while _append(recorder, number + 1, 1 << 20, 0):
            number += 1
        assert number > 3
        recorder.roll()
        first = _numbers(window, 1)[0]
        assert not _append(recorder, number + 1, 1 << 20, 0)
        assert _numbers(window, 1)[0] == first
        window.acknowledge(window.published)
        assert _append(recorder, number + 1, 1 << 20, 0)


def test_a_segment_with_a_missing_payload_holds_back_those_behind_it():
    """Segments leave in order: a hole in the first one keeps the second from being published."""
    with _recorder() as (recorder, window):
        _append(recorder, 1, 512, 0)
        held = recorder.current
        held.open_count += 1
        recorder.roll()
        _append(recorder, 2, 512, 0)
        recorder.roll()
        assert window.published == 0
        held.open_count -= 1
        recorder.leave()
        assert window.published == 2
        assert _numbers(window, 1)[0] == [1]
        assert _numbers(window, 2)[0] == [2]


def test_a_new_tap_goes_on_behind_what_was_published():
    """A recorder that takes over a window loses the open segment and nothing that was sealed."""
    with _recorder() as (recorder, window):
        _append(recorder, 1, 512, 0)
        recorder.roll()
        _append(recorder, 2, 512, 0)
        second = Recorder(window, recorder.wake_fd)
        second.break_stream("the tap before died")
        _append(second, 3, 512, 0)
        second.roll()
        assert [_numbers(window, n)[0] for n in range(1, window.published + 1)] == [[1], [], [3]]
        assert window.descriptor(2).flags
        assert b"the tap before died" in _numbers(window, 2)[1]


def test_acknowledging_what_was_never_published_is_refused():
    """The sender cannot free what is not there."""
    with _recorder() as (_, window), pytest.raises(ValueError, match="not within"):
        window.acknowledge(1)
