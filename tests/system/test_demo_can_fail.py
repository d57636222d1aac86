"""The demo's checks can fail: what they look at is broken, one thing at a time, and each names what it found."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import xxhash

from farshore.datapath.journal import Journal
from farshore.datapath.journal.files import read_segment, walk
from farshore.datapath.segment import HEADER_BYTES, Kind
from farshore.lab.demo.checks import check_listed_is_durable
from farshore.lab.demo.differences import count_differing, digest_disks
from farshore.lab.demo.evidence import disk_layouts, disk_paths, examine_checkpoint, open_disks
from farshore.lab.demo.leftovers import check_nothing_left, look
from farshore.lab.demo.part_disaster import look_for_north
from farshore.lab.demo.part_protect import listed_checkpoints, protect
from farshore.lab.demo.part_return import epoch_in, look_for_refusal
from farshore.lab.demo.part_scene import boot_guests, raise_sites
from farshore.lab.demo.recovery_checks import check_delta
from farshore.lab.demo.stage import VPG, Stage
from farshore.lab.demo.story import clear, places_of
from farshore.lab.law import ImageFile, check_recovered_set
from farshore.lab.record_layout import SLOT_BYTES, DiskLayout, make_empty, make_record, parse_slot
from farshore.lab.testimony import Testimony

pytestmark = pytest.mark.timeout(600)

BEFORE_TOP = 12
"""How far before the checkpoint's last record the broken one is: well after the first checkpoint, so in the journal."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The demo's own parts 1 to 3, played for real: guests that write, a VPG, a tagged checkpoint."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        stage = Stage(step=False)
        try:
            raise_sites(stage)
            boot_guests(stage)
            protect(stage)
            yield stage
        finally:
            clear(stage, keep=False)


def _journal(stage: Stage) -> Path:
    with stage.api("south") as api:
        return stage.site("south") / "journal" / api.get("/vpgs", name=VPG)[0]["VpgIdentifier"]


@pytest.fixture
def layouts(stage: Stage) -> dict[tuple[str, str], DiskLayout]:
    """Where the records are on each disk."""
    return disk_layouts(stage.site("north"))


@pytest.fixture
def copy(stage: Stage, tmp_path: Path) -> Path:
    """A copy of the journal as it is now, to be broken; held still by a pin while it is made."""
    with Journal.open(_journal(stage)) as journal:
        journal.pin("copy", stage.tagged_id)
    shutil.copytree(_journal(stage), tmp_path / "journal", ignore=shutil.ignore_patterns("lock"))
    with Journal.open(_journal(stage)) as journal:
        journal.unpin("copy")
    return tmp_path / "journal"


def _examine(stage: Stage, journal: Path, layouts: dict[tuple[str, str], DiskLayout]) -> Any:
    testimony = Testimony.read(stage.testimony_file)
    return examine_checkpoint(journal, stage.tagged_id, layouts, testimony, stage.asked_ns, stage.completed_ns)


def _doctor(journal: Path, volume: int, change: Callable[[int, memoryview], None]) -> int:
    """Let `change` edit the bytes of each record's write on a volume; checksums are made right. How many it saw."""
    seen = 0
    with Journal.open(journal) as opened:
        files = opened.files()
    for file in files:
        handle = os.open(file.path, os.O_RDWR)
        try:
            for placed in list(walk(handle, file.first, end=file.end)):
                segment = read_segment(handle, placed)
                payload = bytearray(os.pread(handle, placed.header.payload_bytes, placed.offset + HEADER_BYTES))
                body = memoryview(payload)[placed.header.index_bytes + placed.header.control_bytes :]
                for entry in segment.index[(segment.index["volume"] == volume) & (segment.index["kind"] == Kind.WRITE)]:
                    if entry["length"] == SLOT_BYTES:
                        seen += 1
                        change(int(entry["offset"]), body[int(entry["position"]) :][:SLOT_BYTES])
                header = replace(placed.header, payload_checksum=xxhash.xxh3_64_intdigest(payload))
                os.pwrite(handle, header.pack() + payload, placed.offset)
        finally:
            os.close(handle)
    return seen


@pytest.fixture
def first_disk(copy: Path, stage: Stage, layouts: dict[tuple[str, str], DiskLayout]) -> tuple[int, DiskLayout, int]:
    """The volume of disk a (raw), its layout, and its last record at the tagged checkpoint, of the unbroken copy."""
    report = _examine(stage, copy, layouts)
    assert report.good, report.summary
    with Journal.open(copy) as journal:
        volumes = journal.volumes_at(journal.checkpoint(stage.tagged_id))
    number = next(v["number"] for v in volumes if layouts[v["vm_id"], v["disk_id"]].number == 0)
    layout = next(layout for layout in layouts.values() if layout.number == 0)
    return number, layout, report.tops["a"]


def test_a_record_left_out_of_the_journal_is_named(stage, copy, layouts, first_disk):
    """A journal whose checksums are right and which lacks one record: the host's check says which, on which disk."""
    volume, layout, top = first_disk
    wanted = top - BEFORE_TOP
    older = wanted - layout.slots
    before = make_record(older, layout.number) if older > 0 else make_empty(wanted % layout.slots, layout.number)

    def leave_out(_offset: int, data: memoryview) -> None:
        if parse_slot(data).number == wanted:
            data[:] = before

    assert _doctor(copy, volume, leave_out) > 0
    report = _examine(stage, copy, layouts)
    assert not report.good
    assert f"disk a: a record is left out: record {wanted}" in report.summary


