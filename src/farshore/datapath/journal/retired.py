"""A journal that is over (`retired.json`): its files are gone, its epoch stays, so that an old sender is still refused.

    {"epoch": the journal's epoch at that time, "retired_ns": when}

The file is written before anything is deleted; whoever opens the journal to write finishes the deletion. A keeper who
is told a higher epoch begins the journal anew, under another journal_id.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from farshore.datapath.journal.epoch import EpochKeeper
from farshore.datapath.journal.faults import DamagedJournal
from farshore.datapath.journal.lock import WriterLock
from farshore.model.files import remove_durably, sync_directory, write_durably

_FOLDERS = ("segments", "pins", "replica")


def retired_path(journal: Path) -> Path:
    """The file that says so."""
    return journal / "retired.json"


def retired_epoch(journal: Path) -> int | None:
    """The epoch at which the journal was retired; None when it was not. Raises DamagedJournal."""
    path = retired_path(journal)
    try:
        return int(json.loads(path.read_bytes())["epoch"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedJournal(f"{path} cannot be understood.", "The journal was retired: look what it said.") from error


def write_retired(journal: Path, epoch: int) -> None:
    """From the return of this on the journal has nothing, whatever files are still there."""
    write_durably(retired_path(journal), json.dumps({"epoch": epoch, "retired_ns": time.time_ns()}).encode())


def delete_all(journal: Path) -> None:
    """Delete segments, pins, the replica's names (never what a symlink leads to) and the durable note."""
    for folder in (journal / name for name in _FOLDERS):
        if folder.is_dir():
            for path in folder.iterdir():
                path.unlink(missing_ok=True)
            sync_directory(folder)
    remove_durably(journal / "durable")


def begin_anew(journal: Path, epoch: int) -> bool:
    """Let a retired journal begin again, empty, for a keeper of a higher epoch; whether it does.

    Raises JournalInUse, DamagedJournal.
    """
    at = retired_epoch(journal)
    if at is None or epoch <= at:
        return False
    lock = WriterLock(journal)
    try:
        delete_all(journal)
        EpochKeeper(journal).renew(epoch)
        remove_durably(retired_path(journal))
    finally:
        lock.release()
    return True
