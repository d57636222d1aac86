"""When a tap counts as slow, and how long it is left alone then [I15]."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from farshore.appliance import pauses
from farshore.appliance.pauses import Pauses
from farshore.datapath.tap.pace import OVER_SECONDS, SLOW_SECONDS, Pace

TICK_SECONDS = 0.1


@given(st.lists(st.floats(0, 1.4), min_size=1, max_size=400))
def test_it_is_slow_if_and_only_if_ten_seconds_are_too_late_on_average(late):
    """The same as looking at all ticks of the last ten seconds at each tick."""
    pace, seen, now = Pace(), [], 0.0
    for seconds in late:
        now += TICK_SECONDS + seconds
        seen.append((now, seconds))
        whole = now - seen[0][0] > OVER_SECONDS
        seen = [tick for tick in seen if now - tick[0] <= OVER_SECONDS] if whole else seen
        mean = sum(tick[1] for tick in seen) / len(seen)
        found = pace.note(now, seconds)
        if abs(mean - SLOW_SECONDS) > 1e-9:
            assert (found is not None) == (whole and mean > SLOW_SECONDS)
        if found is not None:
            assert abs(found - mean) < 1e-9
            seen = []


def test_one_late_second_is_not_slow():
    """A second's hang is the killers' matter, and is over."""
    pace = Pace()
    assert [pace.note(n * TICK_SECONDS, 1.0 if n == 50 else 0.001) for n in range(300)] == [None] * 300


def test_a_slow_tap_is_tried_again_after_longer_and_longer():
    """Up to ten minutes; from the beginning after a time in which all was well. Other faults pause as ever."""
    waits = Pauses()
    slow = [waits.after(12.0, slow=True) for _ in range(8)]
    assert slow == [10, 20, 40, 80, 160, 320, 600, 600]
    assert waits.after(pauses.SLOW_CALM_SECONDS + 1, slow=True) == 10
    short = [waits.after(1.0, slow=False) for _ in range(7)]
    assert short == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert waits.after(pauses.CALM_SECONDS + 1, slow=False) == 0.2
    assert all(a <= b for a, b in itertools.pairwise(slow))
