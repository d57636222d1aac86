"""The copier of a clone, `python -m farshore.datapath.clone --folder DIR`: its order on stdin, progress on stdout.

It says how far it is every half second, so whoever hears nothing knows that it was stopped. It ends when stdin
closes, which is when the watcher does.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

from farshore.datapath.clone.copying import CloneOrder, Copying
from farshore.errors import FarshoreError, Fault

TELL_SECONDS = 0.5
NICENESS = 5
"""Below the guests and the journal, for the processor and, by that, for the disk."""


def _end_with_the_watcher() -> None:
    while os.read(0, 4096):  # not through sys.stdin, whose lock would be held at the interpreter's end
        continue
    os._exit(3)


def _read_bytes() -> int:
    """What this process has read by now, of whatever file: whether it goes on is seen by it, also while it verifies."""
    words = Path("/proc/self/io").read_text(encoding="ascii").split()
    return int(words[words.index("rchar:") + 1])


def tell(copying: Copying, **more: Any) -> None:
    """A line of progress."""
    figures = {"done_bytes": copying.done_bytes, "total_bytes": copying.total_bytes, "read_bytes": _read_bytes()}
    line = figures | more
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main() -> int:
    """Carry the order out; 0 when it is done, 1 when it failed (the last line says why)."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", required=True)  # shown in the list of processes, and whose clone this is
    parser.parse_args()
    os.nice(NICENESS)
    copying = Copying(CloneOrder(**json.loads(sys.stdin.buffer.readline())))
    threading.Thread(target=_end_with_the_watcher, daemon=True).start()
    ended = threading.Event()

    def tell_now_and_then() -> None:
        while not ended.wait(TELL_SECONDS):
            tell(copying)

    telling = threading.Thread(target=tell_now_and_then, daemon=True)
    telling.start()
    said: dict[str, Any]
    try:
        copying.run()
        said = {"sizes": copying.sizes}
    except FarshoreError as error:
        said = {"error": error.to_json()}
    except OSError as error:
        said = {
            "error": Fault(f"Writing {copying.order.what} failed: {error}.", "Look at the store it is on.").to_json()
        }
    ended.set()
    telling.join()
    tell(copying, **said)
    return 1 if "error" in said else 0


if __name__ == "__main__":
    sys.exit(main())
