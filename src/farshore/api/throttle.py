"""Guessing of passwords is slowed down by account and by address, and nobody is ever locked out.

An address that guesses waits longer after each wrong try, and as long as the account has been guessed at, whoever did
it. What counts is the time since that address's own last wrong try, so nobody can push another's turn away. An address
that has not guessed of late does not wait at all, however much others guess at the account: on the worst day the only
administrator gets in with the right password.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

FREE_TRIES = 10
"""Wrong tries before one waits; a person who has forgotten a password may try so often."""
WAIT_SECONDS_MAX = 60.0
FORGET_SECONDS = 900.0
"""After so long without a wrong try all is forgotten."""
REMEMBERED_MAX = 10_000
NAMES_MAX = 100

_Kept = TypeVar("_Kept")


@dataclass
class _Guesser:
    """An address: its wrong tries by account, and when the last one was."""

    tries: dict[str, int] = field(default_factory=dict)
    last: float = 0.0


@dataclass
class _Target:
    """An account: how often it was guessed at from anywhere, and when last."""

    tries: int = 0
    last: float = 0.0


def network_of(address: str) -> str:
    """Whom an address counts as: itself; in IPv6 its /64, of which one machine has all."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed), 64), strict=False))
    return address


class Throttle:
    """The wrong tries of late. Not for several threads at once."""

    def __init__(self, free_tries: int = FREE_TRIES, clock: Callable[[], float] = time.monotonic) -> None:
        self._free = free_tries
        self._clock = clock
        self._guessers: dict[str, _Guesser] = {}
        self._targets: dict[str, _Target] = {}

    def wait_seconds(self, address: str, account: str) -> float:
        """How long that address has to wait before its next try at that account; 0: no time."""
        guesser = self._guessers.get(address)
        now = self._clock()
        if guesser is None or now - guesser.last > FORGET_SECONDS:
            return 0.0
        target = self._targets.get(account)
        tries = sum(guesser.tries.values())
        if target is not None and now - target.last <= FORGET_SECONDS:
            tries = max(tries, target.tries)
        return max(0.0, self._delay(tries) - (now - guesser.last))

    def failed(self, address: str, account: str) -> int:
        """A wrong try; how many that address has made of late."""
        now = self._clock()
        guesser = self._guessers.pop(address, None)
        if guesser is None or now - guesser.last > FORGET_SECONDS:
            guesser = _Guesser()
        name = account if account in guesser.tries or len(guesser.tries) < NAMES_MAX else ""
        guesser.tries[name] = guesser.tries.get(name, 0) + 1
        guesser.last = now
        _remember(self._guessers, address, guesser)
        target = self._targets.pop(account, None)
        if target is None or now - target.last > FORGET_SECONDS:
            target = _Target()
        target.tries += 1
        target.last = now
        _remember(self._targets, account, target)
        return sum(guesser.tries.values())

    def succeeded(self, address: str, account: str) -> int:
        """The right password; how many wrong tries at this account the address had made, which are forgotten.

        Those at other accounts stay: whoever has one account does not get free tries at others by it.
        """
        guesser = self._guessers.get(address)
        if guesser is None:
            return 0
        tries = guesser.tries.pop(account, 0)
        if not guesser.tries:
            del self._guessers[address]
        return tries

    def _delay(self, tries: int) -> float:
        over = tries - self._free
        return 0.0 if over < 0 else min(WAIT_SECONDS_MAX, 2.0 ** min(over, 10))


def _remember(known: dict[str, _Kept], key: str, record: _Kept) -> None:
    """Keep it as the newest; the oldest goes when there are too many."""
    known[key] = record
    if len(known) > REMEMBERED_MAX:
        del known[next(iter(known))]
