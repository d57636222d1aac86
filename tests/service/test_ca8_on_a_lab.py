"""CA8 on two whole sites: what a failover or move can meet at the recovery site, met by real processes and stores."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from farshore.nbd.client import NbdClient
from tests.service.test_operations_on_a_lab import lab, until
from tests.service.test_recoveries_on_a_lab import Pair

FAILED = 4
DAEMON = "qemu-storage-daemon"
WORDS = "cannot allocate what was asked for"
WRAPPER = """#!/bin/sh
if [ -e "{folder}/broken" ]; then
  case "$*" in *"/scratch/"*"$(cat "{folder}/broken")"*) echo "{words}" >&2; exit 1;; esac
fi
exec {real} "$@"
"""


class Broken(Pair):
    """A pair of sites at which a VM's process ends at once when one says so, as long as it is a recovered one."""

    def __init__(self, top: Path) -> None:
        """Bring it up with a daemon of our own in front of the real one."""
        self.bin = top / "bin"
        self.bin.mkdir()
        program = self.bin / DAEMON
        program.write_text(WRAPPER.format(folder=self.bin, words=WORDS, real=shutil.which(DAEMON)))
        program.chmod(0o755)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PATH", f"{self.bin}:{os.environ['PATH']}")
            super().__init__(top / "lab")

    @contextlib.contextmanager
    def exits_at_once(self) -> Iterator[str]:
        """The process of the second VM; gives what is to be read of it."""
        (self.bin / "broken").write_text(self.vm_ids()["vm-2"])
        try:
            yield WORDS
        finally:
            (self.bin / "broken").unlink()

    @contextlib.contextmanager
    def full_store(self) -> Iterator[str]:
        """The place of the scratch images has room for none."""
        scratch = self.south.folder / "scratch"
        scratch.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(scratch)], check=True)
        try:
            yield "No space left"
        finally:
            subprocess.run(["umount", str(scratch)], check=True)

    def vm_ids(self) -> dict[str, str]:
        """Of the protected VMs, by name."""
        found = [json.loads(path.read_text()) for path in (self.north.folder / "vms").glob("*.json")]
        return {vm["name"]: vm["id"] for vm in found}

    def newest(self) -> str:
        """The newest checkpoint's time, as it is told."""
        listed = self.south.request("GET", f"{self.path()}/checkpoints").json()
        return str(max(checkpoint["TimeStamp"] for checkpoint in listed))

    def await_checkpoint(self) -> None:
        """Wait for one more."""
        newest = self.newest()
        until(lambda: self.newest() > newest)

    def write(self) -> None:
        """Each protected disk takes a write: the VMs run."""
        described = json.loads(lab(self.folder, "status", "--json"))
        disks = [disk for vm in described["vms"] for disk in vm["disks"]]
        assert len(disks) == 4
        for disk in disks:
            with NbdClient(disk["nbd_socket"], disk["nbd_export"]) as client:
                client.pwrite(0, os.urandom(512))

    def at_south(self) -> dict[str, Any]:
        """VMs of its inventory, what operations left, and processes of VMs on scratch."""
        scratch = f"{self.south.folder}/scratch/".encode()
        running = []
        for line in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if scratch in line.read_bytes():
                    running.append(str(line))
        vms = sorted(path.name for path in (self.south.folder / "vms").glob("*"))
        return {"vms": vms, "left": self.south.left_behind(), "running": running}

    def failed(self, task_id: str) -> str:
        """Why the task failed."""
        until(lambda: self.south.request("GET", f"/v1/tasks/{task_id}").json()["Status"]["State"] != 1)
        task = self.south.request("GET", f"/v1/tasks/{task_id}").json()
        assert task["Status"]["State"] == FAILED, task
        return str(task["CompleteReason"])


@pytest.fixture(scope="module")
def pair() -> Iterator[Broken]:
    """One lab for all."""
    top = Path(tempfile.mkdtemp(prefix="fs", dir="/tmp"))
    try:
        yield Broken(top)
    finally:
        lab(top / "lab", "down")
        shutil.rmtree(top, ignore_errors=True)


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "met",
    [
        "exits_at_once",
        pytest.param("full_store", marks=(pytest.mark.slow, pytest.mark.root(reason="mounts a small tmpfs"))),
    ],
)
def test_ca8_a_failure_leaves_all_as_before(pair: Broken, met: str) -> None:
    """Of a failover and then of a move: VM and cause are told, nothing is left, protection of the same VMs goes on."""
    until(lambda: pair.protected("shop", "north"))
    before = pair.at_south()
    for action, body in (("Failover", {"CommitPolicy": "None", "ShutdownPolicy": 2}), ("move", {})):
        with getattr(pair, met)() as words:
            reason = pair.failed(pair.south.order("POST", f"{pair.path()}/{action}", body))
        assert words in reason
        assert "vm-" in reason
        assert "All is as before." in reason
        assert pair.at_south() == before
        until(lambda: pair.protected("shop", "north"))
        pair.await_checkpoint()
        pair.write()


@pytest.mark.timeout(180)
def test_ca8_a_name_that_is_taken_hinders_nothing_and_is_left_alone(pair: Broken) -> None:
    """VMs are known by identifiers: the recovered one runs beside the stranger of its name, whose file stays."""
    until(lambda: pair.protected("shop", "north"))
    stranger = pair.south.folder / "vms" / "stranger.json"
    disk = {"id": "a", "path": str(pair.south.folder / "stranger.raw"), "size_bytes": 1 << 20}
    content = {"id": "stranger", "name": "vm-2", "hypervisor": "storage_daemon", "disks": [disk]}
    stranger.write_text(json.dumps(content))
    order = {"CommitPolicy": "None", "ShutdownPolicy": 0}
    pair.south.completed(pair.south.order("POST", f"{pair.path()}/Failover", order))
    assert len(pair.at_south()["running"]) == 2
    pair.south.completed(pair.south.order("POST", f"{pair.path()}/FailoverRollback"))
    assert pair.at_south() == {"vms": ["stranger.json"], "left": [], "running": []}
    assert json.loads(stranger.read_text()) == content
