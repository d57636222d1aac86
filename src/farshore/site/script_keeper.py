"""The process that runs one script and answers for it: nothing of the script is left when this one has ended.

    python -m farshore.site.script_keeper

The order comes as one line of JSON on stdin, which stays open: its end means that the manager is gone or wants the
script to end, and then the script is killed at once. The result goes to stdout, as JSON. Whatever the script starts,
in whatever session, is a descendant of this process and comes back to it (PR_SET_CHILD_SUBREAPER), to be killed here.
Should this process be killed itself, the script goes with it (PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import selectors
import signal
import subprocess
import sys
import time
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
END_SECONDS = 5.0
"""How long is waited for what was killed: in a system call that hangs it may outlive even that."""
POLL_SECONDS = 0.02
PIECE_BYTES = 1 << 16
NOT_STARTED_STATUS = 127

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass
class Tail:
    """The end of an output."""

    bytes_max: int
    kept: bytearray = field(default_factory=bytearray)
    is_cut: bool = False

    def add(self, data: bytes) -> None:
        """More was printed."""
        self.kept += data
        if len(self.kept) > self.bytes_max:
            del self.kept[: len(self.kept) - self.bytes_max]
            self.is_cut = True

    def text(self) -> str:
        """Lines of text; what would steer a terminal, or is no text, is a replacement character."""
        text = self.kept.decode(errors="replace").replace("\r\n", "\n")
        return "".join(c if c in "\n\t" or unicodedata.category(c)[0] != "C" else "\ufffd" for c in text)


@dataclass
class Ended:
    """How it came to its end."""

    status: int | None = None
    """As waitpid tells it."""
    timed_out: bool = False
    stopped: bool = False


def run(order: dict[str, Any]) -> dict[str, Any]:
    """Run the script that the order describes; what came of it."""
    begun = time.monotonic()
    tail = Tail(order["output_bytes"])
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    try:
        child = _start(order, writing)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        os.close(reading)
        return {"not_started": getattr(error, "strerror", None) or str(error)}
    finally:
        os.close(writing)
    ended = _watch(child.pid, reading, tail, begun + order["seconds"], order["grace_seconds"])
    ended.status = _end_all(child.pid)
    child.returncode = 0  # it was waited for here
    for data in _available(reading):
        tail.add(data)
    os.close(reading)
    return {
        "status": None if ended.status is None else os.waitstatus_to_exitcode(ended.status),
        "timed_out": ended.timed_out,
        "stopped": ended.stopped,
        "left": ended.status is None or bool(_children()),
        "seconds": time.monotonic() - begun,
        "output": tail.text(),
        "is_cut": tail.is_cut,
    }


def _start(order: dict[str, Any], output: int) -> subprocess.Popen[bytes]:
    """Start it. It is named relative to its folder: its own user cannot get there by the whole path."""
    keeper = os.getpid()

    def go_with_the_keeper() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != keeper:
            os._exit(NOT_STARTED_STATUS)

    identity: dict[str, Any] = {}
    if order["identity"] is not None:
        user, group = order["identity"]
        identity = {"user": user, "group": group, "extra_groups": []}
    return subprocess.Popen(
        [f"./{order['name']}", *order["arguments"]],
        cwd=order["folder"],
        env=order["environment"],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        preexec_fn=go_with_the_keeper,  # noqa: PLW1509 - this process has one thread
        **identity,
    )


def _watch(pid: int, reading: int, tail: Tail, deadline: float, grace_seconds: float) -> Ended:
    """Read what it prints until it has ended, its time is over and it was asked to end, or stdin ends."""
    ended, handle = Ended(), os.pidfd_open(pid)
    with selectors.DefaultSelector() as selector:
        for descriptor in (reading, handle, sys.stdin.fileno()):
            selector.register(descriptor, selectors.EVENT_READ)
        while True:
            ready = {key.fd for key, _ in selector.select(max(0.0, deadline - time.monotonic()))}
            if reading in ready and not _read_on(reading, tail):
                selector.unregister(reading)
            if handle in ready:
                break
            if sys.stdin.fileno() in ready and not os.read(sys.stdin.fileno(), PIECE_BYTES):
                ended.stopped = True
                break
            if time.monotonic() >= deadline:
                if ended.timed_out:
                    break
                ended.timed_out = True
                _signal_group(pid, signal.SIGTERM)
                deadline += grace_seconds
    os.close(handle)
    return ended


def _read_on(reading: int, tail: Tail) -> bool:
    """Read a piece; False at the output's end."""
    data = os.read(reading, PIECE_BYTES)
    tail.add(data)
    return bool(data)


def _available(reading: int) -> Iterator[bytes]:
    """What can be read at once."""
    with contextlib.suppress(BlockingIOError):
        while data := os.read(reading, PIECE_BYTES):
            yield data


def _end_all(pid: int) -> int | None:
    """Kill the script's group and all its descendants, until none is left; its own status, None: it does not end."""
    status = None
    deadline = time.monotonic() + END_SECONDS
    while True:
        if status is None:
            _signal_group(pid, signal.SIGKILL)  # until it was waited for, that number is nobody else's
        for child in _children():
            with contextlib.suppress(ProcessLookupError, PermissionError):  # another's, by a set-uid program
                os.kill(child, signal.SIGKILL)
        try:
            while (waited := os.waitpid(-1, os.WNOHANG))[0]:
                status = waited[1] if waited[0] == pid else status
        except ChildProcessError:
            return status
        if time.monotonic() > deadline:
            return status
        time.sleep(POLL_SECONDS)


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _children() -> list[int]:
    """Live children of this process: the script, and those whose parents have ended."""
    own, found = os.getpid(), []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[1]) == own and fields[0] not in b"ZX":
                found.append(int(name))
    return found


def main() -> None:
    """Read the order, run it, tell what came of it."""
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    line = bytearray()
    while not line.endswith(b"\n"):
        data = os.read(sys.stdin.fileno(), PIECE_BYTES)
        if not data:
            return  # the manager is gone before it had said anything
        line += data
    json.dump(run(json.loads(line)), sys.stdout)


if __name__ == "__main__":
    main()
