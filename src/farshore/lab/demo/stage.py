"""What all parts of the demo stand on: the lab, the commands that are run, what was measured, what was checked."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from farshore.cli.access import Access
from farshore.cli.client import SiteClient
from farshore.errors import Fault
from farshore.lab.addresses import SiteAddress
from farshore.lab.demo.checks import Check
from farshore.lab.record_layout import DiskLayout
from farshore.lab.sites import lab_environment, spawn_detached
from farshore.lab.state import cache_folder

VPG = "demo"
TAG = "before-the-upgrade"
DISK_SIZE = "88M"
"""A raw disk then holds 80 MiB of random data, an ext4 disk over 64 MiB."""
CHECKPOINT_INTERVAL_SECONDS = 5.0
MARK = "FARSHORE_DEMO"
"""In the environment of everything that the demo starts, so that what is left of it can be found."""


@dataclass
class Measured:
    """What one run measured; a line each in the closing table."""

    lines: list[tuple[str, str]] = field(default_factory=list)

    def add(self, what: str, value: str) -> None:
        """One line."""
        self.lines.append((what, value))


class Stage:
    """One run of the demo. Says what it does, runs the product's commands, and keeps checks and measures."""

    def __init__(self, *, step: bool) -> None:
        self.step = step
        self.mark = uuid.uuid4().hex
        parent = cache_folder() / "labs"
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = parent.resolve() / f"demo-{self.mark[:8]}"
        self.checks: list[Check] = []
        self.measured = Measured()
        self.begun = time.monotonic()
        self.addresses: list[SiteAddress] = []
        self.logs: dict[str, Path] = {}
        """The serial logs of the protected guests, by name."""
        self.layouts: dict[tuple[str, str], DiskLayout] = {}
        """Of all disks as they were made, by VM name and disk."""
        self.testimony_files = [self._testimony_file(1)]
        """What the witness wrote: a file for each set of protected guests, the present one last."""
        self.tagged_id = ""
        self.asked_ns = 0
        self.completed_ns = 0
        self._witness: subprocess.Popen[bytes] | None = None

    def site(self, name: str) -> Path:
        """The folder of north or south."""
        return self.folder / name

    @property
    def testimony_file(self) -> Path:
        """What the witness of the present protected guests writes."""
        return self.testimony_files[-1]

    def _testimony_file(self, number: int) -> Path:
        """Beside the lab's folder, since it is no part of the lab."""
        return self.folder.with_name(f"{self.folder.name}.witness-{number}")

    def part(self, number: int, title: str) -> None:
        """Begin a part; with --step wait for Enter before it."""
        if self.step and number > 1:
            _wait_for_enter(self.folder)
        say("")
        say(f"Part {number}. {title}")

    def check(self, check: Check) -> Check:
        """Keep a check and say how it ended."""
        self.checks.append(check)
        say(f"  {'holds' if check.good else 'FAILS'}  {check.name}: {check.words}")
        return check

    def command(self, *words: str) -> float:
        """Run one of the product's commands for the audience; the seconds it took. Raises Fault when it fails."""
        say(f"$ farshore {shlex.join(words)}")
        begun = time.monotonic()
        done = subprocess.run(_command(words), env=self._environment(), check=False)
        _raise_if_failed(words, done.returncode, "")
        return time.monotonic() - begun

    def ask(self, *words: str) -> Any:
        """Run one of the product's commands with --json; its document. Raises Fault when it fails."""
        say(f"$ farshore {shlex.join((*words, '--json'))}")
        command = [*_command(words), "--json"]
        done = subprocess.run(command, env=self._environment(), stdout=subprocess.PIPE, check=False)
        _raise_if_failed(words, done.returncode, done.stdout.decode(errors="replace"))
        return json.loads(done.stdout)

    def refused(self, *words: str) -> dict[str, str]:
        """Run one of the product's commands that must be refused; the error as it tells it. Raises Fault if it goes."""
        say(f"$ farshore {shlex.join((*words, '--json'))}")
        command = [*_command(words), "--json"]
        done = subprocess.run(command, env=self._environment(), capture_output=True, check=False)
        if done.returncode == 0:
            raise Fault(f"farshore {shlex.join(words)} was done, and must have been refused.", "")
        error: dict[str, str] = json.loads(done.stderr.decode(errors="replace").strip().splitlines()[-1])
        return error

    @contextmanager
    def api(self, site: str) -> Iterator[SiteClient]:
        """The API of north or south, signed in."""
        with SiteClient(Access.load(self.site(site))) as client:
            yield client

    def follow(self, logs: dict[str, Path]) -> None:
        """These are the protected guests from now on: the witness writes down, in a file anew, what they say."""
        self.stop_witness()
        self.testimony_files.append(self._testimony_file(len(self.testimony_files) + 1))
        self.start_witness(logs)

    def start_witness(self, logs: dict[str, Path]) -> None:
        """Start the process that writes down what the guests acknowledge."""
        self.logs = logs
        command = [sys.executable, "-m", "farshore.lab.witness", "--out", os.fspath(self.testimony_file)]
        command += ["--while-pid", str(os.getpid()), *(f"{name}={path}" for name, path in logs.items())]
        say(f"$ python {shlex.join(command[1:])}")
        self._witness = spawn_detached(command, self.folder / "witness.log", self._environment())

    def stop_witness(self) -> None:
        """Let the witness take a last look and end; none is fine."""
        if self._witness is not None:
            self._witness.terminate()
            self._witness.wait(10)
            self._witness = None

    def _environment(self) -> dict[str, str]:
        return {**lab_environment(), MARK: self.mark}


def say(text: str) -> None:
    """A line for the audience."""
    print(text, flush=True)


def _command(words: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-m", "farshore", *words]


def _raise_if_failed(words: tuple[str, ...], code: int, printed: str) -> None:
    if code:
        raise Fault(f"farshore {shlex.join(words)} ended with exit code {code}. {printed}".strip(), "")


def _wait_for_enter(folder: Path) -> None:
    say("")
    say(f"Look around: farshore lab status --dir {shlex.quote(os.fspath(folder))}")
    say("Press Enter to go on.")
    sys.stdin.readline()
