"""The witness: a process that is no part of the product and writes down what the guests say they know to be written.

    python -m farshore.lab.witness --out FILE [--while-pid PID] vm-1=SERIAL.log vm-2=SERIAL.log ...

It tails the guests' serial logs and appends one line to FILE for each fact that a guest states:

    <seen_ns> <absent_ns> <name> <offset> <the guest's line>

`seen_ns`: the host's time (unix, nanoseconds) after the line was read. `absent_ns`: the time before the last look at
the log that did not hold it yet. The truth is between the two: what was *seen* before an instant was acknowledged
before it, and what was still *absent* after an instant was not. `offset` is the line's end in its log: a witness that
is started again with the same FILE goes on where it was. It ends on SIGTERM (after a last look), or when process PID is
gone.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path

from farshore.lab.serial import SerialTail, parse_line

LOOK_EVERY_SECONDS = 0.005


class _Watched:
    """One serial log and when it was last looked at."""

    def __init__(self, name: str, path: Path, offset: int) -> None:
        self.name = name
        self.tail = SerialTail(path, offset)
        self.looked_ns = 0
        self._size = -1

    def look(self) -> list[str]:
        """The lines for the witness's file that this look gives."""
        before_ns = time.time_ns()
        try:
            size = self.tail.path.stat().st_size
        except FileNotFoundError:
            size = 0
        lines = []
        if size != self._size:
            read = list(self.tail.read())
            seen_ns = time.time_ns()
            for offset, line in read:
                if parse_line(line) is not None:
                    lines.append(f"{seen_ns} {self.looked_ns} {self.name} {offset} {line.strip()}\n")
            self._size = size
        self.looked_ns = before_ns
        return lines


def _offsets_in(out: Path) -> dict[str, int]:
    """Where an earlier witness with the same file had come to, by name; its torn last line is cut off."""
    offsets: dict[str, int] = {}
    if not out.exists():
        return offsets
    data = out.read_bytes()
    whole = data.rfind(b"\n") + 1
    os.truncate(out, whole)
    for line in data[:whole].decode("utf-8", errors="replace").splitlines():
        _, _, name, offset, *_ = line.split(" ", 4)
        offsets[name] = int(offset)
    return offsets


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def watch(out: Path, logs: dict[str, Path], while_pid: int | None) -> None:
    """Watch until SIGTERM, or until process `while_pid` is gone."""
    ending: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: ending.append(number))
    # Ctrl-C and a closed terminal are for the one who started us; we end when told to.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    offsets = _offsets_in(out)
    watched = [_Watched(name, path, offsets.get(name, 0)) for name, path in logs.items()]
    handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        while True:
            last = bool(ending) or (while_pid is not None and not _is_there(while_pid))
            text = "".join(line for log in watched for line in log.look())
            if text:
                os.write(handle, text.encode())
            if last:
                return
            time.sleep(LOOK_EVERY_SECONDS)
    finally:
        os.close(handle)


def main(arguments: list[str] | None = None) -> int:
    """The command line of the witness."""
    parser = argparse.ArgumentParser(prog="farshore.lab.witness", description="Write down what the guests acknowledge.")
    parser.add_argument("--out", required=True, type=Path, help="the file to append to")
    parser.add_argument("--while-pid", type=int, help="end when this process is gone")
    parser.add_argument("logs", nargs="+", metavar="NAME=SERIAL.LOG")
    told = parser.parse_args(arguments)
    logs = {}
    for pair in told.logs:
        name, equals, path = pair.partition("=")
        if not equals or not name or " " in name:
            parser.error(f"{pair!r} is not NAME=SERIAL.LOG")
        logs[name] = Path(path)
    watch(told.out, logs, told.while_pid)
    return 0


if __name__ == "__main__":
    sys.exit(main())
