"""`python -m farshore.datapath.journal_carrier --dir JDIR --spec FILE --control-fd N --connections-fd M`.

Three kinds of threads: this one answers calls, one takes connections over from the watcher, one serves each connection.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import signal
import socket
import sys
import threading
from pathlib import Path

from farshore.datapath.journal import JournalInUse
from farshore.datapath.journal_carrier.calls import Calls
from farshore.datapath.journal_carrier.service import Service, Spec
from farshore.errors import FarshoreError, Unavailable
from farshore.identity.contexts import server_context
from farshore.identity.trust import peer_site_id

_LOG = logging.getLogger("farshore.journal")
HASHES = b"h"
"""The byte that comes with a connection which asks for hashes; any other one: a stream."""


class Opening:
    """Opens the journal (which may take long) while calls are answered already."""

    def __init__(self, folder: Path, spec_path: Path) -> None:
        self._folder = folder
        self._spec_path = spec_path
        self.service: Service | None = None
        self.error: FarshoreError | OSError | None = None
        self.done = threading.Event()

    def run(self) -> None:
        """Open; on failure the next call tells why, and the process ends."""
        try:
            data = json.loads(self._spec_path.read_bytes())
            context = server_context(Path(data["identity_dir"]), require_client=True)
            self.service = Service(self._folder, Spec.of(data), context, peer_site_id)
            for damage in self.service.journal.damages:
                _LOG.error("damaged: %s", damage)
        except (FarshoreError, OSError) as error:
            _LOG.exception("the journal cannot be opened")
            self.error = error
        finally:
            self.done.set()

    def answer(self, line: bytes) -> bytes:
        """While it is not open: that it opens, to a call for the status; to others that it is not up yet."""
        request = json.loads(line)
        if request.get("call") == "status" and self.error is None:
            said: dict[str, object] = {"result": {"state": "opening", "reason": "", "connected": False}}
        else:
            # The carrier of a watcher that was killed has still something in hand: the next one gets the journal.
            passes = isinstance(self.error, JournalInUse)
            error = self.error if isinstance(self.error, FarshoreError) and not passes else None
            fact = "The journal is being opened." if self.error is None else f"It cannot be opened: {self.error}."
            said = {"error": (error or Unavailable(fact, "Try again in a moment.")).to_json()}
        return json.dumps({"id": request.get("id"), **said}).encode() + b"\n"


def take_connections(source: socket.socket, opening: Opening) -> None:
    """Serve each connection that the watcher hands over, until it is gone."""
    opening.done.wait()
    service = opening.service
    while service is not None:
        try:
            data, fds, _, _ = socket.recv_fds(source, 1, 4)
        except OSError:
            return
        if not data and not fds:
            return
        for fd in fds:
            connection = socket.socket(fileno=fd)
            connection.setblocking(True)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            serve = service.hashes.connection if data == HASHES else service.connection
            threading.Thread(target=serve, args=(connection,), daemon=True).start()


def main() -> int:
    """Keep the journal until the watcher is gone."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--spec", type=Path, required=True)
    parser.add_argument("--control-fd", type=int, required=True)
    parser.add_argument("--connections-fd", type=int, required=True)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the site's; this process ends with the watcher
    control = socket.socket(fileno=arguments.control_fd)
    connections = socket.socket(fileno=arguments.connections_fd)
    opening = Opening(arguments.dir, arguments.spec)
    threading.Thread(target=opening.run, name="opening").start()
    threading.Thread(target=take_connections, args=(connections, opening), daemon=True).start()
    calls: Calls | None = None
    # A watcher that is killed before it has read an answer ends this with an error: let the journal go then, too.
    with contextlib.suppress(ConnectionError), control, control.makefile("rb") as lines:
        for line in lines:
            if calls is None and opening.service is not None:
                calls = Calls(opening.service)
            control.sendall(calls.answer(line) if calls is not None else opening.answer(line))
            if opening.error is not None:
                return 1
    opening.done.wait()
    if opening.service is not None:
        opening.service.stop()
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # connections that were never greeted have threads; nobody waits for them
