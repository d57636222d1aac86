"""Halting a VM: its guest works no more, but its process goes on, with taps, mirrors, bitmaps and image locks.

A note in the VM's run folder says what was asked of it, so that whoever looks next, a person or a watcher that was
started again, tells a halted VM from one that its owner has paused.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from farshore.hypervisor.driver import Power

ASKED = "asked"
FORCED = "forced"
ASK_AGAIN_SECONDS = 5.0


class Halter(Protocol):
    """How a driver halts a VM. See driver.VmHandle for what the calls promise; they do not overlap."""

    async def halt(self, force: bool) -> bool:
        """Ask or force; whether it is halted now."""
        ...

    async def halted(self) -> bool:
        """Whether it is halted."""
        ...

    async def revive(self) -> None:
        """Let it work again."""
        ...


class HaltNote:
    """The note of one VM. It vanishes with the run folder when the VM is started anew."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def words(self) -> frozenset[str]:
        """What was done: ASKED, FORCED, both or neither."""
        try:
            return frozenset(self.path.read_text().split())
        except FileNotFoundError:
            return frozenset()

    def add(self, word: str) -> None:
        """Note it; its time counts as the time of the last asking."""
        self.path.write_text(" ".join(sorted(self.words() | {word})))

    def asked_lately(self) -> bool:
        """Whether the guest was asked so short a time ago that asking again would not help it."""
        try:
            age = time.time() - self.path.stat().st_mtime
        except FileNotFoundError:
            return False
        return ASKED in self.words() and 0 <= age < ASK_AGAIN_SECONDS

    def forget(self) -> None:
        """It works again."""
        self.path.unlink(missing_ok=True)


def power_of(status: Mapping[str, Any], note: HaltNote) -> Power:
    """The power of a guest, by QEMU's answer to query-status: halted if it has shut down, or if we have stopped it."""
    if status["running"]:
        return "running"
    return "halted" if status["status"] == "shutdown" or FORCED in note.words() else "paused"
