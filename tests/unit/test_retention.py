"""Which part of a journal may be promoted, and how a long list of checkpoints behaves."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from farshore.datapath.journal import Checkpoint, Journal
from farshore.datapath.journal.checkpoint import Catalogue
from farshore.datapath.journal.ledger import Ledger
from farshore.datapath.journal.retention import promotion_target
from farshore.datapath.replica.promotion import Promoter
from farshore.errors import Conflict, NotFound
from tests.made_streams import START_NS, MadeStream

SIZES = {0: 4096}
MINUTE = 60 * 10**9


def ledger_of(stream: MadeStream, ledger: Ledger | None = None, ordinal: int = 0) -> tuple[Ledger, int]:
    """Feed the segment being made."""
    ledger = ledger or Ledger()
    arrived = stream.seal()
    ledger.feed(ordinal + 1, arrived.header, arrived.control)
    return ledger, ordinal + 1


def checkpoint_every_minute(stream: MadeStream, ledger: Ledger, ordinal: int, count: int) -> int:
    """Markers and their vouches."""
    for number in range(count):
        stream.clock_ns += MINUTE
        stream.marker(f"{ordinal}-{number}", [0])
        _, ordinal = ledger_of(stream, ledger, ordinal)
        stream.say(type="vouch", id=ledger_last(ledger))
        _, ordinal = ledger_of(stream, ledger, ordinal)
    return ordinal


def ledger_last(ledger: Ledger) -> str:
    """The candidate that waits for its vouch."""
    (name,) = ledger.candidates
    return name


def target(ledger: Ledger, history_minutes: float, now_ns: int, pinned: list[int] | None = None) -> int | None:
    """promotion_target with a floor of 0 and all files closed up to ordinal 3."""
    return promotion_target(
        ledger, floor=0, last_closed=3, pinned=pinned or [], history_seconds=history_minutes * 60, now_ns=now_ns
    )


def synced() -> tuple[MadeStream, Ledger, int]:
    """A stream whose initial sync is over."""
    stream = MadeStream()
    stream.begin(SIZES)
    ledger, ordinal = ledger_of(stream)
    return stream, ledger, ordinal


def test_the_newest_old_enough_checkpoint_is_the_target_and_pins_hold_it() -> None:
    """Ten checkpoints a minute apart (ordinals 2, 4, ..): four minutes of history leave the last five."""
    stream, ledger, ordinal = synced()
    checkpoint_every_minute(stream, ledger, ordinal, 10)
    now = stream.clock_ns
    assert target(ledger, 4, now) == 10
    assert target(ledger, 4, now, [6, 9]) == 6
    assert target(ledger, 4, now, [1]) is None
    assert target(ledger, 0, now + 10**6, [20]) == 18
    assert target(ledger, -1, now) == 20


def test_neither_clock_alone_can_expire_history() -> None:
    """Here or there a clock leaps two days ahead: nothing goes but what both call old."""
    stream, ledger, ordinal = synced()
    checkpoint_every_minute(stream, ledger, ordinal, 10)
    now = stream.clock_ns
    assert target(ledger, 60, now + 2 * 24 * 60 * MINUTE) is None
    ledger.newest_ns += 2 * 24 * 60 * MINUTE
    assert target(ledger, 60, now) is None


def test_a_clock_that_was_ahead_once_is_forgotten() -> None:
    """The protected host's clock leaps ahead and is put right; later the recovery site's leaps: nothing goes."""
    stream, ledger, ordinal = synced()
    ordinal = checkpoint_every_minute(stream, ledger, ordinal, 5)
    stream.clock_ns += 2 * 24 * 60 * MINUTE
    ordinal = checkpoint_every_minute(stream, ledger, ordinal, 2)
    stream.clock_ns -= 2 * 24 * 60 * MINUTE
    checkpoint_every_minute(stream, ledger, ordinal, 5)
    assert target(ledger, 60, stream.clock_ns + 2 * 24 * 60 * MINUTE) is None


def test_i14_a_long_sync_ages_nothing_before_it_and_its_last_checkpoint_stays() -> None:
    """Five hours of sync with one hour of history: the checkpoints before it stay, and age on only after it."""
    stream, ledger, ordinal = synced()
    ordinal = checkpoint_every_minute(stream, ledger, ordinal, 3)
    stream.say(type="break", reason="test")
    _, ordinal = ledger_of(stream, ledger, ordinal)
    stream.clock_ns += 300 * MINUTE
    stream.write(0, 0, b"sync", sync=True)
    _, ordinal = ledger_of(stream, ledger, ordinal)
    assert target(ledger, 60, stream.clock_ns) is None
    assert target(ledger, -1, stream.clock_ns) == 6, "even in need the last one before the sync stays"
    stream.say(type="sync_end", volumes=[0])
    _, ordinal = ledger_of(stream, ledger, ordinal)
    ordinal = checkpoint_every_minute(stream, ledger, ordinal, 1)
    assert target(ledger, 60, stream.clock_ns) is None
    assert ledger.catalogue.newest().hole_before
    ordinal = checkpoint_every_minute(stream, ledger, ordinal, 57)
    assert target(ledger, 60, stream.clock_ns) is None
    ordinal = checkpoint_every_minute(stream, ledger, ordinal, 3)
    assert target(ledger, 60, stream.clock_ns) == 4


def test_without_a_checkpoint_closed_files_go_but_not_past_a_waiting_marker() -> None:
    """An initial sync is promoted as it comes; a marker whose vouch is still to come is not passed."""
    stream, ledger, ordinal = synced()
    assert target(ledger, 60, stream.clock_ns) == 3
    stream.marker("m", [0])
    _, ordinal = ledger_of(stream, ledger, ordinal)
    assert target(ledger, 60, stream.clock_ns) == 1


def test_a_break_voids_what_waits_and_says_why() -> None:
    """find_marker tells by id and by task that a marker never counts; the next one with the task does."""
    stream, ledger, ordinal = synced()
    stream.marker("m", [0], task="t")
    _, ordinal = ledger_of(stream, ledger, ordinal)
    assert ledger.void_of("m", None) is None
    stream.flags = 4
    _, ordinal = ledger_of(stream, ledger, ordinal)
    assert "the stream broke" in str(ledger.void_of("m", None))
    assert "the stream broke" in str(ledger.void_of(None, "t"))
    assert "sync" in ledger.waits_for()


def test_a_pin_that_comes_while_a_promotion_begins_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """I21: another process pins between the choice of the target and the word in base.json: nothing is promoted."""
    stream = MadeStream()
    stream.begin(SIZES)
    with Journal.open(tmp_path, writable=True, reserve_bytes=0) as journal:
        journal.append([stream.seal()])
        for number in range(3):
            stream.marker(f"m{number}", [0])
            journal.append([stream.seal()])
            stream.say(type="vouch", id=f"m{number}")
            journal.append([stream.seal()])
        promoter = Promoter(journal, -1)
        with Journal.open(tmp_path) as other, monkeypatch.context() as patch:
            real = journal.verify
            patch.setattr(journal, "verify", lambda last: (other.pin("other", "2"), real(last))[1])
            assert not promoter.step(START_NS * 2)
            assert [each.ordinal for each in journal.checkpoints()] == [2, 4, 6]
            with pytest.raises(Conflict):
                journal.pin("other", "4")
            assert journal.pin("other").ordinal == 2
            journal.unpin("other")
            patch.undo()
            assert promoter.step(START_NS * 2)
            with pytest.raises(NotFound):
                other.pin("late", "2")
            assert not other.pins.all()


def test_ca17_half_a_million_checkpoints_are_listed_in_pages() -> None:
    """518,400 checkpoints: a page by time, the newest, and one by its marker each well under a second."""
    catalogue = Catalogue()
    for number in range(518_400):
        catalogue.add(
            Checkpoint(
                str(2 * number), START_NS + number * 5 * 10**9, None, None, f"m{number}", 2 * number, (0, 1), False
            )
        )
    began = time.process_time()
    page = catalogue.page(from_ns=START_NS + 10**15, limit=100)
    assert [each.ordinal for each in page] == list(range(400_000, 400_200, 2))
    assert catalogue.page(limit=2, newest_first=True)[1].ordinal == 2 * 518_398
    assert catalogue.by_marker("m7").ordinal == 14
    assert catalogue.newest_up_to(13).ordinal == 12
    assert time.process_time() - began < 1


def test_a_raised_epoch_waits_for_the_append_in_hand(tmp_path: Path) -> None:
    """I16: from the return of raise_epoch on nothing of the old epoch is kept, whatever was under way."""
    stream = MadeStream()
    stream.begin(SIZES)
    with Journal.open(tmp_path, writable=True, reserve_bytes=0) as journal:
        journal.raise_epoch(1)
        stop, refused = threading.Event(), threading.Event()

        def write() -> None:
            while not stop.is_set():
                try:
                    journal.append([stream.seal()])
                except Conflict:
                    refused.set()
                    return

        thread = threading.Thread(target=write)
        thread.start()
        while journal.last_ordinal < 20:
            time.sleep(0.001)
        journal.raise_epoch(2)
        kept = journal.last_ordinal
        assert refused.wait(10)
        stop.set()
        thread.join(10)
        assert journal.last_ordinal == kept
    assert Journal.open(tmp_path).epoch.epoch == 2


def test_a_vouch_that_comes_after_promotion_lists_nothing_that_is_gone() -> None:
    """A marker that the replica has passed is void, whenever its vouch comes; those after it are not touched."""
    stream, ledger, ordinal = synced()
    stream.marker("early", [0])
    _, early = ledger_of(stream, ledger, ordinal)
    stream.marker("late", [0])
    _, late = ledger_of(stream, ledger, early)
    ledger.pass_floor(late)
    for name in ("early", "late"):
        stream.say(type="vouch", id=name)
    ledger_of(stream, ledger, late)
    listed = ledger.catalogue.page(None, None, None, False)
    assert [each.ordinal for each in listed] == [late]
    assert ledger.void_of("early", None) == "its vouch came after history had passed it"
