"""Delta sync of 1 GiB that does not compress, of which one block in a hundred differs, so that every MiB does.

Peer: `qemu-img compare` of two files of that size which are equal, so it reads both to the end, in one process, on one
host, without a line between. The rate is that of the disk's size. At least 0.03.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time

from benchmarks.measuring import short_folder, tell
from benchmarks.whole_path import SIZE_BYTES, fill
from tests.storage_lab import until
from tests.system.test_delta_sync import BLOCK, DeltaLab

ROUNDS = 3
DIFFERING_EVERY = 100


def run() -> bool:
    """Paired rounds; whether the bar was met."""
    return tell("delta sync / qemu-img compare", [(ours(), peer()) for _ in range(ROUNDS)], "MB/s", 0.03)


def ours() -> float:
    """MB/s of the sync itself, without the start of the VM and the attach."""
    with DeltaLab(vms=1, disks=1, size="1G") as lab:
        (path,) = lab.paths().values()
        fill(path)
        lab.protect()
        lab.kill_vms()
        with path.open("r+b") as file:
            for block in range(0, SIZE_BYTES // BLOCK, DIFFERING_EVERY):
                file.seek(block * BLOCK)
                file.write(os.urandom(BLOCK))
            os.fsync(file.fileno())
        lab.start_vms()
        last = until(lab.delta_done, 120, "protecting after a delta sync")
        assert last["sent_bytes"] <= 1.2 * BLOCK * (SIZE_BYTES // BLOCK // DIFFERING_EVERY + 1)
        return SIZE_BYTES / (last["ended_ns"] - last["began_ns"]) * 1e3


def peer() -> float:
    """MB/s of the comparison."""
    with short_folder() as folder:
        one, other = folder / "one", folder / "other"
        one.touch()
        fill(one)
        shutil.copyfile(one, other)
        os.sync()
        began = time.monotonic()
        subprocess.run(["qemu-img", "compare", "-f", "raw", "-F", "raw", one, other], check=True, capture_output=True)
        return SIZE_BYTES / (time.monotonic() - began) / 1e6
