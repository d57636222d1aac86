"""A small blocking NBD client over a unix socket: read, write, zero, flush, and block status by metadata context.

One request at a time; a client belongs to one thread. Used by the sync (which reads a disk's export and its dirty
bitmap) and by tests. Every failure is an NbdFault: of the server (it carries `errno`) or of the connection (errno 0).
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Self

from farshore.errors import Fault
from farshore.nbd import constants as nbd

_U32 = struct.Struct(">I")
_U64 = struct.Struct(">Q")
_PAIR = struct.Struct(">II")


class NbdFault(Fault):
    """An NBD request, handshake or connection failed. `errno`: what the server answered, 0 when it did not."""

    def __init__(self, fact: str, remedy: str = "", errno: int = 0) -> None:
        super().__init__(fact, remedy)
        self.errno = errno


class Extent(NamedTuple):
    """A run of bytes of one status; `flags` as its context defines them."""

    offset: int
    length: int
    flags: int


class NbdClient:
    """A connection to one export. Use as a context manager, or call `close`."""

    def __init__(
        self, path: str | Path, export: str = "", contexts: tuple[str, ...] = (), timeout_seconds: float = 30.0
    ) -> None:
        """Connect and open `export`; `contexts` are metadata contexts that `block_status` shall know.

        Raises NbdFault when the socket, the export or one of the contexts is not there.
        """
        self.export = export
        self.size_bytes = 0
        self.flags = 0
        self.block_bytes_min = 1
        self.request_bytes_max = nbd.REQUEST_LENGTH_MAX
        self.structured = False
        self.contexts: dict[str, int] = {}
        self._cookie = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_seconds)
        try:
            self._socket.connect(os.fspath(path))
            self._negotiate(contexts)
        except OSError as error:
            self._socket.close()
            raise NbdFault(f"The NBD socket {path} does not answer: {error}.") from error
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Say good-bye (as far as the server still listens) and close."""
        with contextlib.suppress(OSError):  # the server may be gone already: nobody is left to be told
            self._socket.sendall(nbd.REQUEST.pack(nbd.REQUEST_MAGIC, 0, nbd.CMD_DISCONNECT, 0, 0, 0))
        self._socket.close()

    # -- requests
    def pread(self, offset: int, length: int) -> bytes:
        """Read `length` bytes at `offset`."""
        buffer = bytearray(length)
        self.pread_into(memoryview(buffer), offset)
        return bytes(buffer)

    def pread_into(self, buffer: memoryview, offset: int) -> None:
        """Fill `buffer` from `offset`; in requests of at most 32 MiB."""
        step = min(self.request_bytes_max, nbd.REQUEST_LENGTH_MAX)
        for at in range(0, len(buffer), step):
            part = buffer[at : at + step]
            self._request(nbd.CMD_READ, offset + at, len(part))
            self._reply(part, offset + at)

    def pwrite(self, offset: int, data: bytes | bytearray | memoryview, flags: int = 0) -> None:
        """Write `data` at `offset` (one request)."""
        self._request(nbd.CMD_WRITE, offset, len(data), flags, data)
        self._reply()

    def zero(self, offset: int, length: int, flags: int = 0) -> None:
        """Write zeroes (one request)."""
        self._request(nbd.CMD_WRITE_ZEROES, offset, length, flags)
        self._reply()

    def trim(self, offset: int, length: int) -> None:
        """Discard (one request)."""
        self._request(nbd.CMD_TRIM, offset, length)
        self._reply()

    def flush(self) -> None:
        """Wait until what was written is durable."""
        self._request(nbd.CMD_FLUSH, 0, 0)
        self._reply()

    def block_status(self, offset: int, length: int, context: str = nbd.BASE_ALLOCATION) -> list[Extent]:
        """Status of exactly [offset, offset+length) in `context`; neighbours of the same status are joined."""
        extents: list[Extent] = []
        for extent in self._block_status(offset, length, context):
            last = extents[-1] if extents else None
            if last and last.flags == extent.flags:
                extents[-1] = Extent(last.offset, last.length + extent.length, last.flags)
            else:
                extents.append(extent)
        return extents

    def _block_status(self, offset: int, length: int, context: str) -> Iterator[Extent]:
        number = self.contexts.get(context)
        if number is None:
            raise NbdFault(f"The metadata context {context} was not opened on export '{self.export}'.")
        end = offset + length
        while offset < end:
            self._request(nbd.CMD_BLOCK_STATUS, offset, min(end - offset, 0xFFFFFFFF - 65535))
            runs = self._reply(context=number)
            if not runs:
                raise NbdFault(f"The server gave no status at {offset} of export '{self.export}'.")
            for run_length, flags in runs:
                inside = min(run_length, end - offset)
                if inside:
                    yield Extent(offset, inside, flags)
                offset += inside

    def _request(
        self, command: int, offset: int, length: int, flags: int = 0, data: bytes | bytearray | memoryview = b""
    ) -> None:
        self._cookie += 1
        head = nbd.REQUEST.pack(nbd.REQUEST_MAGIC, flags, command, self._cookie, offset, length)
        try:
            if len(data) > 65536:
                self._socket.sendall(head)
                self._socket.sendall(data)
            else:
                self._socket.sendall(head + data)
        except OSError as error:
            raise NbdFault(f"The NBD server of export '{self.export}' is gone: {error}.") from error

    # -- replies
    def _reply(
        self, into: memoryview | None = None, offset: int = 0, context: int | None = None
    ) -> list[tuple[int, int]]:
        """Take the reply to the request just sent; data go to `into`; returns the runs of block status of `context`."""
        runs: list[tuple[int, int]] = []
        while True:
            (magic,) = _U32.unpack(self._read(4))
            if magic == nbd.SIMPLE_REPLY_MAGIC:
                error, cookie = struct.unpack(">IQ", self._read(12))
                self._check(cookie, error)
                if into is not None:
                    self._read_into(into)
                return runs
            if magic != nbd.STRUCTURED_REPLY_MAGIC:
                raise NbdFault(f"The server of export '{self.export}' does not speak NBD any more.")
            flags, kind, cookie, length = struct.unpack(">HHQI", self._read(16))
            self._check(cookie, 0)
            if kind == nbd.CHUNK_OFFSET_DATA and into is not None:
                at = _U64.unpack(self._read(8))[0] - offset
                self._read_into(into[at : at + length - 8])
            else:
                self._chunk(kind, self._read(length), into, offset, context, runs)
            if flags & nbd.CHUNK_FLAG_DONE:
                return runs

    def _chunk(
        self,
        kind: int,
        data: bytes,
        into: memoryview | None,
        offset: int,
        context: int | None,
        runs: list[tuple[int, int]],
    ) -> None:
        if kind & nbd.CHUNK_ERROR_BIT:
            self._check(self._cookie, _U32.unpack_from(data)[0])
        elif kind == nbd.CHUNK_OFFSET_HOLE and into is not None:
            at, length = struct.unpack(">QI", data)
            into[at - offset : at - offset + length] = bytes(length)
        elif kind == nbd.CHUNK_BLOCK_STATUS and context == _U32.unpack_from(data)[0]:
            runs.extend(_PAIR.iter_unpack(data[4:]))

    def _check(self, cookie: int, error: int) -> None:
        if cookie != self._cookie:
            raise NbdFault(f"The server of export '{self.export}' answered another request than the one it got.")
        if error:
            raise NbdFault(f"Export '{self.export}' refused a request: {os.strerror(error)}.", errno=error)

    def _read(self, length: int) -> bytes:
        buffer = bytearray(length)
        self._read_into(memoryview(buffer))
        return bytes(buffer)

    def _read_into(self, buffer: memoryview) -> None:
        while buffer:
            try:
                count = self._socket.recv_into(buffer)
            except OSError as error:
                raise NbdFault(f"The NBD server of export '{self.export}' does not answer: {error}.") from error
            if not count:
                raise NbdFault(f"The NBD server of export '{self.export}' closed the connection.")
            buffer = buffer[count:]

    # -- handshake
    def _negotiate(self, contexts: tuple[str, ...]) -> None:
        magic, option_magic, flags = nbd.GREETING.unpack(self._read(nbd.GREETING.size))
        if magic != nbd.NBD_MAGIC or option_magic != nbd.OPTION_MAGIC or not flags & nbd.FLAG_FIXED_NEWSTYLE:
            raise NbdFault("The server does not speak fixed newstyle NBD.")
        self._socket.sendall(_U32.pack(flags & (nbd.FLAG_FIXED_NEWSTYLE | nbd.FLAG_NO_ZEROES)))
        name = self.export.encode()
        if contexts:
            self._option(nbd.OPT_STRUCTURED_REPLY, b"")
            self.structured = True
            for kind, data in self._option(nbd.OPT_SET_META_CONTEXT, _contexts_body(name, contexts)):
                if kind == nbd.REP_META_CONTEXT:
                    self.contexts[data[4:].decode()] = _U32.unpack_from(data)[0]
            for context in contexts:
                if context not in self.contexts:
                    raise NbdFault(f"Export '{self.export}' has no metadata context {context}.")
        for kind, data in self._option(
            nbd.OPT_GO, _U32.pack(len(name)) + name + struct.pack(">HH", 1, nbd.INFO_BLOCK_SIZE)
        ):
            if kind == nbd.REP_INFO:
                self._info(data)

    def _info(self, data: bytes) -> None:
        (kind,) = struct.unpack_from(">H", data)
        if kind == nbd.INFO_EXPORT:
            self.size_bytes, self.flags = struct.unpack_from(">QH", data, 2)
        elif kind == nbd.INFO_BLOCK_SIZE:
            self.block_bytes_min, _, self.request_bytes_max = struct.unpack_from(">III", data, 2)

    def _option(self, option: int, body: bytes) -> list[tuple[int, bytes]]:
        """Send an option; the replies up to the acknowledgement. Raises NbdFault when the server refuses it."""
        self._socket.sendall(nbd.OPTION.pack(nbd.OPTION_MAGIC, option, len(body)) + body)
        replies: list[tuple[int, bytes]] = []
        while True:
            magic, _, kind, length = nbd.OPTION_REPLY.unpack(self._read(nbd.OPTION_REPLY.size))
            if magic != nbd.OPTION_REPLY_MAGIC or length > nbd.OPTION_BYTES_MAX:
                raise NbdFault("The server's answer in the handshake is no NBD.")
            data = self._read(length)
            if kind == nbd.REP_ACK:
                return replies
            if kind & nbd.REP_FLAG_ERROR:
                why = data.decode(errors="replace") or f"error {kind & 0xFFFF}"
                raise NbdFault(f"The NBD server refused export '{self.export}' (option {option}): {why}.")
            replies.append((kind, data))


def _contexts_body(export: bytes, contexts: tuple[str, ...]) -> bytes:
    queries = b"".join(_U32.pack(len(c.encode())) + c.encode() for c in contexts)
    return _U32.pack(len(export)) + export + _U32.pack(len(contexts)) + queries
