"""The sender's process, `python -m farshore.datapath.stream.sender_process`: ends when the watcher does.

Control (JSON lines on a socketpair): the watcher asks `status` and gets the link's state; changes of the link are
told as events.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import socket
import sys
import threading
from pathlib import Path
from typing import Any

from farshore.datapath.segment.window import Window
from farshore.datapath.stream.destination import Destination
from farshore.datapath.stream.sender import Sender
from farshore.identity.contexts import client_context


def main() -> int:
    """Send until the watcher is gone."""
    parser = argparse.ArgumentParser(prog="farshore.datapath.stream.sender_process", description=__doc__)
    parser.add_argument("--window-fd", type=int, required=True)
    parser.add_argument("--wake-fd", type=int, required=True)
    parser.add_argument("--control-fd", type=int, required=True)
    parser.add_argument("--identity", type=Path, required=True)
    parser.add_argument("--peer-site", required=True)
    parser.add_argument("--destination", required=True, help="JSON of a Destination")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    control = socket.socket(fileno=arguments.control_fd)
    writing = threading.Lock()

    def tell(message: dict[str, Any]) -> None:
        with writing:
            control.sendall(json.dumps(message).encode() + b"\n")

    sender = Sender(
        window=Window(arguments.window_fd),
        wake_fd=arguments.wake_fd,
        destination=Destination(**json.loads(arguments.destination)),
        context=client_context(arguments.identity, arguments.peer_site),
        tell=tell,
    )

    def serve_control() -> None:
        with contextlib.suppress(ConnectionError):  # a watcher that was killed before it had read an answer
            for line in control.makefile("rb"):
                request = json.loads(line)
                tell({"id": request.get("id"), "result": sender.status()})
        os._exit(0)

    threading.Thread(target=serve_control, daemon=True).start()
    sender.run()
    return 1


if __name__ == "__main__":
    sys.exit(main())
