r"""What a sync reader asks the other site's journal when it compares a disk with what is there.

    reader   FARSHORE/1 hashes <vpg>\n   in clear: the watcher hands the connection to that VPG's journal by it
             -- TLS --
    reader   HELLO    {"vpg", "epoch", "session", "sequence", "journal_id", "seed"}\n
    journal  WELCOME  {"ok": true, "ordinal"}\n  or {"ok": false, "code", "kind", "fact", "remedy"}\n and close
    reader   questions of 24 bytes, many before the first answer is read
    journal  an answer to each, in order: DIGS and the length, then 16 bytes a block;
             or FAIL, the length, an error as JSON, and close

The digests are XXH3-128 with the reader's seed, of the volume's bytes as of `ordinal`, the last durable one when the
connection began. The journal answers only one whose segment `sequence` of `session` it has made durable.
"""

from __future__ import annotations

import struct
from typing import NamedTuple, Self

import xxhash

from farshore.errors import BadInput

DIGEST_BYTES = 16
QUESTION_BYTES_MAX = 64 << 20
BLOCKS_MAX = 4096
BLOCK_BYTES_MAX = 1 << 20
QUESTION = struct.Struct("<4sIQII")
ANSWER_HEAD = struct.Struct("<4sI")
DIGESTS = b"DIGS"
FAILED = b"FAIL"
OTHER_JOURNAL = "other_journal"
BEHIND = "behind"
_MAGIC = b"HASH"


class Question(NamedTuple):
    """The digests of blocks of `block_bytes` (the last one may be shorter) are asked for."""

    volume: int
    offset: int
    length: int
    block_bytes: int

    @property
    def blocks(self) -> int:
        """How many digests answer it."""
        return -(-self.length // self.block_bytes)

    def pack(self) -> bytes:
        """As it is sent."""
        return QUESTION.pack(_MAGIC, self.volume, self.offset, self.length, self.block_bytes)

    @classmethod
    def parse(cls, data: bytes | bytearray) -> Self:
        """The opposite. Raises BadInput for what is none, or asks for too much at once."""
        magic, *values = QUESTION.unpack(data)
        question = cls(*values)
        if magic != _MAGIC or not question.block_bytes or not question.length:
            raise BadInput("What came is no question for hashes.")
        too_long = question.length > QUESTION_BYTES_MAX or question.block_bytes > BLOCK_BYTES_MAX
        if too_long or question.blocks > BLOCKS_MAX:
            raise BadInput("A question asks for too many hashes at once.")
        return question


def digest(data: bytes | bytearray | memoryview, seed: int) -> bytes:
    """Of one block."""
    return xxhash.xxh3_128_digest(data, seed)


class ZeroDigests:
    """Digests of blocks of zeros, each computed once."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._known: dict[int, bytes] = {}

    def of(self, length: int) -> bytes:
        """The digest of that many zeros."""
        if length not in self._known:
            self._known[length] = digest(bytes(length), self._seed)
        return self._known[length]
