"""What a job puts into a file goes to the disk while the job copies, not all of it in the flush at its end.

QEMU's jobs write into the page cache and flush once, when everything is copied: the disk idles, then the job waits for
it. Here a thread has the file flushed over and over meanwhile, so copying and writing out overlap, and the last flush,
which stays the job's own and alone counts, finds little left. An error of the disk reaches QEMU all the same: Linux
tells it to each opener of the file.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)

PAUSE_SECONDS = 0.02


@contextmanager
def written_out(path: Path) -> Iterator[None]:
    """For the time of the block; a flush that is under way at its end is not waited for."""
    over = threading.Event()
    threading.Thread(target=_write_out, args=(path, over), name=f"writes out {path.name}", daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _write_out(path: Path, over: threading.Event) -> None:
    try:
        with path.open("rb") as file:
            while not over.wait(PAUSE_SECONDS):
                os.fdatasync(file.fileno())
    except OSError as error:
        log.warning("%s is not written out beside its job: %s", path, error)
