"""The durable note (`durable`): up to where the newest file was certainly fdatasynced.

32 bytes and a checksum, overwritten in place after each fdatasync, itself never waited for: after the end of a process
it is exact, after a power failure it may be behind, never ahead. What lies below it was acknowledged: bad bytes there
are damage. What lies above it and is not whole is the torn tail.
"""

from __future__ import annotations

import logging
import os
import struct
from dataclasses import dataclass
from pathlib import Path

import xxhash

_LOG = logging.getLogger(__name__)
_NOTE = struct.Struct("<8sQQQ")
_CHECKSUM = struct.Struct("<Q")
_MAGIC = b"FARSHDUR"


@dataclass(frozen=True, slots=True)
class DurableNote:
    """Of the file that begins with `first_ordinal`, `end` bytes, up to segment `ordinal`, are durable."""

    first_ordinal: int
    end: int
    ordinal: int

    def pack(self) -> bytes:
        """As it is stored."""
        front = _NOTE.pack(_MAGIC, self.first_ordinal, self.end, self.ordinal)
        return front + _CHECKSUM.pack(xxhash.xxh3_64_intdigest(front))

    @classmethod
    def load(cls, journal: Path) -> DurableNote | None:
        """Read it; None when there is none or it is torn."""
        try:
            data = (journal / "durable").read_bytes()
        except FileNotFoundError:
            return None
        front = data[: _NOTE.size]
        if len(data) != _NOTE.size + _CHECKSUM.size or front[:8] != _MAGIC:
            return None
        if _CHECKSUM.unpack_from(data, _NOTE.size)[0] != xxhash.xxh3_64_intdigest(front):
            return None
        _, first_ordinal, end, ordinal = _NOTE.unpack(front)
        return cls(first_ordinal, end, ordinal)


class NoteKeeper:
    """Writes the note."""

    def __init__(self, journal: Path) -> None:
        self._fd = os.open(journal / "durable", os.O_WRONLY | os.O_CREAT, 0o600)

    def write(self, note: DurableNote) -> None:
        """Overwrite it. Call only after the fdatasync that makes it true."""
        try:
            os.pwrite(self._fd, note.pack(), 0)
        except OSError as error:  # it may be behind: what it would say is durable all the same
            _LOG.warning("the durable note could not be written: %s", error)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)
