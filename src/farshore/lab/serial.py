"""What the test guest says on its serial line, as events. guest/src says what is said when."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from farshore.errors import Fault

GREETING = "FARSHORE GUEST "


@dataclass(frozen=True)
class Acknowledged:
    """Record `number` of disk `letter` was acknowledged to the guest."""

    letter: str
    number: int


@dataclass(frozen=True)
class Booted:
    """The guest's first words: which VM, and this boot's random identifier."""

    vm: int
    boot: str


@dataclass(frozen=True)
class Mounted:
    """An ext4 disk was mounted. `clean`: without an error; a journal that was replayed is no error."""

    letter: str
    clean: bool
    words: str


@dataclass(frozen=True)
class Verified:
    """The guest read the whole disk. `top` is its last record (None when it is broken; then `words` say how)."""

    letter: str
    top: int | None
    words: str

    @property
    def good(self) -> bool:
        """Whether the disk holds exactly what an unbroken row of records leaves."""
        return self.top is not None


@dataclass(frozen=True)
class LawJudged:
    """The guests compared how far their disks are."""

    good: bool
    words: str


@dataclass(frozen=True)
class HeardBoot:
    """A boot identifier was heard on the network for the first time (`as_peer`: the one the law was judged with)."""

    vm: int
    boot: str
    as_peer: bool


@dataclass(frozen=True)
class WorstWrite:
    """The longest of the guest's writing system calls since it last told."""

    seconds: float


@dataclass(frozen=True)
class GuestFailure:
    """Something failed inside the guest: a write, or the chain itself."""

    words: str


Event = Acknowledged | Booted | Mounted | Verified | LawJudged | HeardBoot | WorstWrite | GuestFailure

_NUMBER = r"([0-9]{1,20})"
_BOOT = r"([0-9a-f-]{36})"
_FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Event]], ...] = (
    (re.compile(rf"ack ([a-z]+) {_NUMBER}"), lambda m: Acknowledged(m[1], int(m[2]))),
    (re.compile(rf"FARSHORE GUEST vm=([0-9]+) boot={_BOOT}"), lambda m: Booted(int(m[1]), m[2])),
    (re.compile(r"worst ([0-9]+\.[0-9]+)"), lambda m: WorstWrite(float(m[1]))),
    (re.compile(r"mounted ([a-z]+) (clean|BROKEN) ?(.*)"), lambda m: Mounted(m[1], m[2] == "clean", m[3])),
    (re.compile(rf"verified ([a-z]+) top={_NUMBER} ok"), lambda m: Verified(m[1], int(m[2]), "")),
    (re.compile(r"(?:verified|opened) ([a-z]+) BROKEN (.*)"), lambda m: Verified(m[1], None, m[2])),
    (re.compile(r"law (ok|BROKEN) ?(.*)"), lambda m: LawJudged(m[1] == "ok", m[2])),
    (re.compile(rf"(heard|peer) boot={_BOOT} vm=([0-9]+)"), lambda m: HeardBoot(int(m[3]), m[2], m[1] == "peer")),
    (re.compile(r"failed (.*)"), lambda m: GuestFailure(m[1])),
    (re.compile(r".*(Kernel panic.*)"), lambda m: GuestFailure(m[1])),
)


def parse_line(line: str) -> Event | None:
    """The event in a whole line, or None when it is none of the guest's facts.

    QEMU appends to the log when a VM starts again: a line that the killed one had begun then runs into the greeting.
    """
    line = line.strip("\r\n \0")
    greeting = line.find(GREETING)
    if greeting > 0:
        line = line[greeting:]
    for form, make in _FORMS:
        found = form.fullmatch(line)
        if found:
            return make(found)
    return None


class SerialTail:
    """Reads a serial log as it grows; the log may not be there yet, and may be begun anew."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        self.path = path
        self.offset = offset
        """Of the first byte that was not given out yet."""

    def read(self) -> Iterator[tuple[int, str]]:
        """The whole lines that came since, each with the offset of its end."""
        try:
            with self.path.open("rb") as file:
                if file.seek(0, 2) < self.offset:
                    self.offset = 0
                file.seek(self.offset)
                data = file.read()
        except FileNotFoundError:
            return
        while (end := data.find(b"\n")) >= 0:
            line, data = data[:end], data[end + 1 :]
            self.offset += end + 1
            yield self.offset, line.decode("utf-8", errors="replace")

    def events(self) -> list[Event]:
        """The events that came since."""
        found = (parse_line(line) for _, line in self.read())
        return [event for event in found if event is not None]


def read_events(path: Path) -> list[Event]:
    """All events in a serial log (none when it is not there)."""
    return SerialTail(path).events()


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of a serial log; says so when there is nothing."""
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    return lines[-count:] or ["(nothing)"]


def wait_for_event(path: Path, wanted: Callable[[Event], bool], timeout_seconds: float, offset: int = 0) -> Event:
    """The first event after `offset` that is `wanted`. Raises Fault with the log's last words when none comes."""
    deadline = time.monotonic() + timeout_seconds
    tail = SerialTail(path, offset)
    while True:
        for event in tail.events():
            if wanted(event):
                return event
        if time.monotonic() > deadline:
            words = path.read_text(errors="replace")[-300:] if path.exists() else "nothing"
            fact = f"The guest of {path.name} did not say what was waited for in {timeout_seconds} s."
            raise Fault(fact, f"Its last words: {words!r}")
        time.sleep(0.02)
