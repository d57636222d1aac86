"""Answering a sync reader of the other site that compares its disks with what the journal has (hash_messages).

Each connection has a thread of its own and reads by views of its own, at the last durable ordinal when it began; the
stream's receiver is not waited for, nor does it wait. A newer connection ends the one before it. Nothing is pinned, so
that nobody waits for a reader: instead it is looked *after* each reading whether the view may have changed under it
(promotion beyond it, a volume taken out, another epoch, a retired journal; each of them is written down before the
first byte changes). Then the connection ends unanswered, and the reader asks again in another one.
Bounded: one question in hand, 1 MiB of data, and a volume's extent map (32 bytes a run) while the connection is.
"""

from __future__ import annotations

import json
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any, Self

from farshore.datapath.journal import Journal
from farshore.datapath.stream.hash_messages import (
    ANSWER_HEAD,
    BEHIND,
    BLOCK_BYTES_MAX,
    DIGESTS,
    FAILED,
    OTHER_JOURNAL,
    QUESTION,
    Question,
    ZeroDigests,
    digest,
)
from farshore.datapath.stream.messages import LINE_BYTES_MAX, SILENCE_SECONDS, Refusal, pack_line, parse_line
from farshore.datapath.view.volume import VolumeView
from farshore.errors import BadInput, Conflict, FarshoreError, Fault, Unavailable
from farshore.nbd.constants import STATE_ZERO

_LOG = logging.getLogger(__name__)
IDLE_SECONDS_MAX = 60.0
"""A reader that has nothing to ask for so long connects again when it has."""
OPEN_ATTEMPTS = 20
READ_BYTES = BLOCK_BYTES_MAX
"""Smaller blocks are read so much at once."""


class HashService:
    """All connections that ask for hashes. `demand_peer` raises NotPermitted for a certificate of the wrong site."""

    def __init__(
        self,
        journal: Journal,
        vpg_id: str,
        context: ssl.SSLContext,
        demand_peer: Callable[[dict[str, object]], None],
    ) -> None:
        self._journal = journal
        self._vpg_id = vpg_id
        self._context = context
        self._demand_peer = demand_peer
        self._changing = threading.Lock()
        self._newest: socket.socket | None = None
        self._stopped = False

    def connection(self, plain: socket.socket) -> None:
        """Serve one connection, in a thread of its own."""
        plain.settimeout(SILENCE_SECONDS)
        link: ssl.SSLSocket | None = None
        try:
            link = self._context.wrap_socket(plain, server_side=True)
            hello = self._greeted(link)
            self._take_the_place(link)
            with Answers(self._journal, int(hello["seed"])) as answers:
                link.sendall(pack_line({"ok": True, "ordinal": answers.ordinal}))
                link.settimeout(IDLE_SECONDS_MAX)
                _serve(link, answers)
        except (OSError, EOFError, FarshoreError, ValueError, KeyError, TypeError) as error:
            _LOG.info("a connection for hashes ended: %s", str(error) or type(error).__name__)
        finally:
            self._leave(link)
            _end(link or plain)
            (link or plain).close()

    def _greeted(self, link: ssl.SSLSocket) -> dict[str, Any]:
        line = bytearray()
        while not line.endswith(b"\n"):
            if len(line) > LINE_BYTES_MAX:
                raise BadInput("The greeting is no line.")
            line += _receive(link, 1)
        self._demand_peer(dict(link.getpeercert() or {}))
        hello = parse_line(bytes(line))
        refused = self._refused(hello)
        if refused is not None:
            code, error = refused
            link.sendall(pack_line({"ok": False, "code": code, **error.to_json()}))
            raise error
        return hello

    def _refused(self, hello: dict[str, Any]) -> tuple[str, FarshoreError] | None:
        """Why this reader is not answered. That it is: what it has read and what is here can be compared."""
        journal = self._journal
        with journal.state_lock:
            epoch, ledger = journal.epoch.epoch, journal.ledger
            if str(hello["vpg"]) != self._vpg_id:
                return Refusal.UNKNOWN_VPG.code, BadInput("The journal is that of another VPG.")
            if journal.retired:
                return Refusal.RETIRED.code, Conflict("This journal is over: its VPG was recovered here for good.")
            if int(hello["epoch"]) < epoch:
                return Refusal.OLD_EPOCH.code, Conflict(f"Epoch {hello['epoch']} is over: the journal is at {epoch}.")
            if str(hello["journal_id"]) != journal.epoch.journal_id:
                return OTHER_JOURNAL, Conflict("The journal is another one than the stream goes to.")
            if journal.damages:
                return Refusal.DAMAGED.code, Conflict("The journal is damaged.", "Verify it at its site.")
            if ledger.session != int(hello["session"]) or ledger.sequence < int(hello["sequence"]):
                return BEHIND, Unavailable("The journal does not have all that was sent before.", "It is asked again.")
        return None

    def _take_the_place(self, link: socket.socket) -> None:
        with self._changing:
            if self._newest is not None:
                _end(self._newest)
            self._newest = link
            if self._stopped:
                raise Unavailable("The journal's carrier ends.")

    def _leave(self, link: socket.socket | None) -> None:
        with self._changing:
            if self._newest is link:
                self._newest = None

    def stop(self) -> None:
        """End the connection in hand, and take no other one."""
        with self._changing:
            self._stopped = True
            if self._newest is not None:
                _end(self._newest)


