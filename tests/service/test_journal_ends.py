"""The carrier of a journal that begins on old disks, gives volumes away, and is over; killed wherever it may be."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from farshore.datapath.view.volume import open_view
from farshore.errors import NotFound
from tests.made_streams import START_NS, MadeStream
from tests.service.test_receiver import SIZES, Carrier, first_segments, identities

__all__ = ["identities"]

DEFINITIONS = {"old": {"name": "db"}}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short folder; removed at the end."""
    path = Path(tempfile.mkdtemp(prefix="fs"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def carrier(folder: Path, identities: Path) -> Iterator[Carrier]:
    """A carrier with an empty journal."""
    made = Carrier(folder, identities)
    yield made
    end(made)


def end(carrier: Carrier) -> None:
    """In order."""
    if carrier.process.poll() is None:
        carrier.forget()
    carrier.listener.close()


def received(carrier: Carrier, stream: MadeStream) -> None:
    """A checkpoint, 2, and a later one, 4, by a sender that is gone then."""
    with carrier.connect() as sender:
        assert sender.hello(session=stream.session, epoch=stream.epoch)["ok"]
        made = first_segments(stream)
        stream.write(0, 3000, b"later")
        stream.marker("m2", list(SIZES))
        made.append(stream.seal())
        stream.say(type="vouch", id="m2")
        sender.send(*made, stream.seal())
        sender.acknowledged(5)
    carrier.wait_for(lambda status: not status["connected"])


def seed(folder: Path) -> tuple[dict[str, object], dict[int, Path]]:
    """Two old disks of ones, and the part of the spec that names them."""
    disks = {number: folder / f"old{number}.img" for number in SIZES}
    for number, disk in disks.items():
        disk.write_bytes(b"\1" * (SIZES[number] // 512 * 512))
    sizes = {number: disk.stat().st_size for number, disk in disks.items()}
    volumes = [{"number": n, "vm_id": "old", "disk_id": f"d{n}", "size_bytes": size} for n, size in sizes.items()]
    bases = {str(number): str(disk) for number, disk in disks.items()}
    made = {"bases": bases, "definitions": DEFINITIONS, "time_ns": START_NS, "tag": "before the failover"}
    return {"volumes": volumes, "seed": made}, disks


def test_volumes_are_taken_out_though_the_carrier_is_killed_all_the_time(carrier: Carrier) -> None:
    """kill -9 again and again while it is under way and after it: at the end the disks are the checkpoint."""
    received(carrier, MadeStream())
    order = {"operation": "op", "checkpoint_id": "2", "volumes": list(SIZES), "folder": str(carrier.folder / "vm")}
    carrier.call("pin", operation="op", checkpoint_id="2")
    carrier.call("pin", operation="clone", checkpoint_id="4")
    carrier.call("take_out", **order)
    for _ in range(3):
        carrier.kill()
        carrier.start()
        carrier.wait_for(lambda status: status["state"] != "opening")
        carrier.call("take_out", **order)
        assert carrier.call("take_out_status", operation="op")["state"] == "running"
    while "clone" not in (waits := carrier.call("take_out_status", operation="op"))["reason"]:
        assert waits["state"] == "running"
    assert [each["id"] for each in carrier.call("list_checkpoints")] == ["2"]
    with pytest.raises(AssertionError, match="being taken out"):
        carrier.call("retire", volumes=None)
    carrier.call("unpin", operation="clone")
    while (status := carrier.call("take_out_status", operation="op"))["state"] == "running":
        assert not status["paths"]
    assert status["state"] == "done", status
    assert status["paths"] == {str(n): str(carrier.folder / "vm" / f"{n}.raw") for n in SIZES}
    disk = Path(status["paths"]["0"]).read_bytes()
    assert disk == bytes(5) + b"one" + bytes(SIZES[0] - 8)
    carrier.kill()
    Path(status["paths"]["0"]).write_bytes(b"the VM's")
    carrier.start()
    carrier.wait_for(lambda status: status["state"] != "opening")
    carrier.call("take_out", **order)
    again = carrier.call("take_out_status", operation="op")
    assert (again["state"], again["paths"]) == ("done", status["paths"])
    assert Path(status["paths"]["0"]).read_bytes() == b"the VM's"
    with pytest.raises(AssertionError, match="takes nothing out"):
        carrier.call("take_out_status", operation="other")


def test_a_retired_journal_refuses_every_stream_for_ever_and_in_words(carrier: Carrier) -> None:
    """A lower epoch hears old_epoch, the others that it is over; also after kill -9; a new keeper begins it anew."""
    received(carrier, MadeStream())
    carrier.call("raise_epoch", epoch=2)
    name = carrier.call("status")["journal_id"]
    for _ in range(2):
        carrier.call("retire", volumes=None)
        status = carrier.call("status")
        assert (status["retired"], status["epoch"], status["checkpoint_count"]) == (True, 2, 0)
        for epoch, code in ((1, "old_epoch"), (2, "retired"), (3, "retired")):
            with carrier.connect() as sender:
                answer = sender.hello(epoch=epoch, session=99)
            assert (answer["ok"], answer["code"]) == (False, code)
        assert "recovered here for good" in answer["fact"]
        for path in ("segments", "replica", "pins"):
            assert not list((carrier.folder / "j" / path).iterdir())
        with pytest.raises(NotFound):
            open_view(carrier.folder / "j", "2", 0)
        carrier.kill()
        carrier.spec = {"epoch": 1}
        carrier.start()
        carrier.wait_for(lambda status: status["state"] != "opening" and status["retired"])
    carrier.kill()
    part, disks = seed(carrier.folder)
    carrier.spec = part | {"epoch": 4}
    carrier.start()
    status = carrier.wait_for(lambda status: status["state"] != "opening")
    assert (status["retired"], status["epoch"], status["newest_checkpoint"]["id"]) == (False, 4, "0")
    assert status["journal_id"] != name
    received(carrier, MadeStream(session=100, epoch=4))
    carrier.call("retire", volumes=None)
    carrier.kill()
    carrier.start()
    assert carrier.wait_for(lambda status: status["state"] != "opening")["retired"], "its old spec has a seed still"
    assert all(disk.exists() for disk in disks.values())


def test_a_deletion_that_was_cut_off_is_finished_at_the_next_start(carrier: Carrier) -> None:
    """The word is durable, the files are still there: nothing of them counts any more, and they go."""
    received(carrier, MadeStream())
    carrier.kill()
    (carrier.folder / "j" / "retired.json").write_text('{"epoch": 1, "retired_ns": 5}')
    with pytest.raises(NotFound):
        open_view(carrier.folder / "j", "2", 0)
    carrier.start()
    assert carrier.wait_for(lambda status: status["state"] != "opening")["checkpoint_count"] == 0
    assert not list((carrier.folder / "j" / "segments").iterdir())


def test_a_seeded_journal_holds_its_disks_against_qemu_and_waits_for_one_that_has_them(
    folder: Path, identities: Path
) -> None:
    """A VM that has the disk first: nothing is received; it ends: the journal goes on, with another identifier."""
    part, disks = seed(folder)
    carrier = Carrier(folder, identities, **part)
    try:
        status = carrier.wait_for(lambda status: status["state"] == "idle")
        name = status["journal_id"]
        assert (status["newest_checkpoint"]["id"], status["checkpoint_count"]) == ("0", 1)
        assert carrier.call("pin", operation="test", checkpoint_id="0")["tag"] == "before the failover"
        assert set(carrier.call("definitions", checkpoint_id="0")) == {"old"}
        assert [v["number"] for v in carrier.call("volumes", checkpoint_id="0")] == [0, 1]
        assert 'Failed to get "write" lock' in written(disks[0]).stderr
        carrier.forget()
        carrier.start()
        status = carrier.wait_for(lambda status: status["state"] == "idle")
        assert (status["journal_id"], status["base_changed"]) == (name, [])
        carrier.kill()
        with vm_on(disks[0]):
            carrier.start()
            status = carrier.wait_for(lambda status: status["state"] == "base_in_use")
            assert "old0.img is an old disk under the journal, and a QEMU has it open" in status["reason"]
            with carrier.connect() as sender:
                answer = sender.hello()
            assert (answer["code"], answer["kind"]) == ("base_in_use", "unavailable")
            assert written(disks[1]).returncode, "the other disk is held all the same"
        with disks[0].open("r+b") as disk:
            disk.write(b"the VM's last words")
            os.fsync(disk.fileno())
        status = carrier.wait_for(lambda status: status["state"] != "base_in_use")
        (changed,) = status["base_changed"]
        assert (changed["volume"], changed["since"]) == (0, 0)
        assert status["journal_id"] != name
        with carrier.connect() as sender:
            assert sender.hello()["journal_id"] == status["journal_id"]
    finally:
        end(carrier)


def test_a_seed_that_cannot_be_used_is_told_and_tried_again(folder: Path, identities: Path) -> None:
    """The first call says why; nothing was made; with the disk back the next start does it."""
    part, disks = seed(folder)
    away = disks[1].rename(folder / "away")
    carrier = Carrier(folder, identities, **part)
    try:
        with pytest.raises(AssertionError, match=r"old1\.img of volume 1 does not exist.*sent whole"):
            carrier.wait_for(lambda status: status["state"] != "opening")
        carrier.process.wait(20)
        assert not list((folder / "j").glob("replica/*"))
        away.rename(disks[1])
        carrier.start()
        assert carrier.wait_for(lambda status: status["state"] == "idle")["checkpoint_count"] == 1
    finally:
        end(carrier)


def written(disk: Path) -> subprocess.CompletedProcess[str]:
    """What a QEMU says that is to write to the disk."""
    return subprocess.run(
        ["qemu-io", "-f", "raw", "-c", "write 0 512", os.fspath(disk)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


@contextmanager
def vm_on(disk: Path) -> Iterator[None]:
    """A process of QEMU that writes the disk, as that of a VM does."""
    pid = disk.with_suffix(".pid")
    node = f"driver=file,filename={disk},node-name=d"
    process = subprocess.Popen(
        ["qemu-storage-daemon", "--blockdev", node, "--nbd-server", f"addr.type=unix,addr.path={disk}.sock",
         "--export", "type=nbd,id=e,node-name=d,writable=on", "--pidfile", os.fspath(pid)],
    )  # fmt: skip
    try:
        while not pid.exists():  # written when its exports are there
            assert process.poll() is None
        yield
    finally:
        process.terminate()
        process.wait(30)
