"""Journals that begin on old disks: their first checkpoint is the disks as they are, untouched until it may expire."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from farshore.datapath.journal import Journal, append
from farshore.datapath.journal.taken import Taking
from farshore.datapath.replica.image import image_path
from farshore.datapath.replica.image_locks import ImageLock
from farshore.datapath.replica.old_disks import OldDisks
from farshore.datapath.replica.promotion import Promoter
from farshore.datapath.replica.seed import begin_seeded
from farshore.datapath.replica.take_out import begin, carry_out
from farshore.datapath.view.export import export
from farshore.datapath.view.volume import VolumeView, open_view
from farshore.errors import BadInput, Conflict, FarshoreError, Fault, NotFound
from farshore.model.appliance_specs import JournalSeed, KeepSpec
from farshore.model.vpg import Volume
from tests.made_streams import START_NS, MadeStream

SIZES = {0: 64 * 512, 7: 32 * 512}
MINUTE = 60 * 10**9


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of the journal are closed soon."""
    monkeypatch.setattr(append, "FILE_BYTES_MAX", 4000)


class OldSite:
    """Old disks full of bytes, and the spec of a journal that begins on them."""

    def __init__(self, folder: Path) -> None:
        """Make the disks."""
        self.folder = folder / "j"
        self.disks = {number: folder / f"old{number}.img" for number in SIZES}
        self.bytes = {number: os.urandom(size) for number, size in SIZES.items()}
        for number, disk in self.disks.items():
            disk.write_bytes(self.bytes[number])
        spec = KeepSpec(
            vpg_id="v",
            epoch=3,
            peer_site_id="p",
            volumes=tuple(Volume(number=n, vm_id=f"vm{n}", disk_id="d", size_bytes=s) for n, s in SIZES.items()),
            history_seconds=300,
            seed=JournalSeed(
                bases={number: str(disk) for number, disk in self.disks.items()},
                definitions={f"old{number}": {"name": f"was {number}"} for number in SIZES},
                time_ns=START_NS,
                tag="before the failover",
            ),
        ).model_dump(mode="json")
        self.seed: dict[str, Any] = spec["seed"]
        self.volumes: list[dict[str, Any]] = spec["volumes"]

    def begin(self) -> bool:
        """As the carrier does."""
        return begin_seeded(self.folder, self.seed, self.volumes)

    def open(self) -> Journal:
        """As the carrier does."""
        return Journal.open(self.folder, writable=True, reserve_bytes=0)

    def demand_untouched(self) -> None:
        """The old disks are what they were."""
        assert {number: disk.read_bytes() for number, disk in self.disks.items()} == self.bytes


@pytest.fixture
def old(tmp_path: Path) -> OldSite:
    """Two old disks."""
    return OldSite(tmp_path)


def read(journal: Path, checkpoint_id: str, number: int) -> bytes:
    """A volume's bytes, by the files alone."""
    with open_view(journal, checkpoint_id, number) as view:
        buffer = bytearray(view.size_bytes)
        view.read_into(memoryview(buffer), 0)
    return bytes(buffer)


def checkpoint(journal: Journal, stream: MadeStream) -> int:
    """A marker and its vouch, a minute later."""
    stream.clock_ns += MINUTE
    name = f"m{stream.clock_ns}"
    stream.marker(name, list(SIZES))
    group = [stream.seal()]
    stream.say(type="vouch", id=name)
    journal.append([*group, stream.seal()])
    return journal.last_ordinal - 1