class Answers:
    """What one connection is answered from: views at one ordinal, opened when a volume is first asked for."""

    def __init__(self, journal: Journal, seed: int) -> None:
        self._journal = journal
        self._seed = seed
        self._zeros = ZeroDigests(seed)
        self._views: dict[int, VolumeView] = {}
        self._buffer = memoryview(bytearray(READ_BYTES))
        with journal.state_lock:
            self.ordinal = journal.last_ordinal
            self._epoch = journal.epoch.epoch

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the views."""
        for view in self._views.values():
            view.close()

    def to(self, question: Question) -> bytes:
        """The digests. Raises Unavailable when the view may have changed meanwhile, and what a view raises."""
        view = self._view(question.volume)
        if question.offset + question.length > view.size_bytes:
            raise BadInput(f"Volume {question.volume} has {view.size_bytes} bytes.", "Is the disk's size another one?")
        end = question.offset + question.length
        stride = READ_BYTES // question.block_bytes * question.block_bytes
        digests: list[bytes] = []
        for at in range(question.offset, end, stride):
            digests += self._digests(view, at, min(stride, end - at), question.block_bytes)
        self._demand_unchanged(question.volume)
        return b"".join(digests)

    def _digests(self, view: VolumeView, offset: int, length: int, block_bytes: int) -> Iterator[bytes]:
        """Of the blocks of a range that is read at once."""
        sizes = [min(block_bytes, length - at) for at in range(0, length, block_bytes)]
        run, flags = view.allocation(offset, length)[0]
        if flags & STATE_ZERO and run >= length:
            yield from map(self._zeros.of, sizes)
            return
        view.read_into(self._buffer[:length], offset)
        at = 0
        for size in sizes:
            yield digest(self._buffer[at : at + size], self._seed)
            at += size

    def _view(self, volume: int) -> VolumeView:
        if volume not in self._views:
            for _ in range(OPEN_ATTEMPTS):
                try:
                    self._views[volume] = VolumeView(self._journal, volume, self.ordinal)
                    break
                except FileNotFoundError:  # promoted between listing and opening: what it held is in the image now
                    continue
            else:
                raise Unavailable("Files of the journal went away faster than they could be opened.")
        return self._views[volume]

    def _demand_unchanged(self, volume: int) -> None:
        journal = self._journal
        with journal.state_lock:
            same = not journal.retired and journal.epoch.epoch == self._epoch
            if not (same and journal.floor.openable_from <= self.ordinal and journal.taken.shows(volume, self.ordinal)):
                raise Unavailable("The replica is written beyond what was being read.", "It is read anew.")


def _serve(link: ssl.SSLSocket, answers: Answers) -> None:
    while True:
        question = Question.parse(_receive(link, QUESTION.size))
        try:
            digests = answers.to(question)
        except (OSError, FarshoreError) as error:
            said = error if isinstance(error, FarshoreError) else Fault(f"The journal's store failed: {error}.")
            reason = json.dumps(said.to_json()).encode()
            link.sendall(ANSWER_HEAD.pack(FAILED, len(reason)) + reason)
            raise
        link.sendall(ANSWER_HEAD.pack(DIGESTS, len(digests)) + digests)


def _receive(link: ssl.SSLSocket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = link.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def _end(link: socket.socket) -> None:
    """Make a thread that waits in this connection go on, without touching its TLS, which is that thread's."""
    try:
        socket.socket.shutdown(link, socket.SHUT_RDWR)
    except OSError as error:
        _LOG.debug("a connection for hashes had ended already: %s", error)
