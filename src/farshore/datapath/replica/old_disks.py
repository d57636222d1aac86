"""The old disks that are base images of a seeded journal: held by QEMU's locks, and watched for changes by others.

`replica/bases.json`: {"changing": bool, "disks": {"<n>": {"size_bytes", "mtime_ns", "inode"}},
"changed": {"<n>": {"fact", "since"}}}. It is written at the carrier's orderly end and around all that it writes itself.
A disk that is not as it was left was written by somebody else while no carrier held it: the journal gets another
identifier, by which the sender knows to compare by hashes, and checkpoints up to `since` are in doubt.

While `changing` stood at the end of a carrier, times tell nothing, only size and inode are compared. Of a block device
only the size is: its node has no time of writing.
"""

from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from farshore.datapath.journal import DamagedJournal, Journal
from farshore.datapath.replica.image import old_disk
from farshore.datapath.replica.image_locks import ImageInUse, ImageLock
from farshore.model.files import write_durably

Print = dict[str, int]


def fingerprint(path: Path) -> Print:
    """What tells that a disk was written, made durable before. Raises OSError."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)  # else a power failure takes the time of our own last write back
        found = os.fstat(fd)
        if stat.S_ISBLK(found.st_mode):
            return {"size_bytes": os.lseek(fd, 0, os.SEEK_END)}
        return {"size_bytes": found.st_size, "mtime_ns": found.st_mtime_ns, "inode": found.st_ino}
    finally:
        os.close(fd)


class OldDisks:
    """Those of one journal, which is open for writing. For threads, but `change` is for one at a time."""

    def __init__(self, journal: Journal) -> None:
        self._lock = threading.RLock()
        self._journal = journal
        self._held: dict[int, ImageLock] = {}
        self._path = journal.path / "replica" / "bases.json"
        self._record = self._load()
        self._judged = False

    def _load(self) -> dict[str, Any]:
        try:
            record: dict[str, Any] = json.loads(self._path.read_bytes())
            return {"changing": record["changing"], "disks": record["disks"], "changed": record["changed"]}
        except FileNotFoundError:
            return {"changing": False, "disks": {}, "changed": {}}
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedJournal(
                f"{self._path} cannot be understood.", "Remove it: hashes are compared then."
            ) from error

    def disks(self) -> dict[int, Path]:
        """The old disks, by volume; without those that were taken out."""
        folder = self._journal.path / "replica"
        numbers = {int(path.stem) for path in folder.glob("*.raw") if path.is_symlink() and path.stem.isdecimal()}
        found = {number: old_disk(self._journal.path, number) for number in numbers - self._let_go()}
        return {number: disk for number, disk in sorted(found.items()) if disk is not None}

    def _let_go(self) -> set[int]:
        return {number for taking in self._journal.taken.takings if taking.done for number in taking.volumes}

    def hold(self) -> None:
        """Hold all, and judge whether they are as they were left.

        Raises ImageInUse when some cannot be held (the others are) or nothing can be noted; nobody may write then.
        """
        with self._lock:
            disks = self.disks()
            faults: list[ImageInUse] = []
            for number in disks.keys() - self._held.keys():
                try:
                    self._held[number] = ImageLock(disks[number])
                except ImageInUse as error:
                    faults.append(error)
            if faults:
                raise faults[0]
            if disks and not self._judged:
                self._judge(disks)
            self._judged = True

    def _judge(self, disks: dict[int, Path]) -> None:
        known, changed = self._record["disks"], dict(self._record["changed"])
        untrusted = False
        for number, disk in disks.items():
            was, now = known.get(str(number)), self._print(disk)
            if self._record["changing"]:
                was, now = ({k: v for k, v in (each or {}).items() if k != "mtime_ns"} for each in (was, now))
            if was != now:
                fact = f"{disk} was written by somebody else while no carrier held it ({_difference(was, now)})."
                untrusted = True
                changed[str(number)] = {"fact": fact, "since": self._journal.last_ordinal}
        try:
            if untrusted:
                self._journal.renew_id()
                self._record["changed"] = changed
            self._note(self._record["changing"])
        except OSError as error:
            raise ImageInUse(f"{self._path} cannot be written: {error}.", "Look at the journal's store.") from error

    @staticmethod
    def _print(disk: Path) -> Print:
        try:
            return fingerprint(disk)
        except OSError as error:
            raise ImageInUse(f"{disk}, an old disk under the journal: {error.strerror}.", "Bring it back.") from error

    def _note(self, changing: bool) -> None:
        disks = {str(number): self._print(disk) for number, disk in self.disks().items()}
        self._record = {"changing": changing, "disks": disks, "changed": self._record["changed"]}
        write_durably(self._path, json.dumps(self._record, indent=1).encode())

    @contextmanager
    def change(self) -> Iterator[None]:
        """Around all that writes base images. Raises Unavailable when they are not held."""
        self.hold()
        if not self._held:
            yield
            return
        self._note(True)
        try:
            yield
        except Exception:
            self._note(False)
            raise
        self._note(False)

    def changed(self) -> list[dict[str, Any]]:
        """What was found changed, as long as checkpoints are listed that are in doubt by it."""
        floor, changed = self._journal.floor.ordinal, self._record["changed"]
        return [{"volume": int(number), **what} for number, what in changed.items() if what["since"] >= floor]

    def let_go(self, number: int) -> None:
        """This one is a VM's disk again."""
        with self._lock:
            lock = self._held.pop(number, None)
        if lock is not None:
            lock.release()

    def close(self) -> None:
        """At the orderly end: note how they are left, let go of all. Raises OSError, Unavailable."""
        try:
            if self._held and self._judged and not self._record["changing"]:
                self._note(False)
        finally:
            self.let_go_of_all()

    def let_go_of_all(self) -> None:
        """Let go without a word: the journal is over."""
        for number in list(self._held):
            self.let_go(number)


def _difference(was: Print | None, now: Print) -> str:
    if not was:
        return "nothing is known of how it was left"
    return ", ".join(f"{key} {was.get(key)} then, {value} now" for key, value in now.items() if was.get(key) != value)
