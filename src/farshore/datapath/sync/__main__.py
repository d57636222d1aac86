"""The sync reader's process, `python -m farshore.datapath.sync`: its order on stdin, progress lines on stdout.

It ends when stdin closes, which is when the watcher does.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

from farshore.datapath.stream.destination import HashPeer
from farshore.datapath.sync.hash_source import HashSource
from farshore.datapath.sync.reader import Places, Reader, SyncVolume
from farshore.errors import FarshoreError
from farshore.identity.contexts import client_context


def _end_with_the_watcher() -> None:
    while os.read(0, 4096):  # not through sys.stdin, whose lock would be held at the interpreter's end
        continue
    os._exit(3)


def tell(progress: dict[str, Any]) -> None:
    """A line of progress."""
    sys.stdout.write(json.dumps(progress) + "\n")
    sys.stdout.flush()


def main() -> int:
    """Carry the order out."""
    order = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_the_watcher, daemon=True).start()
    volumes = [SyncVolume(**volume) for volume in order["volumes"]]
    try:
        reader = Reader(Places(order["tap"]), tell)
        reader.run(volumes, _hashes(order.get("hashes"), reader))
    except (FarshoreError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _hashes(order: dict[str, Any] | None, reader: Reader) -> HashSource | None:
    """The other site's hashes, where a volume is to be compared."""
    if order is None:
        return None
    peer = HashPeer(**order["peer"])
    return HashSource(
        peer, lambda: client_context(Path(order["identity"]), order["peer_site"]), lambda: reader.say(at_once=True)
    )


if __name__ == "__main__":
    sys.exit(main())
