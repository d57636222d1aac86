"""What bad disks, full disks and ended processes do to a journal: damage is named, a tail cut, nothing half stays."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farshore.datapath.journal import Arrived, DamagedJournal, Journal, JournalInUse, NoSpace, append
from farshore.datapath.journal.note import DurableNote
from farshore.datapath.replica.promotion import Promoter
from farshore.datapath.segment import DamagedSegment
from farshore.datapath.view.export import export
from farshore.datapath.view.volume import VolumeView
from farshore.errors import Conflict, Fault, NotFound
from tests.made_streams import START_NS, MadeStream, wire

SIZES = {0: 4096}
CHECKPOINTS = 12


def made_journal(folder: Path, file_bytes_max: int = 1500) -> tuple[dict[int, bytes], MadeStream, list[bytes]]:
    """A journal of several files: its checkpoints' bytes by ordinal, the stream to go on with, each segment's bytes."""
    before, append.FILE_BYTES_MAX = append.FILE_BYTES_MAX, file_bytes_max
    disk, copies, stream, wires = bytearray(4096), {}, MadeStream(), []
    stream.begin(SIZES)
    with Journal.open(folder, writable=True, reserve_bytes=0) as journal:
        for number in range(CHECKPOINTS):
            data = bytes([number + 1]) * 50
            stream.write(0, number * 40, data)
            disk[number * 40 : number * 40 + 50] = data
            stream.marker(f"m{number}", [0])
            group = [stream.seal()]
            stream.say(type="vouch", id=f"m{number}")
            group.append(stream.seal())
            copies[2 * number + 1] = bytes(disk)
            journal.append(group)
            wires += [wire(arrived) for arrived in group]
    append.FILE_BYTES_MAX = before
    return copies, stream, wires


def read(journal: Journal, ordinal: int) -> bytes:
    """Volume 0 at that ordinal."""
    buffer = bytearray(4096)
    with VolumeView(journal, 0, ordinal) as view:
        view.read_into(memoryview(buffer), 0)
    return bytes(buffer)


def place(folder: Path, ordinal: int, wires: list[bytes]) -> tuple[Path, int]:
    """The file and the offset of a segment."""
    files = sorted((folder / "segments").iterdir())
    path = [each for each in files if int(each.stem) <= ordinal][-1]
    return path, sum(len(each) for each in wires[int(path.stem) - 1 : ordinal - 1])


@given(st.integers(1, 2 * CHECKPOINTS), st.floats(0, 0.999), st.integers(0, 7))
@settings(max_examples=80, deadline=None)
def test_a_flipped_bit_anywhere_is_named_and_never_taken_for_the_end(ordinal: int, where: float, bit: int) -> None:
    """CA2: any bit of any acknowledged segment: verify names that segment and just the checkpoints that need it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copies, _, wires = made_journal(folder)
        path, offset = place(folder, ordinal, wires)
        data = bytearray(path.read_bytes())
        data[offset + int(where * len(wires[ordinal - 1]))] ^= 1 << bit
        path.write_bytes(data)
        with Journal.open(folder, writable=True, reserve_bytes=0) as journal:
            assert journal.last_ordinal == 2 * CHECKPOINTS
            assert path.read_bytes() == data
            report = journal.verify()
            assert [(each.first, each.last) for each in report.damages] == [(ordinal, ordinal)]
            # of the damaged segment itself nobody can say what it was: a marker, or the vouch of the one before
            lost = set(map(int, report.lost))
            assert lost >= {each for each in copies if each > ordinal}
            assert lost <= {each for each in copies if each >= ordinal}
            with pytest.raises(DamagedJournal, match=f"segment {ordinal} in {path.name}"):
                report.raise_if_damaged()
            with pytest.raises(DamagedJournal):
                journal.demand_undamaged()
            whole = [each for each in copies if each + 1 < ordinal]
            assert [each.ordinal for each in journal.checkpoints() if each.ordinal + 1 != ordinal] == whole
            Promoter(journal, -1).step(START_NS * 2)
            assert journal.floor.ordinal < ordinal
            for checkpoint in journal.checkpoints():
                assert read(journal, checkpoint.ordinal) == copies[checkpoint.ordinal]
            assert (not whole) or journal.checkpoints()


