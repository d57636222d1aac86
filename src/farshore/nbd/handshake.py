"""The server's half of the handshake as a pure state machine: bytes in, bytes out. Used by the tap and by the views.

Fixed newstyle only. Give the client `greeting`, then pass what it sends to `receive` and send back what that returns,
until `state` is READY (`chosen` is the export; `leftover` holds requests that came in the same read) or CLOSED (send,
then close).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from farshore.nbd import constants as nbd

_U32 = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Export:
    """What a client is told of an export. Sizes in bytes; `flags`: TRANSMIT_*; `contexts`: metadata offered."""

    name: str
    size_bytes: int
    flags: int
    block_bytes_min: int = 1
    block_bytes_preferred: int = 65536
    request_bytes_max: int = nbd.REQUEST_LENGTH_MAX
    contexts: tuple[str, ...] = ()


class State(Enum):
    """Where a handshake stands."""

    FLAGS = "flags"
    OPTIONS = "options"
    READY = "ready"
    CLOSED = "closed"


class ServerHandshake:
    """One client's handshake. `structured_allowed`: offer structured replies (block status needs them)."""

    greeting = nbd.GREETING.pack(nbd.NBD_MAGIC, nbd.OPTION_MAGIC, nbd.FLAG_FIXED_NEWSTYLE | nbd.FLAG_NO_ZEROES)

    def __init__(self, exports: Mapping[str, Export], structured_allowed: bool = False) -> None:
        self.exports = exports
        self.structured_allowed = structured_allowed
        self.state = State.FLAGS
        self.chosen: Export | None = None
        self.structured = False
        self.contexts: dict[str, int] = {}
        """Metadata contexts that the client selected for `chosen`, and the number each has on the wire."""
        self._context_export = ""
        self._no_zeroes = False
        self._input = bytearray()

    @property
    def leftover(self) -> bytes:
        """What came after the handshake's last byte."""
        return bytes(self._input)

    def receive(self, data: bytes | bytearray | memoryview) -> bytes:
        """Take bytes from the client; returns those to send back. After READY and CLOSED nothing is parsed any more."""
        self._input += data
        replies: list[bytes] = []
        if self.state is State.FLAGS and len(self._input) >= 4:
            self._flags()
        while self.state is State.OPTIONS and len(self._input) >= nbd.OPTION.size:
            magic, option, length = nbd.OPTION.unpack_from(self._input)
            if magic != nbd.OPTION_MAGIC or length > nbd.OPTION_BYTES_MAX:
                self.state = State.CLOSED
                break
            if len(self._input) < nbd.OPTION.size + length:
                break
            body = bytes(self._input[nbd.OPTION.size : nbd.OPTION.size + length])
            del self._input[: nbd.OPTION.size + length]
            replies.append(self._option(option, body))
        return b"".join(replies)

    def _flags(self) -> None:
        (flags,) = _U32.unpack_from(self._input)
        del self._input[:4]
        known = nbd.FLAG_FIXED_NEWSTYLE | nbd.FLAG_NO_ZEROES
        self._no_zeroes = bool(flags & nbd.FLAG_NO_ZEROES)
        self.state = State.CLOSED if flags & ~known else State.OPTIONS

    def _option(self, option: int, body: bytes) -> bytes:
        if option == nbd.OPT_EXPORT_NAME:
            return self._export_name(body)
        answers = {
            nbd.OPT_ABORT: self._abort,
            nbd.OPT_LIST: self._list,
            nbd.OPT_INFO: self._go,
            nbd.OPT_GO: self._go,
        }
        if self.structured_allowed:
            answers[nbd.OPT_STRUCTURED_REPLY] = self._structured_reply
            answers[nbd.OPT_LIST_META_CONTEXT] = answers[nbd.OPT_SET_META_CONTEXT] = self._meta_context
        answer = answers.get(option)
        return answer(option, body) if answer else _reply(option, nbd.REP_ERR_UNSUP)

    def _abort(self, option: int, body: bytes) -> bytes:
        self.state = State.CLOSED
        return _reply(option, nbd.REP_ACK)

    def _structured_reply(self, option: int, body: bytes) -> bytes:
        if body:
            return _reply(option, nbd.REP_ERR_INVALID)
        self.structured = True
        return _reply(option, nbd.REP_ACK)

    def _choose(self, export: Export) -> None:
        self.chosen = export
        self.state = State.READY
        if self._context_export != export.name:
            self.contexts = {}

    def _export_name(self, body: bytes) -> bytes:
        export = self.exports.get(_text(body) or "")
        if export is None:
            self.state = State.CLOSED
            return b""
        self._choose(export)
        return struct.pack(">QH", export.size_bytes, export.flags) + (b"" if self._no_zeroes else bytes(124))

    def _list(self, option: int, body: bytes) -> bytes:
        if body:
            return _reply(option, nbd.REP_ERR_INVALID)
        entries = [_reply(option, nbd.REP_SERVER, _string(name)) for name in self.exports]
        return b"".join(entries) + _reply(option, nbd.REP_ACK)

    def _go(self, option: int, body: bytes) -> bytes:
        parsed = _take_string(body, 0)
        if parsed is None or len(body) < parsed[1] + 2:
            return _reply(option, nbd.REP_ERR_INVALID)
        export = self.exports.get(parsed[0])
        if export is None:
            return _reply(option, nbd.REP_ERR_UNKNOWN, b"there is no such export")
        size = struct.pack(">HQH", nbd.INFO_EXPORT, export.size_bytes, export.flags)
        blocks = struct.pack(
            ">HIII",
            nbd.INFO_BLOCK_SIZE,
            export.block_bytes_min,
            max(export.block_bytes_preferred, export.block_bytes_min),
            export.request_bytes_max,
        )
        if option == nbd.OPT_GO:
            self._choose(export)
        return _reply(option, nbd.REP_INFO, size) + _reply(option, nbd.REP_INFO, blocks) + _reply(option, nbd.REP_ACK)

    def _meta_context(self, option: int, body: bytes) -> bytes:
        parsed = _take_string(body, 0)
        if parsed is None or len(body) < parsed[1] + 4 or (option == nbd.OPT_SET_META_CONTEXT and not self.structured):
            return _reply(option, nbd.REP_ERR_INVALID)
        name, at = parsed
        export = self.exports.get(name)
        if export is None:
            return _reply(option, nbd.REP_ERR_UNKNOWN)
        (count,) = _U32.unpack_from(body, at)
        queries: list[str] = []
        at += 4
        for _ in range(count):
            query = _take_string(body, at)
            if query is None:
                return _reply(option, nbd.REP_ERR_INVALID)
            queries.append(query[0])
            at = query[1]
        every = option == nbd.OPT_LIST_META_CONTEXT and not queries
        found = {c: i for i, c in enumerate(export.contexts) if every or c in queries or _wildcard(option, c, queries)}
        if option == nbd.OPT_SET_META_CONTEXT:
            self.contexts, self._context_export = found, name
        entries = [_reply(option, nbd.REP_META_CONTEXT, _U32.pack(i) + c.encode()) for c, i in found.items()]
        return b"".join(entries) + _reply(option, nbd.REP_ACK)


def _wildcard(option: int, context: str, queries: list[str]) -> bool:
    namespace = context.partition(":")[0] + ":"
    return option == nbd.OPT_LIST_META_CONTEXT and namespace in queries


def _reply(option: int, kind: int, data: bytes = b"") -> bytes:
    return nbd.OPTION_REPLY.pack(nbd.OPTION_REPLY_MAGIC, option, kind, len(data)) + data


def _string(text: str) -> bytes:
    data = text.encode()
    return _U32.pack(len(data)) + data


def _text(data: bytes) -> str | None:
    try:
        return data.decode() if len(data) <= nbd.STRING_BYTES_MAX else None
    except UnicodeDecodeError:
        return None


def _take_string(data: bytes, at: int) -> tuple[str, int] | None:
    """A length-prefixed string and where it ends; None when the bytes hold none."""
    if len(data) < at + 4:
        return None
    (length,) = _U32.unpack_from(data, at)
    if len(data) < at + 4 + length:
        return None
    text = _text(data[at + 4 : at + 4 + length])
    return None if text is None else (text, at + 4 + length)
