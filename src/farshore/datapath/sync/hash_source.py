"""The other site's hashes: questions sent ahead, answers in order, and a connection that is made again when it breaks.

An answer from a later connection is as good as one from the first (see `comparing`), so what was not answered is asked
again in the next one. It never gives up by itself, except when the journal is another one than the stream's: while
there is no connection, `reason` says why.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from farshore.datapath.stream.destination import HashPeer
from farshore.datapath.stream.hash_messages import (
    ANSWER_HEAD,
    DIGEST_BYTES,
    DIGESTS,
    OTHER_JOURNAL,
    Question,
)
from farshore.datapath.stream.messages import (
    LINE_BYTES_MAX,
    SILENCE_SECONDS,
    hashes_preamble,
    pack_line,
    parse_line,
)
from farshore.errors import FarshoreError, Fault, Unavailable

ANSWER_SECONDS_MAX = 30.0
PAUSE_SECONDS_FIRST = 0.1
PAUSE_SECONDS_MAX = 2.0
ERROR_BYTES_MAX = 65536


class AnotherJournal(Fault):
    """The other site's journal is not the one that the stream was told of: the round must begin again."""


class HashSource:
    """Used by one thread. `waits` is called in each pause between two connections."""

    def __init__(
        self,
        peer: HashPeer,
        context: Callable[[], ssl.SSLContext],
        waits: Callable[[], None],
    ) -> None:
        """`context` makes one that trusts the other site only; it may raise while the sites are not paired."""
        self.peer = peer
        self.reason = ""
        self.received_bytes = 0
        self.seed = int.from_bytes(os.urandom(7), "little")
        """New for each sync, so that two blocks that happen to look the same do not do so for ever."""
        self._context = context
        self._waits = waits
        self._open: deque[Question] = deque()
        self._link: ssl.SSLSocket | None = None
        self._pause = PAUSE_SECONDS_FIRST

    def close(self) -> None:
        """End the connection."""
        if self._link is not None:
            self._link.close()
            self._link = None

    def ask(self, question: Question) -> None:
        """Send a question; the caller bounds how many are open."""
        self._open.append(question)
        if self._link is not None:
            with contextlib.suppress(OSError):  # the answer will not come either, and all is asked again
                self._link.sendall(question.pack())

    def answer(self) -> list[bytes]:
        """The digests that answer the oldest open question. Raises AnotherJournal."""
        while True:
            try:
                if self._link is None:
                    self._connect()
                data = self._take(self._open[0])
            except AnotherJournal:
                raise
            except (OSError, EOFError, FarshoreError) as error:
                self._broken(error)
                continue
            self._open.popleft()
            self.received_bytes += len(data)
            self._pause = PAUSE_SECONDS_FIRST
            self.reason = ""
            return [data[at : at + DIGEST_BYTES] for at in range(0, len(data), DIGEST_BYTES)]

    def _broken(self, error: Exception) -> None:
        self.close()
        why = error.fact if isinstance(error, FarshoreError) else str(error) or "the connection was closed"
        self.reason = f"waiting for the other site's hashes: {why}"
        self._waits()
        time.sleep(self._pause)
        self._pause = min(2 * self._pause, PAUSE_SECONDS_MAX)

    def _connect(self) -> None:
        peer = self.peer
        plain = socket.create_connection((peer.host, peer.port), SILENCE_SECONDS)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.sendall(hashes_preamble(peer.vpg_id))
            link = self._greeted(plain)
        except (EOFError, ConnectionError, ssl.SSLError) as error:
            plain.close()
            raise Unavailable(
                f"it closed the connection ({str(error) or 'without a word'}); is its version older than this site's?"
            ) from error
        except BaseException:
            plain.close()
            raise
        link.settimeout(ANSWER_SECONDS_MAX)
        link.sendall(b"".join(question.pack() for question in self._open))
        self._link = link

    def _greeted(self, plain: socket.socket) -> ssl.SSLSocket:
        peer = self.peer
        link = self._context().wrap_socket(plain, server_hostname=peer.host)
        try:
            hello: dict[str, Any] = {"vpg": peer.vpg_id, "epoch": peer.epoch, "session": peer.session}
            hello |= {"sequence": peer.sequence, "journal_id": peer.journal_id, "seed": self.seed}
            link.sendall(pack_line(hello))
            line = b""
            while not line.endswith(b"\n"):
                if len(line) > LINE_BYTES_MAX:
                    raise Unavailable("Its greeting is no line.")
                line += _receive(link, 1)
            welcome = parse_line(line)
            if welcome.get("code") == OTHER_JOURNAL:
                raise AnotherJournal(str(welcome.get("fact")), "The sync begins again by itself.")
            if not welcome.get("ok"):
                raise Unavailable(str(welcome.get("fact", "it refused")))
        except BaseException:
            link.close()
            raise
        return link

    def _take(self, question: Question) -> bytes:
        assert self._link is not None
        word, length = ANSWER_HEAD.unpack(_receive(self._link, ANSWER_HEAD.size))
        if word == DIGESTS and length == question.blocks * DIGEST_BYTES:
            return _receive(self._link, length)
        if word == DIGESTS or length > ERROR_BYTES_MAX:
            raise Unavailable("What the other site answered is no answer to what it was asked.")
        raise Unavailable(str(parse_line(_receive(self._link, length)).get("fact", "it failed")))


def _receive(link: ssl.SSLSocket, size: int) -> bytes:
    data = bytearray(size)
    view = memoryview(data)
    while view:
        count = link.recv_into(view)
        if not count:
            raise EOFError
        view = view[count:]
    return bytes(data)