def test_checkpoint_0_is_a_checkpoint_like_any(old: OldSite, tmp_path: Path) -> None:
    """Listed with tag, volumes and definitions; found by marker; pinned; viewed; exported; by readers as well."""
    assert old.begin()
    with old.open() as journal, Journal.open(old.folder) as reader:
        for each in (journal, reader):
            (first,) = each.checkpoints()
            assert (first.id, first.tag, first.volumes, first.ordinal) == ("0", "before the failover", (0, 7), 0)
            assert (first.time_ns, first.hole_before) == (START_NS, False)
            assert each.checkpoints(limit=1, newest_first=True) == each.checkpoints(to_ns=START_NS) == [first]
            assert each.checkpoint("0") == each.checkpoint(None) == each.find_marker(marker_id="seed") == first
            assert {v["number"]: v["size_bytes"] for v in each.volumes_at(first)} == SIZES
            definitions = each.definitions_at(first)
            assert definitions == {f"old{n}": {"id": f"old{n}", "name": f"was {n}"} for n in SIZES}
        assert journal.pin("test").ordinal == journal.pin("test", "0").ordinal == 0
        assert journal.pins.all() == {"test": 0}
        for number in SIZES:
            assert read(old.folder, "0", number) == old.bytes[number]
        assert export(reader, first, 7, tmp_path / "out.raw") == SIZES[7]
        assert (tmp_path / "out.raw").read_bytes() == old.bytes[7]
        with VolumeView(journal, 0, 0) as view:
            assert not view.extent_count
            assert sum(length for length, _ in view.allocation(0, SIZES[0])) == SIZES[0]
    old.demand_untouched()


def test_i5_the_old_disks_stay_untouched_until_a_checkpoint_after_the_sync_is_durable(old: OldSite) -> None:
    """In the sync, in need of space too, and until retention lets checkpoint 0 go by its own time; then it goes on."""
    old.begin()
    stream = MadeStream(clock_ns=START_NS + 600 * MINUTE)
    with old.open() as journal, OldDisksClosed(journal) as disks:
        promoter = Promoter(journal, 300, disks)
        named = [{**volume, "vm_id": "new"} for volume in old.volumes]
        stream.say(type="volumes", volumes=named)
        stream.say(type="sync_begin", kind="delta", volumes=list(SIZES))
        for turn in range(20):
            stream.write(0, 512 * turn, bytes([turn + 1]) * 512, sync=True)
            stream.zero(7, 512 * turn, 512, sync=True)
            stream.clock_ns += MINUTE
            journal.append([stream.seal()])
            for history in (300, 0, -1):
                promoter.history_seconds = history
                assert not promoter.step(stream.clock_ns)
        old.demand_untouched()
        assert read(old.folder, "0", 0) == old.bytes[0]
        stream.marker("in the sync", list(SIZES))
        stream.say(type="sync_end", volumes=list(SIZES))
        journal.append([stream.seal()])
        promoter.history_seconds = 300
        first = checkpoint(journal, stream)
        assert [each.ordinal for each in journal.checkpoints()] == [0, first]
        assert journal.checkpoint(str(first)).hole_before
        for _ in range(4):
            checkpoint(journal, stream)
            assert not promoter.step(stream.clock_ns)
        old.demand_untouched()
        assert read(old.folder, "0", 7) == old.bytes[7]
        now = bytes(20 * 512) + old.bytes[7][20 * 512 :]
        assert read(old.folder, str(first), 7) == now
        journal.pin("test", "0")
        for _ in range(3):
            checkpoint(journal, stream)
            assert not promoter.step(stream.clock_ns)
        old.demand_untouched()
        journal.unpin("test")
        assert promoter.step(stream.clock_ns)
        assert "0" not in [each.id for each in journal.checkpoints()]
        assert image_path(old.folder, 7).is_symlink()
        assert old.disks[7].read_bytes() == now
        assert read(old.folder, journal.checkpoints()[-1].id, 7) == now
        assert not disks.changed()


class OldDisksClosed(OldDisks):
    """Old disks that are left in order at the end of a block."""

    def __enter__(self) -> OldDisks:
        self.hold()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def test_seeding_again_is_nothing_and_a_history_is_kept(old: OldSite) -> None:
    """The same spec at each start; also when the history has gone on, and for a journal that never was seeded."""
    assert old.begin()
    assert not old.begin()
    stream = MadeStream()
    stream.begin(SIZES)
    with old.open() as journal:
        journal.append([stream.seal()])
        checkpoint(journal, stream)
        assert Promoter(journal, -1).step(START_NS * 2)
    old.disks[0].unlink()
    assert not old.begin()
    plain = OldSite(old.folder.parent)
    plain.folder = old.folder.parent / "plain"
    stream = MadeStream()
    stream.begin(SIZES)
    with plain.open() as journal:
        journal.append([stream.seal()])
    assert not plain.begin()
    assert not image_path(plain.folder, 0).is_symlink()


