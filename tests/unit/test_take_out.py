"""Volumes leave the history: their base images become the checkpoint, whatever ends the process, and no other."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farshore.datapath.journal import Journal
from farshore.datapath.journal.taken import Taken, Taking
from farshore.datapath.journal_carrier.alone import Alone
from farshore.datapath.journal_carrier.takings import Takings
from farshore.datapath.replica.image import Images, image_path
from farshore.datapath.replica.old_disks import OldDisks
from farshore.datapath.replica.promotion import Promoter
from farshore.datapath.replica.take_out import begin, check, retire_volumes, still_pinned
from farshore.datapath.view.volume import VolumeView
from farshore.errors import BadInput, Conflict, FarshoreError, NotFound, Unavailable
from tests.made_streams import START_NS
from tests.told_journals import SIZES, Killed, Story, killed_at, story, take_out

FAR_NS = START_NS * 2

writes = st.tuples(
    st.just("write"), st.sampled_from(list(SIZES)), st.integers(0, 2000), st.binary(min_size=1, max_size=300)
)
zeroes = st.tuples(st.just("zero"), st.sampled_from(list(SIZES)), st.integers(0, 2000), st.integers(1, 900))
sizes = st.tuples(
    st.just("size"), st.sampled_from(list(SIZES)), st.sampled_from([512, 1024, 1536, 2048, 3072]), st.none()
)
marks = st.tuples(st.just("checkpoint"), st.just(0), st.just(0), st.none())
stories = st.lists(st.one_of(writes, writes, zeroes, sizes, marks, marks), min_size=4, max_size=40)


@given(
    stories, st.floats(0, 1), st.sets(st.sampled_from(list(SIZES)), min_size=1), st.integers(0, 60), st.integers(-1, 3)
)
@settings(max_examples=150, deadline=None)
def test_the_base_becomes_the_view_and_nothing_else_changes(
    steps: list[Any], which: float, numbers: set[int], kill: int, history: int
) -> None:
    """For any stream, checkpoint and volumes, killed anywhere: the base is the view's bytes, no other changes."""
    with story() as told:
        told.tell(steps[: len(steps) // 2])
        Promoter(told.journal, history).step(FAR_NS)
        told.tell(steps[len(steps) // 2 :])
        before = told.offered()
        chosen = before[int(which * (len(before) - 1))]
        others = set(SIZES) - numbers
        images = {n: image_path(told.folder, n) for n in SIZES}
        others_were = {n: images[n].read_bytes() for n in others if images[n].exists()}
        taking = Taking("op", chosen, tuple(sorted(numbers)), str(told.folder.parent / "disks"))
        try:
            with killed_at(kill):
                take_out(told, taking)
        except Killed:
            told.reopen()
            begun = told.journal.taken.of("op")
            told.check(set(SIZES), chosen)
            if begun is not None and not begun.done:
                assert not Promoter(told.journal, -1).step(FAR_NS)
                assert told.journal.floor.promoting is None
        done = take_out(told, taking)
        assert done.paths == {str(n): str(told.folder.parent / "disks" / f"{n}.raw") for n in numbers}
        for number in numbers:
            assert Path(done.paths[str(number)]).read_bytes() == told.copies[chosen][number]
        assert {n: images[n].read_bytes() for n in others if images[n].exists()} == others_were
        after_it(told, numbers, chosen, before)


def after_it(told: Story, numbers: set[int], chosen: int, before: list[int]) -> None:
    """The VM writes to its disks; the others' checkpoints are all there, go on, and are promoted past."""
    told.check(numbers, chosen)
    told.journal.pin("op", str(chosen))
    Promoter(told.journal, -1).step(FAR_NS)
    told.check(set(SIZES), chosen)  # a view that is started again, over a base that has it already
    told.journal.unpin("op")
    others = set(SIZES) - numbers
    left = [each for each in before if each in told.offered()]
    assert left == ([each for each in before if each >= told.journal.floor.openable_from] if others else [chosen])
    for number in numbers:
        with (told.folder.parent / "disks" / f"{number}.raw").open("r+b") as disk:
            disk.write(b"the VM's")
    mine = {number: (told.folder.parent / "disks" / f"{number}.raw").read_bytes() for number in numbers}
    retire_volumes(told.journal, sorted(numbers))
    assert told.offered() == (left if others else [])
    told.tell([("write", number, 7, b"later") for number in SIZES])
    if others:
        told.disks = {n: told.disks[n] for n in others}
        told.say_volumes()
        told.tell([("write", number, 9, b"without them") for number in others])
        assert told.offered()[-1] == told.journal.last_ordinal - 1
        for ordinal in told.offered():
            told.check(others, ordinal)
        Promoter(told.journal, -1).step(FAR_NS)
        assert told.offered() == [told.journal.last_ordinal - 1]
        told.check(others, told.offered()[0])
    told.reopen()
    assert all(not image_path(told.folder, n).exists() for n in numbers)
    assert mine == {n: (told.folder.parent / "disks" / f"{n}.raw").read_bytes() for n in numbers}


def test_zeros_and_a_shrink_after_the_floor_are_written_into_the_base() -> None:
    """The base has data where the checkpoint has zeros: made by zeroes, and by a shrink and a growth."""
    with story() as told:
        told.tell([("write", 0, 0, b"a" * 1024), ("write", 3, 0, b"b" * 1536)])
        assert Promoter(told.journal, -1).step(FAR_NS)
        assert image_path(told.folder, 3).read_bytes() == b"b" * 1536
        told.tell([("zero", 0, 10, 500), ("size", 3, 512, None), ("size", 3, 2048, None)])
        done = take_out(told, Taking("op", told.offered()[-1], (0, 3), str(told.folder.parent / "disks")))
        assert Path(done.paths["0"]).read_bytes() == b"a" * 10 + bytes(500) + b"a" * 514 + bytes(1024)
        assert Path(done.paths["3"]).read_bytes() == b"b" * 512 + bytes(1536)


def test_bytes_are_durable_before_a_name_and_a_word_is_given_and_done_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """fdatasync after the last write, then the name, then `done`; ordered again, a VM's disk is not written."""
    order: list[str] = []

    def told_of(where: Any, name: str) -> None:
        real = getattr(where, name)
        monkeypatch.setattr(where, name, lambda *args: (order.append(name), real(*args))[1])

    for where, name in ((Images, "write"), (Images, "sync"), (Path, "hardlink_to"), (Taken, "save")):
        told_of(where, name)
    with story() as told:
        chosen = three_checkpoints(told)[1]
        taking = Taking("op", chosen, (3,), str(told.folder.parent / "disks"))
        done = take_out(told, taking)
        assert order == ["save", "save", "write", "write", "sync", "hardlink_to", "save"]
        Path(done.paths["3"]).write_bytes(b"the VM's")
        assert take_out(told, taking) == done
        assert Path(done.paths["3"]).read_bytes() == b"the VM's"


def test_a_sync_of_a_volume_that_left_the_vpg_keeps_nobody_waiting() -> None:
    """The failover comes in the middle of a sync; afterwards the sender names the other volumes only."""
    with story() as told:
        told.stream.say(type="sync_begin", kind="bitmap", volumes=[0, 3])
        told.journal.append([told.stream.seal()])
        told.disks.pop(3)
        told.say_volumes()
        told.stream.say(type="sync_end", volumes=[0])
        told.tell([])
        assert told.offered() == [told.journal.last_ordinal - 1]


def three_checkpoints(told: Story) -> list[int]:
    """Three, each with a write of its own."""
    for turn in range(3):
        told.tell([("write", number, 100 * turn, bytes([turn + 1]) * 90) for number in SIZES])
    return told.offered()


def test_i10_others_keep_their_checkpoints_and_the_taken_are_seen_at_theirs_only() -> None:
    """Listing, pinning, opening, volumes and definitions, from the record's first moment on, for readers too."""
    with story() as told:
        told.say_volumes()
        for number in SIZES:
            told.stream.say(type="definition", vm={"id": f"vm{number}"})
        first, second, third = three_checkpoints(told)
        begin(told.journal, Taking("op", second, (3,), str(told.folder.parent / "disks")))
        with Journal.open(told.folder) as reader:
            for journal in (told.journal, reader):
                assert [each.volumes for each in journal.checkpoints()] == [(0, 5), (0, 3, 5), (0, 5)]
                for ordinal in (first, third):
                    checkpoint = journal.checkpoint(str(ordinal))
                    assert [each["number"] for each in journal.volumes_at(checkpoint)] == [0, 5]
                    assert set(journal.definitions_at(checkpoint)) == {"vm0", "vm5"}
                    with pytest.raises(Conflict, match=f"taken out of the journal at checkpoint {second}"):
                        VolumeView(journal, 3, ordinal)
                assert set(journal.definitions_at(journal.checkpoint(str(second)))) == {"vm0", "vm3", "vm5"}
            told.check({0, 3, 5}, second)
            begin(told.journal, Taking("rest", second, (0, 5), str(told.folder.parent / "disks")))
            assert told.offered() == [second]
            with pytest.raises(NotFound):
                told.journal.pin("other", str(third))
            with pytest.raises(NotFound, match="just expired"):
                reader.pin("late", str(third))
            assert not reader.pins.all()
            assert told.journal.find_marker(marker_id="m2") is None
        assert not Promoter(told.journal, -1).step(FAR_NS)


def test_whoever_pinned_another_checkpoint_before_is_let_finish() -> None:
    """A clone that runs at another checkpoint goes on reading; one that pins afterwards is not waited for."""
    with story() as told:
        first, second, third = three_checkpoints(told)
        told.journal.pin("clone", str(first))
        told.journal.pin("op", str(second))
        begun = begin(told.journal, Taking("op", second, (3,), str(told.folder.parent / "disks")))
        told.journal.pin("later", str(third))
        assert still_pinned(told.journal, begun) == ["clone"]
        told.reopen()
        assert still_pinned(told.journal, begin(told.journal, begun)) == ["clone"]
        told.journal.unpin("clone")
        assert take_out(told, begun).done


def test_what_cannot_be_taken_out_is_refused_and_nothing_is_written() -> None:
    """Unknown checkpoints and volumes, a place that is taken, another operation, another folder."""
    with story() as told:
        _, second, third = three_checkpoints(told)
        disks = told.folder.parent / "disks"
        for taking, error in (
            (Taking("op", 9999, (3,), str(disks)), NotFound),
            (Taking("op", second, (), str(disks)), BadInput),
            (Taking("op", second, (4,), str(disks)), BadInput),
            (Taking("op", second, (3,), "disks"), BadInput),
            (Taking("op", second, (3,), tempfile.gettempdir()), Conflict),
        ):
            with pytest.raises(error):
                begin(told.journal, taking)
        disks.mkdir(exist_ok=True)
        (disks / "3.raw").write_bytes(b"somebody's")
        with pytest.raises(Conflict, match="exists already"):
            begin(told.journal, Taking("op", second, (3,), str(disks)))
        assert not Taken.path(told.folder).exists()
        (disks / "3.raw").unlink()
        with pytest.raises(Conflict, match="not taken out"):
            retire_volumes(told.journal, [3])
        take_out(told, Taking("op", second, (3,), str(disks)))
        for taking in (Taking("op", third, (3,), str(disks)), Taking("two", second, (0, 3), str(disks))):
            with pytest.raises(Conflict):
                check(told.journal, taking)


def test_damage_below_the_checkpoint_stops_it_before_a_byte_is_touched() -> None:
    """A payload that is not what was written is found before; the record is not made."""
    with story() as told:
        _, second, _ = three_checkpoints(told)
        path = min((told.folder / "segments").iterdir())
        data = bytearray(path.read_bytes())
        data[data.index(bytes([1]) * 90)] ^= 1
        path.write_bytes(data)
        with pytest.raises(FarshoreError, match="damaged"):
            begin(told.journal, Taking("op", second, (3,), str(told.folder.parent / "disks")))
        assert not Taken.path(told.folder).exists()


def test_the_carriers_thread_waits_says_so_and_goes_on_after_its_end() -> None:
    """take_out answers at once; it tells whom it waits for; the next carrier goes on by itself; done stays done."""
    with story() as told:
        first, second, _ = three_checkpoints(told)
        told.journal.pin("clone", str(first))
        disks = str(told.folder.parent / "disks")

        def takings() -> tuple[Takings, threading.Event]:
            stopping, old_disks = threading.Event(), OldDisks(told.journal)
            promoter = Promoter(told.journal, 3600, old_disks)
            return Takings(told.journal, promoter, old_disks, Alone(), stopping), stopping

        ours, stopping = takings()
        with pytest.raises(NotFound):
            ours.status("op")
        ours.take_out("op", str(second), [3], disks)
        ours.take_out("op", str(second), [3], disks)
        until(lambda: "clone" in ours.status("op")["reason"])
        assert (ours.status("op")["state"], ours.status("op")["paths"]) == ("running", {})
        stopping.set()
        ours.join()
        told.reopen()
        ours, stopping = takings()
        ours.resume()
        told.journal.unpin("clone")
        until(lambda: ours.status("op")["state"] == "done")
        status = ours.status("op")
        assert status["paths"] == {"3": f"{disks}/3.raw"}
        assert status["done_bytes"] == status["total_bytes"] > 0
        ours.join()
        told.reopen()
        with open(f"{disks}/3.raw", "r+b") as disk:
            disk.write(b"the VM's")
        ours, _ = takings()
        ours.take_out("op", str(second), [3], disks)
        assert ours.status("op")["state"] == "done"
        ours.join()
        assert Path(disks, "3.raw").read_bytes().startswith(b"the VM's")


def until(what: Any) -> None:
    """Wait for a condition that a thread brings about."""
    for _ in range(1000):
        if what():
            return
        threading.Event().wait(0.01)
    raise AssertionError


def test_promotion_gives_way_and_nobody_waits_for_ever() -> None:
    """`within` gives up in words; whoever has precedence is seen by promotion while it waits."""
    alone = Alone()
    with alone.turn():
        with pytest.raises(Unavailable, match="being written"), alone.within(0.01):
            pass
        waiting = threading.Thread(target=alone.__enter__)
        waiting.start()
        until(lambda: alone.wanted)
    waiting.join(10)
    assert not alone.wanted
