"""The receiver's end of one TLS connection, used by two threads: one reads, the other sends acknowledgements.

OpenSSL's objects are not safe for two threads, so every call into it is made under one lock and never waits; waiting
is done in select, outside the lock. While this side has nothing to say it says PONG once a second, so that a slow
store is not taken for a broken link.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time

from farshore.datapath.stream.messages import (
    FRAME,
    LINE_BYTES_MAX,
    PING_SECONDS,
    PONG,
    SILENCE_SECONDS,
)

UNSENT_BYTES_MAX = 65536


class LinkBroken(Exception):
    """The connection ended, was silent for too long, or was closed by this side."""


class ReceiverLink:
    """A connection whose handshake is to be done by `greet`."""

    def __init__(self, plain: socket.socket, context: ssl.SSLContext) -> None:
        """`plain` becomes this link's."""
        plain.settimeout(SILENCE_SECONDS)
        self._lock = threading.Lock()
        self._unsent = bytearray()
        self._closed = False
        self._spoke_at = time.monotonic()
        self._socket = context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)

    def greet(self) -> tuple[dict[str, object], bytes]:
        """Handshake, then the other side's first line: its certificate and the line. Raises OSError, LinkBroken."""
        self._socket.do_handshake()
        self._socket.setblocking(False)
        line = bytearray()
        byte = memoryview(bytearray(1))
        while not line.endswith(b"\n"):
            if len(line) > LINE_BYTES_MAX:
                raise LinkBroken("the greeting is no line")
            self.read_into(byte)
            line += byte
        return dict(self._socket.getpeercert() or {}), bytes(line)

    def read_into(self, buffer: memoryview) -> None:
        """Fill the buffer. Raises LinkBroken at the end, on an error, and after SILENCE_SECONDS without a byte."""
        heard_at = time.monotonic()
        while buffer:
            count = self._receive(buffer)
            if count:
                buffer = buffer[count:]
                heard_at = time.monotonic()
                continue
            if time.monotonic() - heard_at > SILENCE_SECONDS:
                raise LinkBroken(f"the other site said nothing for {SILENCE_SECONDS:.0f} s")
            self.keep_alive()
            self._wait()

    def _receive(self, buffer: memoryview) -> int:
        """Bytes received, 0 when there are none yet."""
        with self._lock:
            if self._closed:
                raise LinkBroken("the connection was closed")
            try:
                count = self._socket.recv_into(buffer)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return 0
            except OSError as error:
                raise LinkBroken(str(error)) from error
        if not count:
            raise LinkBroken("the other site closed the connection")
        return count

    def _wait(self) -> None:
        try:
            writing = [self._socket] if self._unsent else []
            select.select([self._socket], writing, [], PING_SECONDS / 2)
        except (OSError, ValueError) as error:
            raise LinkBroken("the connection was closed") from error

    def keep_alive(self) -> None:
        """Say PONG when nothing was said for a while."""
        if time.monotonic() - self._spoke_at > PING_SECONDS or self._unsent:
            self.send(PONG if not self._unsent else b"")

    def send(self, kind: bytes, code: int = 0, sequence: int = 0) -> None:
        """Send a frame (none, only what waits, when `kind` is empty). Raises LinkBroken."""
        self.send_bytes(FRAME.pack(kind, code, sequence) if kind else b"")

    def send_bytes(self, data: bytes) -> None:
        """Send without waiting; what does not fit now goes with the next call."""
        with self._lock:
            if self._closed:
                raise LinkBroken("the connection was closed")
            self._unsent += data
            try:
                while self._unsent:
                    del self._unsent[: self._socket.send(self._unsent)]
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                if len(self._unsent) > UNSENT_BYTES_MAX:
                    raise LinkBroken("the other site does not read its answers") from None
            except OSError as error:
                raise LinkBroken(str(error)) from error
            self._spoke_at = time.monotonic()

    def close(self) -> None:
        """Close; a thread that reads gets LinkBroken. May be called twice."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._socket.close()
