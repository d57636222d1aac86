"""A guest's write with our tap in its way, beside the same mirror to nbdkit's null plugin: at least 0.7, 15 rounds.

The guest's disk is an export of a qemu-storage-daemon on tmpfs or disk alike; the mirror is attached anew for each
run.
"""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

from benchmarks.measuring import GUEST_JOBS, Job, fio, paired, running, short_folder, tell
from benchmarks.tap_direct import acknowledged
from tests.service.tap_bench import TapBench

SIZE_BYTES = 1 << 30
ROUNDS = 15


class Monitor:
    """A QMP connection, as small as it gets."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(20)
        self._socket.connect(os.fspath(path))
        self._lines = self._socket.makefile("rb")
        self._lines.readline()
        self.call("qmp_capabilities")

    def call(self, command: str, **arguments: Any) -> Any:
        """The result; raises on an error."""
        self._socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        while True:
            said = json.loads(self._lines.readline())
            if "error" in said:
                raise RuntimeError(f"{command}: {said['error']['desc']}")
            if "return" in said:
                return said["return"]

    def wait(self, event: str) -> None:
        """Until that event."""
        while json.loads(self._lines.readline()).get("event") != event:
            continue

    def close(self) -> None:
        """Give it up."""
        self._lines.close()
        self._socket.close()


def mirrored(monitor: Monitor, disk: str, target_socket: str, export: str, job: Job) -> float:
    """fio on the disk while the mirror writes to the target."""
    server = {"type": "unix", "path": target_socket}
    monitor.call("blockdev-add", **{"driver": "nbd", "node-name": "t", "server": server, "export": export})
    monitor.call(
        "blockdev-mirror",
        **{"job-id": "j", "device": "d0", "target": "t", "sync": "none", "copy-mode": "write-blocking"},
    )
    try:
        return fio(disk, job)
    finally:
        monitor.call("block-job-cancel", device="j")
        monitor.wait("BLOCK_JOB_COMPLETED")
        monitor.call("blockdev-del", **{"node-name": "t"})


def run() -> bool:
    """All jobs; whether every bar was met."""
    met = True
    with short_folder() as folder:
        image, monitor_path, disk_path, null = (folder / name for name in ("d.img", "q", "d", "n"))
        with open(image, "wb") as file:
            file.truncate(SIZE_BYTES)
        daemon = [
            "qemu-storage-daemon", "--blockdev", f"driver=raw,node-name=d0,file.driver=file,file.filename={image}",
            "--chardev", f"socket,id=m,path={monitor_path},server=on,wait=off", "--monitor", "chardev=m",
            "--nbd-server", f"addr.type=unix,addr.path={disk_path}",
            "--export", "type=nbd,id=e,node-name=d0,name=d,writable=on",
        ]  # fmt: skip
        disk = f"nbd+unix:///d?socket={disk_path}"
        bench = TapBench([SIZE_BYTES])
        try:
            with (
                running(daemon, disk_path),
                acknowledged(bench),
                running(["nbdkit", "-f", "-U", str(null), "null", "1G"], null),
            ):
                monitor = Monitor(monitor_path)
                for job in GUEST_JOBS:
                    pairs = paired(
                        ROUNDS,
                        lambda job=job: mirrored(monitor, disk, bench.socket, "v0", job),
                        lambda job=job: mirrored(monitor, disk, str(null), "", job),
                    )
                    met &= tell(f"guest write, tap / nbdkit null, {job.name}", pairs, "writes/s", 0.7)
                monitor.close()
        finally:
            bench.close()
    return met
