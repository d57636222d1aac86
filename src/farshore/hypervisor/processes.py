"""Processes of VMs: started detached, so that they outlive every process of ours, and found again.

Each VM has a short folder in the site's run directory: `vm.json` (what it was started as, written before the start),
`pid` (written by QEMU itself), and its sockets. A process is ours if `/proc/<pid>/cmdline` names that pid file: a pid
that the kernel gave to another one is never taken for it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from farshore.hypervisor.driver import Overlay, StartFailed
from farshore.model.files import write_durably
from farshore.model.vm import VmDefinition

START_SECONDS = 30.0
POLL_SECONDS = 0.02
TERMINATE_SECONDS = 3.0
KILL_SECONDS = 5.0

Answers = Callable[[], Awaitable[bool]]
"""Whether a process that was started has come so far that it answers."""


@dataclass(frozen=True)
class StartRecord:
    """What a VM was started as."""

    definition: VmDefinition
    overlays: Mapping[str, Overlay]
    serial_log: Path | None
    network_scope: Path
    label: str

    def to_json(self) -> bytes:
        """The content of `vm.json`."""
        overlays = {
            disk_id: [str(overlay.view_socket), overlay.view_export, str(overlay.scratch_path)]
            for disk_id, overlay in self.overlays.items()
        }
        told = {
            "definition": self.definition.model_dump(mode="json"),
            "overlays": overlays,
            "serial_log": str(self.serial_log) if self.serial_log else None,
            "network_scope": str(self.network_scope),
            "label": self.label,
        }
        return json.dumps(told, indent=1).encode()

    @classmethod
    def from_json(cls, data: bytes) -> StartRecord:
        """Raises ValueError, KeyError, pydantic.ValidationError."""
        told: dict[str, Any] = json.loads(data)
        overlays = {disk_id: Overlay(Path(a), b, Path(c)) for disk_id, (a, b, c) in told["overlays"].items()}
        serial = Path(told["serial_log"]) if told["serial_log"] else None
        definition = VmDefinition.model_validate(told["definition"])
        return cls(definition, overlays, serial, Path(told["network_scope"]), told["label"])


@dataclass(frozen=True)
class LiveProcess:
    """A process that runs; `start_time` (clock ticks since boot) tells it from a later one of the same pid."""

    pid: int
    start_time: int

    @property
    def instance(self) -> str:
        """The text that names this very process."""
        return f"{self.pid}:{self.start_time}"


class VmFolder:
    """The run folder of one VM."""

    def __init__(self, run_dir: Path, vm_id: str) -> None:
        self.path = run_dir / f"vm-{hashlib.sha256(vm_id.encode()).hexdigest()[:8]}"

    @property
    def commands(self) -> Path:
        """The monitor for commands and events."""
        return self.path / "qmp"

    @property
    def out_of_band(self) -> Path:
        """The monitor for yank."""
        return self.path / "oob"

    @property
    def control(self) -> Path:
        """The monitor for short use: power, network."""
        return self.path / "control"

    @property
    def disks(self) -> Path:
        """A storage daemon's NBD socket."""
        return self.path / "disks"

    @property
    def sync(self) -> Path:
        """QEMU's NBD socket for syncs."""
        return self.path / "sync"

    @property
    def pid_file(self) -> Path:
        """Written by QEMU."""
        return self.path / "pid"

    @property
    def pause_note(self) -> Path:
        """See block_layer.tapped.TapState."""
        return self.path / "paused"

    @property
    def halt_note(self) -> Path:
        """See block_layer.halting.HaltNote."""
        return self.path / "halt"

    def record(self) -> StartRecord | None:
        """What the VM was last started as, None when it was not, or was stopped by us."""
        return _read_record(self.path)

    def live(self) -> LiveProcess | None:
        """The VM's process, None when it does not run."""
        try:
            pid = int(self.pid_file.read_text())
        except (FileNotFoundError, ValueError):
            return None
        return _live_process(pid, self.pid_file)