def test_two_swapped_records_are_named(stage, copy, layouts, first_disk):
    """Each stands in the other's place: the host's check says so."""
    volume, _layout, top = first_disk
    wanted = top - BEFORE_TOP
    held: dict[int, bytes] = {}

    def remember(_offset: int, data: memoryview) -> None:
        held.setdefault(parse_slot(data).number, bytes(data))

    def swap(_offset: int, data: memoryview) -> None:
        number = parse_slot(data).number
        if number in (wanted, wanted + 1):
            data[:] = held[2 * wanted + 1 - number]

    _doctor(copy, volume, remember)
    _doctor(copy, volume, swap)
    report = _examine(stage, copy, layouts)
    assert not report.good
    assert "disk a: a record stands in another's place" in report.summary


@pytest.mark.parametrize("where", ["record", "random data"])
def test_one_flipped_byte_of_a_recovered_disk_is_named(stage, copy, layouts, first_disk, tmp_path, where):
    """In a record or in the data from before protection: one bit of 88 MiB, and the check says where."""
    volume, layout, top = first_disk
    image = tmp_path / "a.raw"
    stage.command("journal", "export", str(copy), str(image), "--volume", str(volume), "--checkpoint", stage.tagged_id)
    at = (1 + top % layout.slots) * SLOT_BYTES + 999 if where == "record" else layout.random[0].offset + 12345
    with image.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))
    with ExitStack() as stack:
        disks = stack.enter_context(open_disks(copy, stage.tagged_id, layouts))
        disks[0] = (layout, stack.enter_context(ImageFile(image)))
        report = check_recovered_set(disks)
    assert not report.good
    assert (
        "disk a: bytes of a record differ" if where == "record" else "disk a: the random data differ"
    ) in report.summary


def test_a_checkpoint_listed_before_it_is_durable_is_named(stage, copy):
    """The API's list against a journal whose last checkpoint did not reach the disk: that one is named."""
    listed = [c for c in listed_checkpoints(stage, "south") if int(c["CheckpointIdentifier"]) <= int(stage.tagged_id)]
    with Journal.open(copy) as journal:
        file = next(f for f in journal.files() if f.first <= int(stage.tagged_id) <= f.last)
    handle = os.open(file.path, os.O_RDWR)
    try:
        placed = next(p for p in walk(handle, file.first, end=file.end) if p.ordinal == int(stage.tagged_id))
        os.ftruncate(handle, placed.offset + HEADER_BYTES // 2)
    finally:
        os.close(handle)
    for later in (f for f in (copy / "segments").iterdir() if f.name > file.path.name):
        later.unlink()
    check = check_listed_is_durable(listed, stage.ask("journal", "list", str(copy)))
    assert not check.good
    assert f"not in the files: {stage.tagged_id}" in check.words


def test_a_qemu_left_running_is_named(stage):
    """A process that names the lab's folder and outlives the demo is a failure, with its pid."""
    places = places_of(stage.folder)
    before = look(stage.mark, places)
    disk = f"file.driver=file,file.filename={stage.folder}/lab.json,driver=raw,node-name=d,read-only=on"
    with subprocess.Popen(["qemu-storage-daemon", "--blockdev", disk]) as left:
        try:
            check = check_nothing_left("the demo leaves nothing behind", before, look(stage.mark, places))
        finally:
            left.send_signal(signal.SIGKILL)
    assert not check.good
    assert check.name == "the demo leaves nothing behind"
    assert f"{left.pid}:" in check.words


def test_a_north_that_lives_is_not_taken_for_gone(stage):
    """Its processes, all three ports and its folder are named."""
    check = look_for_north(stage)
    assert not check.good
    assert all(word in check.words for word in ("manager", "watcher", "vm", "port", "its folder is there"))


def test_a_north_that_was_not_refused_is_not_taken_for_refused(stage):
    """Its sender's log tells of a link and of no refusal; a disk that tells of no belief is no proof either."""
    believed = epoch_in(stage.site("north") / "appliance" / "protect")
    assert believed > 0
    assert not look_for_refusal(stage, believed).good


def test_disks_that_do_not_differ_and_a_sync_that_sends_all_the_same_are_told_apart(stage, tmp_path):
    """A real disk and its copy with one block changed: one block is what may be sent, and 1.2 times that no more."""
    disk, path = next(iter(disk_paths(stage.site("north")).items()))
    shutil.copyfile(path, tmp_path / "old")
    shutil.copyfile(tmp_path / "old", tmp_path / "new")
    with (tmp_path / "new").open("r+b") as file:
        file.seek((64 << 20) + 5)
        file.write(b"?")
    differing = count_differing(digest_disks({disk: tmp_path / "old"}), digest_disks({disk: tmp_path / "new"}))
    sync = {"Kind": "delta", "ReadInBytes": 1 << 20, "HashesInBytes": 256, "SentInBytes": SLOT_BYTES * differing}
    assert check_delta(sync, differing, differing).good
    assert not check_delta({**sync, "SentInBytes": 1 << 20}, differing, differing).good
