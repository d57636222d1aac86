"""What the guests say is understood, line by line, however the log grows."""

from __future__ import annotations

from pathlib import Path

import pytest

from farshore.errors import Fault
from farshore.lab.serial import (
    Acknowledged,
    Booted,
    Event,
    GuestFailure,
    HeardBoot,
    LawJudged,
    Mounted,
    SerialTail,
    Verified,
    WorstWrite,
    last_lines,
    parse_line,
    wait_for_event,
)

BOOT = "3bb544e9-79b1-4e22-bfff-a108adff803e"


@pytest.mark.parametrize(
    ("line", "event"),
    [
        ("ack a 123\r", Acknowledged("a", 123)),
        (f"FARSHORE GUEST vm=2 boot={BOOT}", Booted(2, BOOT)),
        ("mounted b clean", Mounted("b", True, "")),
        ("mounted b clean journal=replayed", Mounted("b", True, "journal=replayed")),
        ("mounted b BROKEN ext4 has met errors", Mounted("b", False, "ext4 has met errors")),
        ("verified a top=0 ok", Verified("a", 0, "")),
        ("verified a BROKEN slot 3 has ...", Verified("a", None, "slot 3 has ...")),
        ("opened a BROKEN no header of this disk", Verified("a", None, "no header of this disk")),
        ("law ok top=5 a=5 b=4", LawJudged(True, "top=5 a=5 b=4")),
        ("law BROKEN a=5 b=6", LawJudged(False, "a=5 b=6")),
        (f"heard boot={BOOT} vm=1", HeardBoot(1, BOOT, False)),
        (f"peer boot={BOOT} vm=1", HeardBoot(1, BOOT, True)),
        ("worst 2.013", WorstWrite(2.013)),
        ("failed a 124 Input/output error", GuestFailure("a 124 Input/output error")),
        ("[    1.0] Kernel panic - not syncing", GuestFailure("Kernel panic - not syncing")),
        (f"ack a 12FARSHORE GUEST vm=1 boot={BOOT}", Booted(1, BOOT)),
        ("ack a", None),
        ("ack a 12 13", None),
        ("", None),
    ],
)
def test_each_line_is_understood(line: str, event: Event | None) -> None:
    """Every form that the guest uses, and nothing else; a killed guest's half line runs into the next greeting."""
    assert parse_line(line) == event


def test_a_line_counts_when_it_is_whole(tmp_path: Path) -> None:
    """`ack a 12` may be the beginning of `ack a 123`."""
    log = tmp_path / "serial.log"
    tail = SerialTail(log)
    assert tail.events() == []
    log.write_bytes(b"ack a 12")
    assert tail.events() == []
    with log.open("ab") as file:
        file.write(b"3\r\nack b 1")
    assert tail.events() == [Acknowledged("a", 123)]
    log.write_bytes(b"ack c 1\n")
    assert tail.events() == [Acknowledged("c", 1)]


def test_waiting_in_vain_says_what_was_said_last(tmp_path: Path) -> None:
    """A wait is bounded, and its error shows the guest's last words."""
    log = tmp_path / "serial.log"
    log.write_text("ack a 1\n")
    with pytest.raises(Fault, match="did not say") as raised:
        wait_for_event(log, lambda event: isinstance(event, Booted), 0.05)
    assert "ack a 1" in raised.value.remedy


def test_the_last_lines_are_shown_and_nothing_is_said_to_be_nothing(tmp_path: Path) -> None:
    """What a demo that fails prints of each recovered guest."""
    log = tmp_path / "serial.log"
    assert last_lines(log, 2) == ["(nothing)"]
    log.write_bytes(b"one\ntwo\nthree")
    assert last_lines(log, 2) == ["two", "three"]