class VmProcesses:
    """Starts, finds and ends the processes of a site's VMs."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self._children: list[subprocess.Popen[bytes]] = []

    def folder(self, vm_id: str) -> VmFolder:
        """The run folder of a VM, which may not be there."""
        return VmFolder(self.run_dir, vm_id)

    def records(self) -> list[StartRecord]:
        """All that was started and not stopped by us."""
        found = [_read_record(path) for path in sorted(self.run_dir.glob("vm-*"))]
        return [record for record in found if record is not None]

    def settle(self, vm_id: str, definition: VmDefinition) -> None:
        """What was started as something else is this definition from now on, without overlays or label; none is fine.

        Durable: whatever is killed afterwards, nobody takes it for a VM on scratch again.
        """
        folder = self.folder(vm_id)
        record = folder.record()
        if record is not None:
            settled = replace(record, definition=definition, overlays={}, label="")
            write_durably(folder.path / "vm.json", settled.to_json())

    async def start(self, record: StartRecord, command: Sequence[str], answers: Answers, log_path: Path) -> LiveProcess:
        """Start a detached process and wait until it `answers`. Raises StartFailed; then only its log is left."""
        folder = self.folder(record.definition.id)
        child, log_begin = self._spawn(record, folder, command, log_path)
        try:
            came = await _come_up(child, folder, answers)
        except BaseException:
            self._clear_away(child, folder)
            raise
        if isinstance(came, LiveProcess):
            return came
        self._clear_away(child, folder)
        raise _failed(record, log_path, log_begin, came)

    def _clear_away(self, child: subprocess.Popen[bytes], folder: VmFolder) -> None:
        child.kill()  # one that has ended is fine
        child.wait(KILL_SECONDS)
        shutil.rmtree(folder.path, ignore_errors=True)

    def _spawn(
        self, record: StartRecord, folder: VmFolder, command: Sequence[str], log_path: Path
    ) -> tuple[subprocess.Popen[bytes], int]:
        """The process, in a session of its own, and where in the log its words begin."""
        shutil.rmtree(folder.path, ignore_errors=True)
        folder.path.mkdir(mode=0o700, parents=True)
        write_durably(folder.path / "vm.json", record.to_json())
        log_path.parent.mkdir(parents=True, exist_ok=True)
        with log_path.open("ab") as log_file:
            log_begin = log_file.tell()
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log_file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd="/",
            )
        self._children.append(child)
        return child, log_begin

    async def end(self, vm_id: str) -> None:
        """End a process, in order if it does so soon, else by force, and remove its folder; none is fine."""
        folder = self.folder(vm_id)
        for how, seconds in ((signal.SIGTERM, TERMINATE_SECONDS), (signal.SIGKILL, KILL_SECONDS)):
            live = folder.live()
            if live is None:
                break
            _send_signal(live, how)
            await self.wait_end(vm_id, seconds)
        if folder.live() is None:
            shutil.rmtree(folder.path, ignore_errors=True)

    async def wait_end(self, vm_id: str, seconds: float) -> bool:
        """Wait until the VM's process is gone; False if it is still there after that time."""
        deadline = asyncio.get_running_loop().time() + seconds
        while self.is_live(vm_id):
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(POLL_SECONDS)
        return True

    def is_live(self, vm_id: str) -> bool:
        """Whether the VM's process runs."""
        self._children = [child for child in self._children if child.poll() is None]  # reaps
        return self.folder(vm_id).live() is not None


async def _come_up(child: subprocess.Popen[bytes], folder: VmFolder, answers: Answers) -> LiveProcess | str:
    """The process once it answers, or what became of it, in words."""
    deadline = asyncio.get_running_loop().time() + START_SECONDS
    while True:
        if await answers():
            live = folder.live()
            if live is not None:
                return live
        if child.poll() is not None:
            return f"ended with status {child.returncode}"
        if asyncio.get_running_loop().time() > deadline:
            return f"was not up within {START_SECONDS:g} s"
        await asyncio.sleep(POLL_SECONDS)


def _failed(record: StartRecord, log_path: Path, log_begin: int, how: str) -> StartFailed:
    with log_path.open("rb") as log_file:
        log_file.seek(log_begin)
        words = log_file.read(2000).decode(errors="replace").strip()
    said = f": {words}" if words else ""
    return StartFailed(f"The process of the VM {record.definition.name} {how}{said}", f"Its log is {log_path}.")


def _read_record(folder: Path) -> StartRecord | None:
    try:
        return StartRecord.from_json((folder / "vm.json").read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, ValidationError):
        return None


def _live_process(pid: int, pid_file: Path) -> LiveProcess | None:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if os.fsencode(pid_file) not in command.split(b"\0") or fields[0] in "ZX":
        return None
    return LiveProcess(pid, int(fields[19]))


def _send_signal(live: LiveProcess, how: signal.Signals) -> None:
    """Signal this very process: the handle is taken first, then it is looked at again."""
    try:
        handle = os.pidfd_open(live.pid)
    except ProcessLookupError:
        return
    try:
        stat = Path(f"/proc/{live.pid}/stat").read_text().rsplit(")", 1)[1].split()
        if int(stat[19]) == live.start_time:
            signal.pidfd_send_signal(handle, how)
    except (FileNotFoundError, ProcessLookupError):
        return
    finally:
        os.close(handle)
