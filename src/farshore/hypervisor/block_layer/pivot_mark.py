"""How far the change of a disk from its scratch to its plain file has come, beside the scratch and durable.

QEMU moves the guest in one instant, and cannot tell anybody who asks after its own death on which side it was: after it
the plain file is the newer one, and the scratch must not be written into it any more.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from farshore.model.files import write_durably


class Pivot(Enum):
    """Who has the disk's newest data."""

    NOT_ORDERED = ""
    """The scratch."""
    ORDERED = "ordered"
    """Either: the change may have happened or not."""
    DONE = "done"
    """The plain file alone."""


def mark_path(scratch: Path) -> Path:
    """Where the mark of a disk is."""
    return scratch.with_name(f"{scratch.name}.pivot")


def read_mark(scratch: Path) -> Pivot:
    """The mark; none is NOT_ORDERED."""
    try:
        return Pivot(mark_path(scratch).read_text())
    except FileNotFoundError:
        return Pivot.NOT_ORDERED


def write_mark(scratch: Path, pivot: Pivot) -> None:
    """Set the mark, durably."""
    write_durably(mark_path(scratch), pivot.value.encode())
