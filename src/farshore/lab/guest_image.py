"""Make the test guest's disk images: a ring for the records, the rest random data. Needs no root and mounts nothing.

A raw disk holds the ring and then the random data. An ext4 disk holds them as the files /ring and /random, put there by
`mkfs.ext4 -d`; every block of both is written, so that the guest's writes change no allocation and the blocks, which
are noted in the image's layout, never move.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Literal

import xxhash

from farshore.errors import BadInput, Fault, Unavailable
from farshore.lab.record_layout import SLOT_BYTES, DiskLayout, Extent, make_empty, make_header

SLOTS_DEFAULT = 2048
SIZE_BYTES_MIN = 24 << 20
_CHUNK_BYTES = 4 << 20
_EXT4_OWN_BYTES = 8 << 20
"""Superblocks, inode table, a journal of 4 MiB, and room for the small files."""


def make_disk_image(path: Path, number: int, kind: Literal["raw", "ext4"], size_bytes: int) -> DiskLayout:
    """Make the image of disk `number` (0 is a) at `path`, and its layout beside it.

    Raises BadInput for a size that is too small or no multiple of 4096, Unavailable without e2fsprogs.
    """
    if size_bytes < SIZE_BYTES_MIN or size_bytes % SLOT_BYTES:
        raise BadInput(f"A test disk cannot have {size_bytes} bytes.", "Give a multiple of 4096, at least 24 MiB.")
    slots = min(SLOTS_DEFAULT, size_bytes // 16 // SLOT_BYTES)
    layout = (_make_raw if kind == "raw" else _make_ext4)(path, number, size_bytes, slots)
    layout.save(path)
    return layout


def _write_random(path: Path, offset: int, length: int) -> tuple[int, str]:
    """Fill a range of a file with random bytes; their XXH64 (for the guest) and SHA-256 (for the host)."""
    fast, strong = xxhash.xxh64(), hashlib.sha256()
    with path.open("r+b") as file:
        file.seek(offset)
        while length:
            chunk = os.urandom(min(length, _CHUNK_BYTES))
            file.write(chunk)
            fast.update(chunk)
            strong.update(chunk)
            length -= len(chunk)
    return fast.intdigest(), strong.hexdigest()


def _write_ring(path: Path, number: int, slots: int, random: tuple[int, int, int]) -> None:
    """The header and the empty slots at the start of a file; `random` is offset, length, XXH64."""
    with path.open("r+b") as file:
        file.write(make_header(number, slots, *random))
        for slot in range(slots):
            file.write(make_empty(slot, number))


def _make_raw(path: Path, number: int, size_bytes: int, slots: int) -> DiskLayout:
    path.touch(mode=0o600)
    os.truncate(path, size_bytes)
    ring_bytes = (1 + slots) * SLOT_BYTES
    fast, strong = _write_random(path, ring_bytes, size_bytes - ring_bytes)
    _write_ring(path, number, slots, (ring_bytes, size_bytes - ring_bytes, fast))
    rest = Extent(ring_bytes, size_bytes - ring_bytes)
    return DiskLayout(number, "raw", size_bytes, slots, (Extent(0, ring_bytes),), (rest,), strong)


def _make_ext4(path: Path, number: int, size_bytes: int, slots: int) -> DiskLayout:
    random_bytes = size_bytes - (1 + slots) * SLOT_BYTES - _EXT4_OWN_BYTES - size_bytes // 64
    random_bytes -= random_bytes % SLOT_BYTES
    with tempfile.TemporaryDirectory(prefix=".farshore-", dir=path.parent) as folder:
        content = Path(folder)
        (content / "files").mkdir()
        for name in ("ring", "random"):
            (content / name).touch()
        fast, strong = _write_random(content / "random", 0, random_bytes)
        _write_ring(content / "ring", number, slots, (0, random_bytes, fast))
        path.touch(mode=0o600)
        os.truncate(path, size_bytes)
        # Nothing is left for the kernel to initialise after the first mount: what the guest writes is the workload.
        options = ["-q", "-F", "-b", "4096", "-m", "0", "-N", "256", "-J", "size=4"]
        lazy = ["-E", "lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0"]
        _run("mkfs.ext4", *options, *lazy, "-d", str(content), str(path))
    ring = _blocks_of(path, "/ring", 1 + slots)
    random = _blocks_of(path, "/random", random_bytes // SLOT_BYTES)
    return DiskLayout(number, "ext4", size_bytes, slots, ring, random, strong)


def _blocks_of(image: Path, name: str, expected: int) -> tuple[Extent, ...]:
    """The extents of a file in an ext4 image, in the file's order. Raises Fault when not all are allocated."""
    said = _run("debugfs", "-R", f"blocks {name}", str(image))
    blocks = [int(word) for word in re.findall(r"\d+", said)]
    if len(blocks) != expected or 0 in blocks:
        raise Fault(f"{name} in {image} has {len(blocks)} blocks, not {expected}.", "mkfs.ext4 left holes in the file.")
    extents: list[Extent] = []
    for block in blocks:
        last = extents[-1] if extents else None
        if last and last.offset + last.length == block * SLOT_BYTES:
            extents[-1] = Extent(last.offset, last.length + SLOT_BYTES)
        else:
            extents.append(Extent(block * SLOT_BYTES, SLOT_BYTES))
    return tuple(extents)


def _run(tool: str, *arguments: str) -> str:
    """Run a tool of e2fsprogs (a user's PATH often lacks sbin) and return what it printed."""
    found = shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not found:
        raise Unavailable(f"{tool} is not here, and the test guest's ext4 disk needs it.", "Install e2fsprogs.")
    environment = {**os.environ, "LC_ALL": "C", "DEBUGFS_PAGER": "cat"}
    done = subprocess.run([found, *arguments], capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise Fault(f"{tool} failed: {done.stderr.strip()[:300]}.")
    return done.stdout
