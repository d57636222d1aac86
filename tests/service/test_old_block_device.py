"""A journal that begins on a block device: read, written, never truncated, and held."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from farshore.datapath.journal import Journal
from farshore.datapath.journal.taken import Taking
from farshore.datapath.replica.image_locks import ImageInUse, ImageLock
from farshore.datapath.replica.old_disks import OldDisks
from farshore.datapath.replica.promotion import Promoter
from farshore.datapath.replica.seed import begin_seeded
from farshore.datapath.replica.take_out import begin, carry_out
from farshore.datapath.view.volume import VolumeView
from farshore.errors import BadInput, Fault
from farshore.nbd.constants import STATE_ZERO
from tests.made_streams import START_NS, MadeStream

SIZE = 1 << 20


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Path]:
    """A loop device of ones, 1 MiB."""
    file = tmp_path / "device.img"
    file.write_bytes(b"\1" * SIZE)
    made = subprocess.run(["losetup", "-f", "--show", file], capture_output=True, text=True, check=False, timeout=30)
    if made.returncode:
        pytest.skip(f"there is no loop device here: {made.stderr.strip()}")
    yield Path(made.stdout.strip())
    subprocess.run(["losetup", "-d", made.stdout.strip()], check=True, timeout=30)


def seeded(folder: Path, device: Path, size: int) -> bool:
    """Begin on the device."""
    seed = {"bases": {"4": str(device)}, "definitions": {"vm": {}}, "time_ns": START_NS, "tag": "t"}
    return begin_seeded(folder, seed, [{"number": 4, "vm_id": "vm", "disk_id": "d", "size_bytes": size}])


def whole(journal: Journal, ordinal: int) -> bytes:
    """The volume there, and what the view says to be zeros is zeros."""
    with VolumeView(journal, 4, ordinal) as view:
        buffer = bytearray(view.size_bytes)
        view.read_into(memoryview(buffer), 0)
        at = 0
        for length, flags in view.allocation(0, view.size_bytes):
            assert not flags & STATE_ZERO or not any(buffer[at : at + length])
            at += length
        assert at == view.size_bytes
    return bytes(buffer)


@pytest.mark.root(reason="sets up a loop device")
def test_a_block_device_is_a_base_image_like_any_but_never_truncated(device: Path, tmp_path: Path) -> None:
    """Writes, zeros of no whole sectors, a shrink, a growth beyond it, taking out; it keeps its size and its path."""
    with pytest.raises(BadInput, match="too small"):
        seeded(tmp_path / "j", device, SIZE + 512)
    assert seeded(tmp_path / "j", device, SIZE)
    stream, disk = MadeStream(), bytearray(b"\1" * SIZE)
    stream.begin({4: SIZE})
    stream.write(4, 1000, b"hello")
    stream.zero(4, 5001, 7777)
    disk[1000:1005], disk[5001 : 5001 + 7777] = b"hello", bytes(7777)
    with Journal.open(tmp_path / "j", writable=True, reserve_bytes=0) as journal:
        old_disks = OldDisks(journal)
        assert whole(journal, 0) == b"\1" * SIZE

        def checkpoint(name: str) -> int:
            stream.marker(name, [4])
            group = [stream.seal()]
            stream.say(type="vouch", id=name)
            journal.append([*group, stream.seal()])
            return journal.last_ordinal - 1

        first = checkpoint("m1")
        assert whole(journal, first) == disk
        promoter = Promoter(journal, -1, old_disks)
        assert promoter.step(START_NS * 2)
        assert whole(journal, first) == disk == device.read_bytes()
        with pytest.raises(ImageInUse):
            ImageLock(device)
        stream.say(type="volumes", volumes=[{"number": 4, "vm_id": "vm", "disk_id": "d", "size_bytes": SIZE - 4096}])
        second = checkpoint("m2")
        taking = begin(journal, Taking("op", second, (4,), str(tmp_path / "vm")))
        with old_disks.change():
            done = carry_out(
                journal, taking, lambda n: VolumeView(journal, n, second), lambda *_: None, old_disks.let_go
            )
        assert done.paths == {"4": str(device)}
        assert device.read_bytes()[: SIZE - 4096] == disk[: SIZE - 4096]
        assert os.stat(device).st_rdev
        ImageLock(device).release()


@pytest.mark.root(reason="sets up a loop device")
def test_a_volume_that_grew_beyond_its_device_is_told(device: Path, tmp_path: Path) -> None:
    """Promotion stops in words, and goes on when the device has grown."""
    seeded(tmp_path / "j", device, SIZE)
    stream = MadeStream()
    stream.begin({4: 2 * SIZE})
    stream.write(4, 2 * SIZE - 5, b"hello")
    stream.marker("m", [4])
    group = [stream.seal()]
    stream.say(type="vouch", id="m")
    with Journal.open(tmp_path / "j", writable=True, reserve_bytes=0) as journal:
        journal.append([*group, stream.seal()])
        with pytest.raises((Fault, OSError)):
            Promoter(journal, -1).step(START_NS * 2)
        os.truncate(tmp_path / "device.img", 2 * SIZE)
        subprocess.run(["losetup", "-c", device], check=True, timeout=30)
        Promoter(journal, -1).finish()
        assert device.read_bytes() == b"\1" * SIZE + bytes(SIZE - 5) + b"hello"