@pytest.mark.parametrize("cut", [1, 130, 400])
def test_acknowledged_bytes_that_are_missing_are_damage(tmp_path: Path, cut: int) -> None:
    """The newest file shortened below what was acknowledged: nothing more is written behind it, and it says so."""
    copies, stream, _ = made_journal(tmp_path)
    path = max((tmp_path / "segments").iterdir())
    os.truncate(path, path.stat().st_size - cut)
    with Journal.open(tmp_path, writable=True, reserve_bytes=0) as journal:
        assert journal.damages[-1].last == 2 * CHECKPOINTS
        with pytest.raises(DamagedJournal, match=path.name):
            journal.append([stream.seal()])
        for checkpoint in journal.checkpoints():
            assert read(journal, checkpoint.ordinal) == copies[checkpoint.ordinal]


@pytest.mark.parametrize("which", [0, 1, -1])
def test_a_missing_file_is_damage(tmp_path: Path, which: int) -> None:
    """A file that somebody removed, also the newest, is named."""
    made_journal(tmp_path)
    files = sorted((tmp_path / "segments").iterdir())
    files[which].unlink()
    with Journal.open(tmp_path, writable=True, reserve_bytes=0) as journal:
        assert journal.damages[0].first == int(files[which].stem)
        assert journal.last_ordinal == 2 * CHECKPOINTS
        assert all(each.ordinal < int(files[which].stem) for each in journal.checkpoints())


def test_without_a_note_a_tail_is_cut_and_a_middle_is_damage(tmp_path: Path) -> None:
    """A journal whose note was lost: half a segment at the end is cut; bad bytes with whole segments behind are not."""
    copies, _, wires = made_journal(tmp_path, 1 << 20)
    (tmp_path / "durable").unlink()
    path, offset = place(tmp_path, 20, wires)
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    with Journal.open(tmp_path) as journal:
        assert (journal.last_ordinal, journal.damages, journal.torn_bytes) == (23, [], len(wires[-1]) - 7)
        assert read(journal, 21) == copies[21]
    for at in (offset, offset + 140):
        data = bytearray(whole)
        data[at] ^= 1
        path.write_bytes(data)
        with Journal.open(tmp_path, writable=True, reserve_bytes=0) as journal:
            assert [(each.first, each.last) for each in journal.damages] == [(20, 20)]
            assert path.stat().st_size == len(whole)


def test_a_note_that_is_behind_is_no_harm(tmp_path: Path) -> None:
    """After a power failure the note may be old: what is whole beyond it counts."""
    copies, _, wires = made_journal(tmp_path, 1 << 20)
    (tmp_path / "durable").write_bytes(DurableNote(1, len(wires[0]), 1).pack())
    with Journal.open(tmp_path, writable=True, reserve_bytes=0) as journal:
        assert journal.last_ordinal == 2 * CHECKPOINTS
        assert read(journal, 23) == copies[23]
    assert DurableNote.load(tmp_path) == DurableNote(1, sum(map(len, wires)), 2 * CHECKPOINTS)


def test_a_tail_whose_pages_never_reached_the_disk_is_cut(tmp_path: Path) -> None:
    """A power failure: an append's length is there, not all its bytes; it was not acknowledged, so it is cut."""
    copies, _, wires = made_journal(tmp_path, 1 << 20)
    (tmp_path / "durable").write_bytes(DurableNote(1, sum(map(len, wires[:-2])), 2 * CHECKPOINTS - 2).pack())
    path, offset = place(tmp_path, 2 * CHECKPOINTS - 1, wires)
    data = bytearray(path.read_bytes())
    data[offset + 200 : offset + 240] = bytes(40)
    path.write_bytes(data)
    with Journal.open(tmp_path, writable=True, reserve_bytes=0) as journal:
        assert (journal.last_ordinal, journal.damages) == (2 * CHECKPOINTS - 2, [])
        assert path.stat().st_size == offset
        assert read(journal, 21) == copies[21]


