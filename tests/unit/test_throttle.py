"""Guessing is slowed down by account and by address; nobody who has not guessed ever waits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farshore.api.throttle import FORGET_SECONDS, FREE_TRIES, REMEMBERED_MAX, WAIT_SECONDS_MAX, Throttle, network_of


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def guess(throttle: Throttle, clock: Clock, address: str, account: str, tries: int) -> None:
    """Wrong tries, each as soon as it is let through."""
    for _ in range(tries):
        clock.now += throttle.wait_seconds(address, account)
        throttle.failed(address, account)


def test_an_address_that_guesses_waits_longer_and_longer() -> None:
    """After the free tries: 1 s, 2 s, 4 s and so on up to a minute."""
    clock = Clock()
    throttle = Throttle(clock=clock)
    guess(throttle, clock, "a", "admin", FREE_TRIES - 1)
    assert throttle.wait_seconds("a", "admin") == 0
    waits = []
    for _ in range(9):
        throttle.failed("a", "admin")
        waits.append(throttle.wait_seconds("a", "admin"))
        clock.now += waits[-1]
    assert waits == [1, 2, 4, 8, 16, 32, WAIT_SECONDS_MAX, WAIT_SECONDS_MAX, WAIT_SECONDS_MAX]


def test_who_guesses_at_other_accounts_waits_too() -> None:
    """One password over many accounts is guessing as well."""
    clock = Clock()
    throttle = Throttle(clock=clock)
    for n in range(FREE_TRIES):
        throttle.failed("a", f"user {n}")
    assert throttle.wait_seconds("a", "another") > 0


def test_the_only_administrator_gets_in_from_an_address_that_does_not_guess() -> None:
    """However many others guess at the account at this very moment."""
    clock = Clock()
    throttle = Throttle(clock=clock)
    for n in range(5000):
        guess(throttle, clock, f"guesser {n % 500}", "admin", 1)
    assert throttle.wait_seconds("desk", "admin") == 0


def test_a_guessed_account_slows_down_each_address_that_has_guessed_once() -> None:
    """Many addresses with few tries each are slowed down by the account."""
    clock = Clock()
    throttle = Throttle(clock=clock)
    for n in range(50):
        throttle.failed(f"guesser {n}", "admin")
    assert throttle.wait_seconds("guesser 7", "admin") == WAIT_SECONDS_MAX


def test_nobody_pushes_anothers_turn_away() -> None:
    """One who has mistyped once waits from that moment on, at most a minute, while others go on guessing."""
    clock = Clock()
    throttle = Throttle(clock=clock)
    throttle.failed("desk", "admin")
    began = clock.now
    while throttle.wait_seconds("desk", "admin") > 0 or clock.now == began:
        throttle.failed(f"guesser {clock.now}", "admin")
        clock.now += 0.1
        assert clock.now - began <= WAIT_SECONDS_MAX + 1


def test_the_right_password_at_one_account_gives_no_free_tries_at_others() -> None:
    """Who has a viewer's password guesses at the administrator's as slowly as anybody."""
    clock = Clock()
    throttle = Throttle(clock=clock)
    for _ in range(3 * FREE_TRIES):
        throttle.failed("a", "admin")
        throttle.succeeded("a", "viewer")
    assert throttle.wait_seconds("a", "admin") == WAIT_SECONDS_MAX


def test_it_is_forgotten_in_time() -> None:
    """After a quarter of an hour, or at once by the right password for one's own mistyping."""
    clock = Clock()
    throttle = Throttle(clock=clock)
    guess(throttle, clock, "a", "admin", 2 * FREE_TRIES)
    clock.now += FORGET_SECONDS + 1
    assert throttle.wait_seconds("a", "admin") == 0
    assert throttle.failed("a", "admin") == 1
    assert throttle.succeeded("a", "admin") == 1
    assert throttle.wait_seconds("a", "admin") == 0


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.booleans(), st.floats(0, 100)), max_size=60))
def test_a_wait_is_never_longer_than_a_minute_after_ones_own_last_try(
    tries: list[tuple[int, int, bool, float]],
) -> None:
    """Whatever happens."""
    clock = Clock()
    throttle = Throttle(clock=clock)
    last: dict[int, float] = {}
    for address, account, right, pause in tries:
        if right:
            throttle.succeeded(str(address), str(account))
        else:
            throttle.failed(str(address), str(account))
            last[address] = clock.now
        clock.now += pause
        for one in range(4):
            wait = throttle.wait_seconds(str(one), str(account))
            assert wait <= max(0.0, last.get(one, -WAIT_SECONDS_MAX) + WAIT_SECONDS_MAX - clock.now) + 1e-6


def test_what_is_remembered_is_bounded() -> None:
    """Addresses and names are made up at will."""
    throttle = Throttle()
    for n in range(REMEMBERED_MAX + 500):
        throttle.failed(f"a{n}", f"b{n}")
        throttle.failed("a", f"b{n}")
    assert len(throttle._guessers) <= REMEMBERED_MAX
    assert len(throttle._targets) <= REMEMBERED_MAX
    assert len(throttle._guessers["a"].tries) <= 101


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_a_network_counts_as_one_where_one_machine_has_all_of_it(address: str, network: str) -> None:
    """An IPv6 /64 is one guesser."""
    assert network_of(address) == network
