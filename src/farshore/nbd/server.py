"""A read-only NBD server for many connections over one unix socket, a thread a connection. The views' server.

What it serves is a `Source`. Reads and block status are answered; writes, zeroes and trims get EPERM, unknown commands
EINVAL, a read that fails EIO; flush succeeds (there is nothing to flush).
"""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
import threading
from collections.abc import Sequence
from typing import Protocol

from farshore.errors import FarshoreError
from farshore.nbd import constants as nbd
from farshore.nbd.handshake import Export, ServerHandshake, State

_LOG = logging.getLogger(__name__)
_WRITING = (nbd.CMD_WRITE, nbd.CMD_TRIM, nbd.CMD_WRITE_ZEROES)
_STATUS_RUNS_MAX = 4096


class Source(Protocol):
    """A volume that can be read. Both calls may come from many threads at once."""

    @property
    def size_bytes(self) -> int:
        """Bytes of the volume."""
        ...

    def read_into(self, buffer: memoryview, offset: int) -> None:
        """Fill `buffer` from `offset`. Raises OSError or FarshoreError when the bytes cannot be had."""
        ...

    def allocation(self, offset: int, length: int) -> Sequence[tuple[int, int]]:
        """(bytes, STATE_* flags) runs of the range from its start; may end early, never empty."""
        ...


class ReadOnlyServer:
    """Serves one source under one export name (and under the empty name) until `close`."""

    def __init__(self, listener: socket.socket, name: str, source: Source) -> None:
        """`listener` is a listening unix socket; it becomes this server's."""
        flags = nbd.TRANSMIT_HAS_FLAGS | nbd.TRANSMIT_READ_ONLY | nbd.TRANSMIT_SEND_FLUSH | nbd.TRANSMIT_CAN_MULTI_CONN
        names = dict.fromkeys((name, ""))
        self._exports = {n: Export(n, source.size_bytes, flags, contexts=(nbd.BASE_ALLOCATION,)) for n in names}
        self._listener = listener
        self._source = source
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._closed = False

    def serve(self) -> None:
        """Accept until `close` is called (from another thread or a signal handler's thread)."""
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                if self._closed:
                    return
                raise
            with self._lock:
                self._connections.add(connection)
            threading.Thread(target=self._run, args=(connection,), daemon=True).start()

    def close(self) -> None:
        """Stop accepting and shut every connection down."""
        self._closed = True
        with self._lock:
            open_now = list(self._connections)
        for each in (self._listener, *open_now):
            with contextlib.suppress(OSError):  # the other side was faster
                each.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _run(self, connection: socket.socket) -> None:
        try:
            with connection:
                _Connection(connection, self._exports, self._source).run()
        except (EOFError, ConnectionError):
            _LOG.debug("a client left")
        except OSError as error:
            if not self._closed:
                _LOG.warning("a client's connection ended: %s", error)
        finally:
            with self._lock:
                self._connections.discard(connection)


class _Connection:
    """One client: handshake, then one request after the other."""

    def __init__(self, connection: socket.socket, exports: dict[str, Export], source: Source) -> None:
        self._socket = connection
        self._handshake = ServerHandshake(exports, structured_allowed=True)
        self._source = source
        self._pending = bytearray()
        self._buffer = memoryview(bytearray(0))

    def run(self) -> None:
        self._socket.sendall(self._handshake.greeting)
        while self._handshake.state not in (State.READY, State.CLOSED):
            data = self._socket.recv(65536)
            if not data:
                return
            reply = self._handshake.receive(data)
            if reply:
                self._socket.sendall(reply)
        if self._handshake.state is State.CLOSED:
            return
        self._pending += self._handshake.leftover
        while self._one():
            pass

    def _one(self) -> bool:
        """Answer one request; False at the client's good-bye."""
        magic, _, command, cookie, offset, length = nbd.REQUEST.unpack(self._take(nbd.REQUEST.size))
        if magic != nbd.REQUEST_MAGIC:
            raise ConnectionError("the client lost its place in the stream")
        if command == nbd.CMD_DISCONNECT:
            return False
        if command == nbd.CMD_WRITE:
            self._drop(length)
        error = self._judge(command, offset, length)
        if error or command == nbd.CMD_FLUSH:
            self._answer(cookie, error)
        elif command == nbd.CMD_READ:
            self._read(cookie, offset, length)
        else:
            self._status(cookie, offset, length)
        return True

    def _judge(self, command: int, offset: int, length: int) -> int:
        """The errno for an unlawful request, 0 for a lawful one."""
        if command in _WRITING:
            return nbd.EPERM
        if command == nbd.CMD_FLUSH:
            return 0
        if command == nbd.CMD_BLOCK_STATUS:
            if not self._handshake.contexts or not length:
                return nbd.EINVAL
        elif command != nbd.CMD_READ or length > nbd.REQUEST_LENGTH_MAX:
            return nbd.EINVAL
        return nbd.EINVAL if offset + length > self._source.size_bytes else 0

    def _answer(self, cookie: int, error: int) -> None:
        if self._handshake.structured and error:
            chunk = struct.pack(">IH", error, 0)
            self._socket.sendall(_chunk(nbd.CHUNK_ERROR, cookie, len(chunk)) + chunk)
        else:
            self._socket.sendall(nbd.SIMPLE_REPLY.pack(nbd.SIMPLE_REPLY_MAGIC, error, cookie))

    def _read(self, cookie: int, offset: int, length: int) -> None:
        if len(self._buffer) < length:
            self._buffer = memoryview(bytearray(length))
        data = self._buffer[:length]
        try:
            self._source.read_into(data, offset)
        except (OSError, FarshoreError):
            _LOG.exception("bytes %d..%d cannot be read", offset, offset + length)
            self._answer(cookie, nbd.EIO)
            return
        if self._handshake.structured:
            head = _chunk(nbd.CHUNK_OFFSET_DATA, cookie, 8 + length) + struct.pack(">Q", offset)
        else:
            head = nbd.SIMPLE_REPLY.pack(nbd.SIMPLE_REPLY_MAGIC, 0, cookie)
        sent = self._socket.sendmsg([head, data])
        if sent < len(head):
            self._socket.sendall(head[sent:])
            sent = len(head)
        self._socket.sendall(data[sent - len(head) :])

    def _status(self, cookie: int, offset: int, length: int) -> None:
        runs = list(self._source.allocation(offset, length))[:_STATUS_RUNS_MAX]
        (number,) = self._handshake.contexts.values()
        body = struct.pack(">I", number) + b"".join(struct.pack(">II", *run) for run in runs)
        self._socket.sendall(_chunk(nbd.CHUNK_BLOCK_STATUS, cookie, len(body)) + body)

    def _take(self, length: int) -> bytes:
        while len(self._pending) < length:
            data = self._socket.recv(65536)
            if not data:
                raise EOFError
            self._pending += data
        taken = bytes(self._pending[:length])
        del self._pending[:length]
        return taken

    def _drop(self, length: int) -> None:
        while length:
            length -= len(self._take(min(length, 65536)))


def _chunk(kind: int, cookie: int, length: int) -> bytes:
    return nbd.STRUCTURED_REPLY.pack(nbd.STRUCTURED_REPLY_MAGIC, nbd.CHUNK_FLAG_DONE, kind, cookie, length)