@contextmanager
def files_no_longer_than(size: int) -> Iterator[None]:
    """The kernel refuses to write files beyond that size (EFBIG, in mid-write): a full store that needs no root."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [0, 1, 127, 128, 300, 5000])
def test_a_refused_append_leaves_nothing_behind(tmp_path: Path, room: int) -> None:
    """CA2: no space at any byte of an append; what was there stays, the same group goes in when there is room."""
    copies, stream, wires = made_journal(tmp_path, 1 << 20)
    path = tmp_path / "segments" / f"{1:020d}.segments"
    whole = b"".join(wires)
    stream.write(0, 0, b"x" * 4000)
    group = [stream.seal()]
    stream.write(0, 0, b"y" * 4000)
    group.append(stream.seal())
    with Journal.open(tmp_path, writable=True, reserve_bytes=0) as journal:
        with files_no_longer_than(len(whole) + room), pytest.raises(NoSpace):
            journal.append(group)
        assert path.read_bytes() == whole
        assert (journal.last_ordinal, len(journal.checkpoints())) == (2 * CHECKPOINTS, CHECKPOINTS)
        journal.append(group)
        assert path.read_bytes() == whole + b"".join(map(wire, group))
        assert read(journal, 23) == copies[23]
    with Journal.open(tmp_path) as journal:
        assert not journal.verify().damages
        assert journal.last_ordinal == 2 * CHECKPOINTS + 2


def test_what_cannot_be_cut_back_is_bounded_by_the_next_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No space, and cutting the half append back fails too: the next append begins a file whose name ends this one."""
    copies, stream, wires = made_journal(tmp_path, 1 << 20)
    stream.write(0, 0, b"x" * 4000)
    arrived = stream.seal()
    with Journal.open(tmp_path, writable=True, reserve_bytes=0) as journal:
        with monkeypatch.context() as patch, files_no_longer_than(sum(map(len, wires)) + 700):
            patch.setattr(os, "ftruncate", _failing)
            with pytest.raises(NoSpace):
                journal.append([arrived])
        journal.append([arrived])
    assert len(list((tmp_path / "segments").iterdir())) == 2
    with Journal.open(tmp_path, writable=True, reserve_bytes=0) as journal:
        assert not journal.verify().damages
        assert journal.last_ordinal == 2 * CHECKPOINTS + 1
        assert read(journal, 23) == copies[23]


def _failing(*_: object) -> None:
    raise OSError(errno.EIO, "the device is broken")


@pytest.mark.parametrize("times", [1, 2])
def test_a_failed_fsync_is_final_for_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """I23: the file is left at its last durable byte, the group is written anew elsewhere; twice: it is refused."""
    copies, stream, wires = made_journal(tmp_path, 1 << 20)
    first = tmp_path / "segments" / f"{1:020d}.segments"
    calls = 0
    real = os.fdatasync

    def fdatasync(fd: int) -> None:
        nonlocal calls
        calls += 1
        if calls <= times:
            _failing()
        real(fd)

    stream.write(0, 0, b"new")
    arrived = stream.seal()
    with Journal.open(tmp_path, writable=True, reserve_bytes=0) as journal:
        monkeypatch.setattr(append.os, "fdatasync", fdatasync)
        if times == 2:
            with pytest.raises(Fault, match="could not be made durable"):
                journal.append([arrived])
            assert journal.last_ordinal == 2 * CHECKPOINTS
        journal.append([arrived])
        assert calls == times + 1
    assert first.read_bytes() == b"".join(wires)
    second = tmp_path / "segments" / f"{2 * CHECKPOINTS + 1:020d}.segments"
    assert second.read_bytes() == wire(arrived)
    with Journal.open(tmp_path) as journal:
        assert not journal.verify().damages
        assert read(journal, 23) == copies[23]


