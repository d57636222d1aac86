"""Taking volumes out of the history: the base image of each becomes the volume as it was at a checkpoint.

1. Verify the segments up to the checkpoint. 2. Say in taken.json which volumes go, at which checkpoint: from then on
nothing is promoted, and these volumes are opened at that checkpoint only. 3. Wait for the operations that had pinned
another checkpoint before: they may have views that read the base images. 4. Write the extents that the journal has
over the base image, nothing else; fdatasync. 5. Give each image its second name in the folder (an old disk keeps its
own). 6. Say in taken.json that it is done. From 6 on the images are a VM's disks and are never written here again.

A view at the checkpoint itself reads none of the bytes that 4 writes. A process that dies anywhere does it again.
Must not run beside a promotion (the caller sees to that).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol, Self

from farshore.datapath.journal import Journal
from farshore.datapath.journal.taken import Taking
from farshore.datapath.replica.image import Images, image_path, old_disk
from farshore.errors import BadInput, Conflict, Fault
from farshore.model.files import sync_directory

CHUNK_BYTES = 4 << 20


class Source(Protocol):
    """A volume at the checkpoint: the view of it. A context manager."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    @property
    def size_bytes(self) -> int:
        """Bytes of the volume."""
        ...

    def extents(self) -> Iterator[tuple[int, int, bool]]:
        """(start, end, whether zeros) of what is not in the base image."""
        ...

    def read_into(self, buffer: memoryview, offset: int) -> None:
        """Fill the buffer from there."""
        ...


class Interrupted(Exception):
    """The carrier ends; the next one goes on."""


def check(journal: Journal, taking: Taking) -> None:
    """Whether this may be taken out now, without changing anything. Raises NotFound, BadInput, Conflict."""
    if _is_under_way(journal, taking):
        return
    checkpoint = journal.checkpoint(str(taking.ordinal))
    if not taking.volumes:
        raise BadInput("No volumes were named.", "Name at least one.")
    for number in taking.volumes:
        if number in journal.taken.numbers:
            if _is_under_way(journal, taking):  # its own thread has noted it since the first look
                return
            raise Conflict(f"Volume {number} is taken out by another operation already.")
        if number not in checkpoint.volumes:
            raise BadInput(f"Checkpoint {checkpoint.id} has no volume {number}.", "List the checkpoint's volumes.")
    _demand_places(journal, taking)


def _is_under_way(journal: Journal, taking: Taking) -> bool:
    """Whether this very one is noted already. Raises Conflict when its operation takes out others."""
    known = journal.taken.of(taking.operation)
    if known is None:
        return False
    if (known.ordinal, known.volumes, known.folder) != (taking.ordinal, taking.volumes, taking.folder):
        raise Conflict(f"Operation {taking.operation} takes out other volumes, or others at another checkpoint.")
    return True


def _demand_places(journal: Journal, taking: Taking) -> None:
    folder = Path(taking.folder)
    if not folder.is_absolute():
        raise BadInput(f"'{folder}' is no absolute path.", "Name the folder for the disks in full.")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for number in taking.volumes:
        if old_disk(journal.path, number) is not None:
            continue
        if folder.stat().st_dev != (journal.path / "replica").stat().st_dev:
            raise Conflict(
                f"{folder} is not on the store of the journal {journal.path}.",
                "Name a folder on that store: the disks are not copied.",
            )
        place, image = _place(taking, number), image_path(journal.path, number)
        if place.exists() and not (image.exists() and place.samefile(image)):
            raise Conflict(f"{place} exists already.", "Move it away, or name another folder.")


def _place(taking: Taking, number: int) -> Path:
    return Path(taking.folder) / f"{number}.raw"


def begin(journal: Journal, taking: Taking) -> Taking:
    """Steps 1 and 2; again is fine. Raises DamagedJournal and what `check` raises; nothing is changed then."""
    check(journal, taking)
    known = journal.taken.of(taking.operation)
    if known is not None and known.done:
        return known
    journal.verify(last=taking.ordinal).raise_if_damaged()
    if known is None:
        if journal.floor.promoting is not None:
            raise Fault("A promotion was begun and is not finished.", "It is finished by itself; try again.")
        known = replace(taking, waits_for=None)
        journal.set_taken(journal.taken.with_taking(known))
    if known.waits_for is None:
        # pinned later: such an operation opens no view of these volumes any more
        others = {name for name, ordinal in journal.pins.all().items() if ordinal != known.ordinal}
        known = replace(known, waits_for=tuple(sorted(others)))
        journal.set_taken(journal.taken.with_taking(known))
    return known


def still_pinned(journal: Journal, taking: Taking) -> list[str]:
    """Step 3: the operations that must let go of another checkpoint first."""
    pins = journal.pins.all()
    return [name for name in taking.waits_for or () if pins.get(name, taking.ordinal) != taking.ordinal]


def carry_out(
    journal: Journal,
    taking: Taking,
    open_source: Callable[[int], Source],
    progress: Callable[[int, int], None],
    let_go: Callable[[int], None],
) -> Taking:
    """Steps 4 to 6; returns what is taken. `progress` gets (done, total) bytes and may raise Interrupted.

    `let_go(number)` is called before an old disk's path is given out. Raises OSError, FarshoreError.
    """
    if taking.done:
        return taking
    with contextlib.ExitStack() as stack:
        sources = {number: stack.enter_context(open_source(number)) for number in taking.volumes}
        images = stack.enter_context(Images(journal.path))
        total = sum(end - start for source in sources.values() for start, end, _ in source.extents())
        done = 0
        progress(done, total)
        for number, source in sources.items():
            images.resize_one(number, source.size_bytes)
            for length in _write_extents(images, number, source):
                done += length
                progress(done, total)
        images.sync()
    paths = {str(number): os.fspath(_name(journal, taking, number)) for number in taking.volumes}
    taken = replace(taking, done=True, paths=paths)
    journal.set_taken(journal.taken.with_taking(taken))
    for number in taking.volumes:
        let_go(number)
    return taken


def _write_extents(images: Images, number: int, source: Source) -> Iterator[int]:
    """Write them; yields the bytes of each piece."""
    buffer = memoryview(bytearray(CHUNK_BYTES))
    for start, end, is_zero in source.extents():
        if is_zero:
            images.zero(number, start, end - start)
            yield end - start
            continue
        at = start
        while at < end:
            part = buffer[: min(CHUNK_BYTES, end - at)]
            source.read_into(part, at)
            images.write(number, part, at)
            at += len(part)
            yield len(part)


def _name(journal: Journal, taking: Taking, number: int) -> Path:
    """The image's path for the VM: its second name, durable, or the old disk's own."""
    disk = old_disk(journal.path, number)
    if disk is not None:
        return disk
    place, image = _place(taking, number), image_path(journal.path, number)
    if not place.exists():
        place.hardlink_to(image)
    elif not place.samefile(image):
        raise Conflict(f"{place} exists already.", "Move it away, or name another folder.")
    sync_directory(place.parent)
    return place


def retire_volumes(journal: Journal, numbers: list[int]) -> None:
    """The VM has left the views: the volumes are offered nowhere any more, their names in the replica go.

    Again is fine. Raises Conflict when one was not taken out to the end.
    """
    journal.set_taken(journal.taken.with_retired(numbers))
    for number in numbers:
        image_path(journal.path, number).unlink(missing_ok=True)
    sync_directory(journal.path / "replica")
