"""Journals that are told a story by hand: the disks at each checkpoint, and processes that end at any step."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from farshore.datapath.journal import Journal, append
from farshore.datapath.journal.taken import Taken, Taking
from farshore.datapath.replica.image import Images
from farshore.datapath.replica.take_out import begin, carry_out, still_pinned
from farshore.datapath.view.volume import VolumeView, open_view
from tests.made_streams import MadeStream

SIZES = {0: 2048, 3: 1536, 5: 1024}


class Killed(BaseException):
    """The process ends here."""


class Story:
    """A journal that is told a story, and what the disks were at each checkpoint."""

    def __init__(self, folder: Path) -> None:
        """Begin with disks of zeros."""
        self.folder = folder
        self.journal = Journal.open(folder, writable=True, reserve_bytes=0)
        self.disks = {number: bytearray(size) for number, size in SIZES.items()}
        self.copies: dict[int, dict[int, bytes]] = {}
        self.stream = MadeStream()
        self.stream.begin(SIZES)

    def tell(self, steps: list[Any]) -> None:
        """Go on."""
        for kind, number, where, what in [*steps, ("checkpoint", 0, 0, None)]:
            getattr(self, f"_{kind}")(number, where, what)

    def _write(self, number: int, offset: int, data: bytes) -> None:
        data = data[: max(0, len(self.disks[number]) - offset)]
        if data:
            self.stream.write(number, offset, data)
            self.disks[number][offset : offset + len(data)] = data

    def _zero(self, number: int, offset: int, length: int) -> None:
        length = min(length, len(self.disks[number]) - offset)
        if length > 0:
            self.stream.zero(number, offset, length)
            self.disks[number][offset : offset + length] = bytes(length)

    def _size(self, number: int, size: int, _: object) -> None:
        disk = self.disks[number]
        self.disks[number] = (disk + bytes(max(0, size - len(disk))))[:size]
        self.say_volumes()
        self.journal.append([self.stream.seal()])

    def say_volumes(self) -> None:
        """The list of volumes as it is now."""
        named = [
            {"number": n, "vm_id": f"vm{n}", "disk_id": f"d{n}", "size_bytes": len(d)} for n, d in self.disks.items()
        ]
        self.stream.say(type="volumes", volumes=named)

    def _checkpoint(self, *_: object) -> None:
        self.stream.clock_ns += 10**9
        name = f"m{len(self.copies)}"
        self.stream.marker(name, list(self.disks))
        group = [self.stream.seal()]
        self.stream.say(type="vouch", id=name)
        self.journal.append([*group, self.stream.seal()])
        self.copies[self.journal.last_ordinal - 1] = {number: bytes(disk) for number, disk in self.disks.items()}

    def reopen(self) -> None:
        """The carrier starts again."""
        self.journal.close()
        self.journal = Journal.open(self.folder, writable=True, reserve_bytes=0)

    def offered(self) -> list[int]:
        """The ordinals that are listed."""
        return [each.ordinal for each in self.journal.checkpoints()]

    def check(self, numbers: set[int], ordinal: int, *, by_files: bool = True) -> None:
        """These volumes at that ordinal are what they were."""
        for number in numbers:
            with (
                open_view(self.folder, str(ordinal), number)
                if by_files
                else VolumeView(self.journal, number, ordinal) as view
            ):
                buffer = bytearray(view.size_bytes)
                view.read_into(memoryview(buffer), 0)
            assert buffer == self.copies[ordinal][number], (number, ordinal)


@contextmanager
def story() -> Iterator[Story]:
    """A journal of small files, in a folder that goes."""
    before, append.FILE_BYTES_MAX = append.FILE_BYTES_MAX, 1500
    try:
        with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
            told = Story(Path(name) / "j")
            try:
                yield told
            finally:
                told.journal.close()
    finally:
        append.FILE_BYTES_MAX = before


@contextmanager
def killed_at(step: int) -> Iterator[None]:
    """The process ends at the `step`-th thing that it does to an image, the record or a name."""
    left = step
    spots = [
        (Images, "write"),
        (Images, "zero"),
        (Images, "resize_one"),
        (Images, "sync"),
        (Taken, "save"),
        (Path, "hardlink_to"),
    ]
    real = [(where, name, getattr(where, name)) for where, name in spots]

    def mortal(do: Any) -> Any:
        def run(*args: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                raise Killed
            done = do(*args)
            left -= 1
            if left == 0:
                raise Killed
            return done

        return run

    for where, name, do in real:
        setattr(where, name, mortal(do))
    try:
        yield
    finally:
        for where, name, do in real:
            setattr(where, name, do)


def take_out(told: Story, taking: Taking) -> Taking:
    """All steps at once, by nobody's carrier."""
    journal = told.journal
    begun = begin(journal, taking)
    assert not still_pinned(journal, begun)
    return carry_out(
        journal, begun, lambda number: VolumeView(journal, number, begun.ordinal), lambda *_: None, lambda _: None
    )