@pytest.mark.root(reason="mounts a small tmpfs")
def test_ca2_a_full_filesystem_then_room_again(tmp_path: Path) -> None:
    """A real file system fills up in mid-append, is freed, fills again: all that was kept verifies and opens."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path], check=True)
    try:
        copies, stream, _ = made_journal(tmp_path)
        ballast = tmp_path / "ballast"
        ballast.write_bytes(bytes(700_000))
        kept = 0
        with Journal.open(tmp_path, writable=True, reserve_bytes=0) as journal:
            for _ in range(100):
                stream.write(0, 0, os.urandom(4000))
                arrived = stream.seal()
                try:
                    journal.append([arrived])
                except NoSpace:
                    assert ballast.exists(), "full in spite of the room that was made"
                    ballast.unlink()
                    journal.append([arrived])
                kept += 1
        assert not ballast.exists()
        with Journal.open(tmp_path) as journal:
            assert not journal.verify().damages
            assert journal.last_ordinal == 2 * CHECKPOINTS + kept
            assert read(journal, 23) == copies[23]
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_one_writer_a_journal_and_readers_beside_it(tmp_path: Path) -> None:
    """A second writer is refused; a reader sees what is durable, not what is being written."""
    copies, _, _ = made_journal(tmp_path, 1 << 20)
    with Journal.open(tmp_path, writable=True, reserve_bytes=0):
        with pytest.raises(JournalInUse):
            Journal.open(tmp_path, writable=True)
        path = tmp_path / "segments" / f"{1:020d}.segments"
        with path.open("ab") as file:
            file.write(b"half an append")
        with Journal.open(tmp_path) as reader:
            assert (len(reader.checkpoints()), reader.torn_bytes, reader.damages) == (CHECKPOINTS, 0, [])
            assert read(reader, 23) == copies[23]
    with pytest.raises(NotFound):
        Journal.open(tmp_path / "nothing")


def test_an_export_is_the_checkpoint_and_verifies_it(tmp_path: Path) -> None:
    """From the files alone: the image equals the copy, no pin stays; a damaged body is refused."""
    copies, _, wires = made_journal(tmp_path)
    with Journal.open(tmp_path) as journal:
        checkpoint = journal.checkpoint("13")
        assert export(journal, checkpoint, 0, tmp_path / "out.img") == 4096
        assert (tmp_path / "out.img").read_bytes() == copies[13]
        assert not journal.pins.all()
        with pytest.raises(Conflict):
            export(journal, checkpoint, 0, tmp_path / "out.img")
        with pytest.raises(NotFound):
            export(journal, checkpoint, 7, tmp_path / "other.img")
        path, offset = place(tmp_path, 5, wires)
        data = bytearray(path.read_bytes())
        data[offset + len(wires[4]) - 3] ^= 4
        path.write_bytes(data)
        with pytest.raises(DamagedJournal, match="segment 5"):
            export(journal, checkpoint, 0, tmp_path / "third.img")
    assert not (tmp_path / "third.img").exists()


def feed(folder: Path, *segments: Arrived) -> Journal:
    """A journal with these segments."""
    journal = Journal.open(folder, writable=True, reserve_bytes=0)
    journal.append(segments)
    return journal


def test_a_vouch_in_the_markers_own_segment_does_not_count(tmp_path: Path) -> None:
    """A word that was given before the marker's segment was closed cannot be about what came before its end."""
    stream = MadeStream()
    stream.begin(SIZES)
    stream.marker("m", [0])
    stream.say(type="vouch", id="m")
    with feed(tmp_path, stream.seal(), stream.seal()) as journal:
        assert journal.checkpoints() == []


def test_a_shrunk_and_grown_volume_reads_zeros(tmp_path: Path) -> None:
    """I24: 4096, 1000, 4096: the old bytes beyond 1000 are gone, in the journal and after promotion."""
    stream = MadeStream()
    stream.begin(SIZES)
    stream.write(0, 0, b"a" * 4096)
    made = []
    for number, size in enumerate((4096, 1000, 4096)):
        stream.say(type="volumes", volumes=[{"number": 0, "vm_id": "v", "disk_id": "d", "size_bytes": size}])
        stream.clock_ns += 10**9
        stream.marker(f"m{number}", [0])
        made.append(stream.seal())
        stream.say(type="vouch", id=f"m{number}")
        made.append(stream.seal())
    with feed(tmp_path, *made) as journal:
        for _ in range(2):
            with VolumeView(journal, 0, 3) as view:
                assert view.size_bytes == 1000
            assert read(journal, 5) == b"a" * 1000 + bytes(3096)
            Promoter(journal, 0.5).step(START_NS * 2)
        assert journal.floor.ordinal == 3


@pytest.mark.parametrize(
    "record",
    [
        {"type": "marker", "id": "m"},
        {"type": "marker", "id": "m", "time_ns": 1, "volumes": ["x"]},
        {"type": "volumes", "volumes": [{"number": 1}]},
        {"type": "definition", "vm": {}},
        {"type": "sync_end", "volumes": 3},
        {"type": "vouch"},
        {},
    ],
)
def test_control_records_that_lack_something_are_never_kept(tmp_path: Path, record: dict[str, object]) -> None:
    """A sender's mistake is refused before it is durable, so that the journal can always be opened again."""
    stream = MadeStream()
    stream.control.append(record)
    with Journal.open(tmp_path, writable=True, reserve_bytes=0) as journal:
        with pytest.raises(DamagedSegment):
            journal.append([stream.seal()])
        assert journal.last_ordinal == 0
    with Journal.open(tmp_path) as journal:
        assert journal.last_ordinal == 0
