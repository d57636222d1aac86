"""QEMU's image locks, with QEMU itself: whoever has a disk first keeps the other one out, each in its own words."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from farshore.datapath.replica.image_locks import ImageInUse, ImageLock


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A raw disk of 1 MiB."""
    path = tmp_path / "old.img"
    path.write_bytes(bytes(1 << 20))
    return path


def qemu_io(disk: Path, *options: str, command: str = "write 0 512") -> subprocess.CompletedProcess[str]:
    """One command of a QEMU that opens the disk."""
    return subprocess.run(
        ["qemu-io", "-f", "raw", *options, "-c", command, os.fspath(disk)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


@contextmanager
def storage_daemon(disk: Path, *, read_only: bool) -> Iterator[None]:
    """A QEMU that has the disk open, as a VM has."""
    node = {"driver": "file", "filename": os.fspath(disk), "node-name": "d", "read-only": read_only}
    socket = disk.with_name("nbd.sock")
    pid = disk.with_name("pid")
    process = subprocess.Popen(
        ["qemu-storage-daemon", "--blockdev", json.dumps(node), "--nbd-server", f"addr.type=unix,addr.path={socket}",
         "--export", f"type=nbd,id=e,node-name=d,writable={'off' if read_only else 'on'}", "--pidfile", os.fspath(pid)],
    )  # fmt: skip
    try:
        while not pid.exists():  # written when all exports are there
            assert process.poll() is None
        yield
    finally:
        process.terminate()
        process.wait(30)


def vm(disk: Path, *more: str) -> list[str]:
    """A VM on the disk that has not begun to run."""
    node = {"driver": "raw", "node-name": "d", "file": {"driver": "file", "filename": os.fspath(disk)}}
    return [
        "qemu-system-x86_64", "-accel", "tcg", "-S", "-nodefaults", "-display", "none", "-m", "32",
        "-blockdev", json.dumps(node), "-device", "virtio-blk-pci,drive=d", *more,
    ]  # fmt: skip


def test_a_held_disk_cannot_be_written_by_a_qemu_and_can_afterwards(disk: Path) -> None:
    """It fails with QEMU's own message, for a VM as for qemu-io; who only reads may, it does no harm."""
    lock = ImageLock(disk)
    started = subprocess.run(vm(disk), capture_output=True, text=True, check=False, timeout=60)
    for refused in (qemu_io(disk), started):
        assert refused.returncode != 0
        assert 'Failed to get "write" lock' in refused.stderr
        assert "Is another process using the image" in refused.stderr
    assert qemu_io(disk, "-r", command="read 0 512").returncode == 0
    lock.release()
    lock.release()
    assert qemu_io(disk).returncode == 0


def test_a_storage_daemon_cannot_take_a_held_disk(disk: Path) -> None:
    """As a VM that is started on its old disk."""
    lock = ImageLock(disk)
    node = {"driver": "file", "filename": os.fspath(disk), "node-name": "d"}
    export = "type=nbd,id=e,node-name=d,writable=on"
    refused = subprocess.run(
        ["qemu-storage-daemon", "--blockdev", json.dumps(node),
         "--nbd-server", f"addr.type=unix,addr.path={disk.with_name('s')}", "--export", export],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert refused.returncode != 0
    assert 'Failed to get "write" lock' in refused.stderr
    lock.release()


@pytest.mark.parametrize("read_only", [False, True])
def test_a_disk_that_an_export_has_open_is_refused_in_words(disk: Path, read_only: bool) -> None:
    """Also one that only reads: it counts on the size. It is free when that process has ended."""
    with storage_daemon(disk, read_only=read_only):
        with pytest.raises(ImageInUse, match=r"old\.img is an old disk .*a QEMU has it open") as caught:
            ImageLock(disk)
        assert "tried again by itself" in caught.value.remedy
    ImageLock(disk).release()


def test_an_attempt_takes_nothing_from_the_vm_that_has_the_disk(disk: Path) -> None:
    """The VM's QEMU keeps its locks: another QEMU is still kept out by them; it is free when that one has ended."""
    process = subprocess.Popen(vm(disk, "-qmp", "stdio"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b'{"execute": "qmp_capabilities"}\n')
        while b"return" not in (line := process.stdout.readline()):  # it answers when the VM is set up
            assert line
        for _ in range(2):
            with pytest.raises(ImageInUse, match="a QEMU has it open"):
                ImageLock(disk)
        assert 'Failed to get "write" lock' in qemu_io(disk).stderr
    finally:
        process.kill()
        process.communicate()
    ImageLock(disk).release()


def test_two_carriers_cannot_hold_one_disk(disk: Path) -> None:
    """Two open file descriptions, as two processes have; and a disk that is not there is told."""
    lock = ImageLock(disk)
    with pytest.raises(ImageInUse):
        ImageLock(disk)
    lock.release()
    ImageLock(disk).release()
    with pytest.raises(ImageInUse, match="cannot be held: No such file"):
        ImageLock(disk.with_name("none"))