def test_a_seeding_that_was_cut_off_is_done_again(old: OldSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends before the floor is written: nothing was begun, the next start does it."""
    from farshore.datapath.journal.floor import Floor

    with monkeypatch.context() as patch:
        patch.setattr(Floor, "save", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            old.begin()
    assert old.begin()
    with old.open() as journal:
        assert journal.checkpoint("0").volumes == (0, 7)


def refuse(old: OldSite, error: type[FarshoreError], match: str) -> None:
    """Refused in words with a remedy, and nothing made."""
    with pytest.raises(error, match=match) as caught:
        old.begin()
    assert caught.value.remedy
    assert not old.folder.exists()


def test_disks_that_cannot_be_a_base_are_refused_and_nothing_is_made(old: OldSite) -> None:
    """Missing, too small, odd, another format, a folder, a relative path, of no volume, one for two."""
    disk = old.disks[7]
    disk.unlink()
    refuse(old, NotFound, "does not exist")
    disk.write_bytes(bytes(SIZES[7] - 512))
    refuse(old, BadInput, "too small: it has 15872 bytes, the volume has 16384")
    disk.write_bytes(bytes(SIZES[7] + 1))
    refuse(old, BadInput, "not whole sectors")
    disk.write_bytes(b"QFI\xfb" + bytes(SIZES[7] + 508))
    refuse(old, BadInput, "is a qcow2 image")
    disk.unlink()
    disk.mkdir()
    refuse(old, BadInput, "neither a file nor a block device")
    disk.rmdir()
    os.mkfifo(disk)
    refuse(old, BadInput, "neither a file nor a block device")
    for path, error, match in (("old7.img", BadInput, "absolute"), (str(old.disks[0]), Conflict, "same old disk")):
        old.seed["bases"]["7"] = path
        refuse(old, error, match)
    old.seed["bases"] = {"8": str(old.disks[0])}
    refuse(old, BadInput, "volume 8")
    old.seed["bases"] = {}
    refuse(old, BadInput, "seeds nothing")


def test_a_raw_disk_may_begin_with_anything_and_may_be_longer(old: OldSite) -> None:
    """A guest wrote a format's magic to its disk of the very size; a disk that had grown: seen at its own size."""
    old.disks[0].write_bytes(b"QFI\xfb" + bytes(SIZES[0] - 4))
    old.disks[7].write_bytes(bytes(SIZES[7]) + b"x" * 512)
    assert old.begin()
    stream = MadeStream()
    stream.begin(SIZES)
    with old.open() as journal:
        assert read(old.folder, "0", 7) == bytes(SIZES[7]) + b"x" * 512
        journal.append([stream.seal()])
        after = checkpoint(journal, stream)
        assert read(old.folder, str(after), 7) == bytes(SIZES[7])
        assert Promoter(journal, -1).step(START_NS * 2)
    assert old.disks[7].stat().st_size == SIZES[7]


def test_the_old_disk_itself_is_never_made_and_never_deleted(old: OldSite) -> None:
    """A disk that is gone is told, by views and promotion; removing or retiring the journal takes its names only."""
    old.begin()
    stream = MadeStream()
    stream.begin(SIZES)
    stream.write(7, 0, b"new" * 100)
    with old.open() as journal:
        journal.append([stream.seal()])
        checkpoint(journal, stream)
        away = old.disks[7].rename(old.disks[7].with_suffix(".away"))
        with pytest.raises(Fault, match=r"old7\.img is gone"):
            open_view(old.folder, "0", 7)
        with pytest.raises(Fault, match=r"old7\.img is gone"):
            Promoter(journal, -1).step(START_NS * 2)
        assert not old.disks[7].exists()
        away.rename(old.disks[7])
        Promoter(journal, -1).finish()
        kept = {number: disk.read_bytes() for number, disk in old.disks.items()}
        journal.retire()
        assert not list((old.folder / "replica").iterdir())
    shutil.rmtree(old.folder)
    assert {number: disk.read_bytes() for number, disk in old.disks.items()} == kept


def test_taken_out_an_old_disk_keeps_its_own_path_and_its_lock_is_let_go(old: OldSite) -> None:
    """The way back over the way home: the disk is the checkpoint, and a VM may have it before its path is told."""
    old.begin()
    stream = MadeStream()
    stream.begin(SIZES)
    stream.write(7, 100, b"new" * 100)
    with old.open() as journal, OldDisksClosed(journal) as disks:
        journal.append([stream.seal()])
        at = checkpoint(journal, stream)
        stream.write(7, 5000, b"too late")
        checkpoint(journal, stream)
        taking = begin(journal, Taking("op", at, (7,), str(old.folder.parent / "new")))
        let_go: list[int] = []

        def free(number: int) -> None:
            disks.let_go(number)
            ImageLock(old.disks[7]).release()
            let_go.append(number)

        with disks.change():
            done = carry_out(journal, taking, lambda n: VolumeView(journal, n, at), lambda *_: None, free)
        assert done.paths == {"7": str(old.disks[7])}
        assert let_go == [7]
        assert old.disks[7].read_bytes() == old.bytes[7][:100] + b"new" * 100 + old.bytes[7][400:]
        old.disks[7].write_bytes(b"the VM's")
        assert Promoter(journal, -1, disks).step(START_NS * 2)
        assert disks.disks() == {0: old.disks[0]}
    assert old.disks[7].read_bytes() == b"the VM's"
    with old.open() as journal, OldDisksClosed(journal) as disks:
        assert not disks.changed()


def test_i17_a_disk_that_changed_while_nobody_held_it_is_not_trusted(old: OldSite) -> None:
    """Written, cut, replaced: the journal gets another identifier and says what; our own writes are no change."""
    old.begin()
    stream = MadeStream(epoch=3)
    stream.begin(SIZES)
    stream.write(7, 0, b"a")
    with old.open() as journal, OldDisksClosed(journal) as disks:
        journal.raise_epoch(3)
        name = journal.epoch.journal_id
        journal.append([stream.seal()])
        checkpoint(journal, stream)
        assert Promoter(journal, -1, disks).step(START_NS * 2)
    with old.open() as journal, OldDisksClosed(journal) as disks:
        assert (journal.epoch.journal_id, disks.changed()) == (name, [])
    with old.disks[7].open("r+b") as disk:
        disk.write(b"b")
    for _ in range(2):
        with old.open() as journal, OldDisksClosed(journal) as disks:
            (changed,) = disks.changed()
            assert (changed["volume"], changed["since"]) == (7, journal.last_ordinal)
            assert "old7.img was written by somebody else" in changed["fact"]
            assert journal.epoch.epoch == 3
            renewed, name = name, journal.epoch.journal_id
    assert renewed == name
    copy = shutil.copy2(old.disks[0], old.folder.parent / "copy")
    Path(copy).replace(old.disks[0])
    with old.open() as journal, OldDisksClosed(journal) as disks:
        assert sorted(each["volume"] for each in disks.changed()) == [0, 7]
        assert journal.epoch.journal_id != name
        checkpoint(journal, stream)
        assert Promoter(journal, -1, disks).step(START_NS * 2)
        assert not disks.changed(), "nothing that is listed is in doubt any more"


def test_a_promotion_that_was_killed_is_no_change_by_somebody_else(old: OldSite) -> None:
    """The record says that we were writing: size and inode still count, the time does not."""
    old.begin()
    stream = MadeStream(epoch=3)
    stream.begin(SIZES)
    stream.write(7, 0, b"a")
    with old.open() as journal:
        journal.raise_epoch(3)
        name = journal.epoch.journal_id
        journal.append([stream.seal()])
        checkpoint(journal, stream)
        disks = OldDisks(journal)
        promoter = Promoter(journal, -1, disks)
        promoter._advance = lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            promoter.step(START_NS * 2)
        disks.let_go_of_all()
    with old.open() as journal, OldDisksClosed(journal) as disks:
        assert not disks.changed()
        assert Promoter(journal, -1, disks).step(START_NS * 2)
    with old.open() as journal, OldDisksClosed(journal) as disks:
        assert (journal.epoch.journal_id, disks.changed()) == (name, [])
