"""The view carrier: `python -m farshore.datapath.view --journal DIR --checkpoint N --volume V --socket PATH`.

Serves read-only NBD on the socket (export name: the volume's number, and the empty name) until SIGTERM or SIGINT,
whoever started it may be gone. Prints one line, `ready`, when it can be connected to; errors go to stderr as one JSON
line.
With `--when-told` it serves nothing before a byte has come on standard input, and ends if that is closed without one:
who starts a view that is to outlive it writes down that it did so first, and may be killed before.
The checkpoint should be pinned before; it is looked up once, at the start.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import socket
import sys
import threading
from pathlib import Path

from farshore.datapath.view.volume import open_view
from farshore.errors import FarshoreError
from farshore.nbd.server import ReadOnlyServer


def listen(path: Path) -> socket.socket:
    """A listening socket that appears under its name only when it listens."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)
    listener.bind(os.fspath(temporary))
    listener.listen(64)
    temporary.rename(path)
    return listener


def main() -> int:
    """Serve until told to stop; 0 then, or when it never was; 1 when the view cannot be opened."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--volume", type=int, required=True)
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--when-told", action="store_true")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    stop = {signal.SIGTERM, signal.SIGINT}
    if arguments.when_told and not sys.stdin.buffer.read(1):
        return 0
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)
    try:
        view = open_view(arguments.journal, arguments.checkpoint, arguments.volume)
    except FarshoreError as error:
        sys.stderr.write(json.dumps(error.to_json()) + "\n")
        return 1
    server = ReadOnlyServer(listen(arguments.socket), str(arguments.volume), view)
    serving = threading.Thread(target=server.serve)
    serving.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    signal.sigwait(stop)
    arguments.socket.unlink(missing_ok=True)
    server.close()
    serving.join()
    return 0


if __name__ == "__main__":
    sys.exit(main())
