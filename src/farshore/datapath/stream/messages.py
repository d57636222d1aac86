r"""What sender and receiver say: TLS 1.3, certificates of both sides, after one line in clear that names the VPG.

    sender    FARSHORE/1 stream <vpg>\n      in clear: the watcher hands the connection to that VPG's journal by it
              -- TLS --
    sender    HELLO    {"vpg", "epoch", "session", "first_sequence", "site_id"}\n
    receiver  WELCOME  {"ok": true, "durable_sequence", "epoch", "journal_id"}\n
              or {"ok": false, "code", "fact", "remedy", "epoch"}\n and close
    sender    segments, back to back, from durable_sequence + 1 on; a PING after a second without any
    receiver  16-byte frames: ACKD n (all up to n is durable), PONG, NACK code n (segment n is refused), then close

In flight: as many segments as the window holds. After an ACKD the sender may forget up to n. Silence of
SILENCE_SECONDS on either side is a broken link. What is not understood closes the connection.

`journal_id` is made once with a journal's folder: a sender that finds another one than before knows that its earlier
data are not there, and begins anew. An end uses its TLS connection from one thread only (OpenSSL's objects are not safe
for a reader and a writer at the same time): a thread that has made segments durable leaves the acknowledgement to it.
"""

from __future__ import annotations

import json
import struct
from enum import IntEnum
from typing import Any

from farshore.errors import BadInput

PREAMBLE_BYTES_MAX = 200
LINE_BYTES_MAX = 65536
SILENCE_SECONDS = 5.0
PING_SECONDS = 1.0
FRAME = struct.Struct("<4sIQ")
ACKNOWLEDGED = b"ACKD"
PONG = b"PONG"
REFUSED = b"NACK"
PING = b"FARSHPNG" + bytes(8)
assert FRAME.size == len(PING) == 16


class Refusal(IntEnum):
    """Why a receiver refuses a segment or a stream; names in lower case are the codes of WELCOME."""

    NO_SPACE = 1
    OLD_EPOCH = 2
    DAMAGED = 3
    GAP = 4
    OLD_SESSION = 5
    UNKNOWN_VPG = 6
    RETIRED = 7
    BASE_IN_USE = 8

    @property
    def code(self) -> str:
        """As it stands in a WELCOME."""
        return self.name.lower()


def stream_preamble(vpg_id: str) -> bytes:
    """The line in clear that begins a stream's connection."""
    return f"FARSHORE/1 stream {vpg_id}\n".encode()


def hashes_preamble(vpg_id: str) -> bytes:
    """The line in clear that begins a connection which asks for hashes (see hash_messages)."""
    return f"FARSHORE/1 hashes {vpg_id}\n".encode()


CONTROL_PREAMBLE = b"FARSHORE/1 control\n"


def parse_preamble(line: bytes) -> tuple[str, str]:
    """("stream", vpg), ("hashes", vpg) or ("control", ""). Raises BadInput for anything else."""
    words = line.decode("ascii", "replace").split()
    if len(words) == 3 and words[0] == "FARSHORE/1" and words[1] in ("stream", "hashes"):
        return words[1], words[2]
    if words == ["FARSHORE/1", "control"]:
        return "control", ""
    raise BadInput("The connection did not begin as Farshore's do.", "Is the port of an appliance meant?")


def pack_line(message: dict[str, Any]) -> bytes:
    """A message as a line."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def parse_line(line: bytes) -> dict[str, Any]:
    """The message in a line. Raises BadInput when it is none."""
    try:
        message = json.loads(line)
    except ValueError:
        message = None
    if not isinstance(message, dict):
        raise BadInput("The other side sent a line that is no message.")
    return message
