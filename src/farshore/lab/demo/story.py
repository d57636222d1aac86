"""The demo from beginning to end: the parts in their order, the cleaning up whatever happens, the closing table."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

from farshore.cli.exit_codes import ExitCode, exit_code_of
from farshore.errors import FarshoreError
from farshore.lab.demo.leftovers import Left, check_nothing_left, look
from farshore.lab.demo.part_disaster import away, lose_north
from farshore.lab.demo.part_home import move_home
from farshore.lab.demo.part_protect import protect
from farshore.lab.demo.part_return import north_returns
from farshore.lab.demo.part_scene import boot_guests, raise_sites
from farshore.lab.demo.part_test import test_failover
from farshore.lab.demo.stage import Stage, say
from farshore.lab.demo.table import print_table
from farshore.lab.playground import take_down
from farshore.lab.state import FILE_NAME, Lab, cache_folder
from farshore.model.rundir import run_directory

SETTLE_SECONDS = 5.0


def play(*, step: bool) -> int:
    """Play the demo; the exit code: 0 only if every part was played and every check holds."""
    stage = Stage(step=step)
    before = _look(stage)
    code, problem = int(ExitCode.OK), ""
    try:
        raise_sites(stage)
        boot_guests(stage)
        protect(stage)
        test_failover(stage)
        lose_north(stage)
        north_returns(stage)
        move_home(stage)
        stage.part(8, "What was done, and what was verified")
        stage.measured.add("lab down", f"{stage.command('lab', 'down', '--dir', os.fspath(stage.folder)):.1f} s")
    except FarshoreError as error:
        code, problem = int(exit_code_of(error)), str(error)
    except KeyboardInterrupt:
        code, problem = int(ExitCode.INTERRUPTED), "It was interrupted."
    finally:
        clear(stage, keep=code != 0 or not all(check.good for check in stage.checks))
    stage.check(check_nothing_left("the demo leaves nothing behind", before, _settled(stage, before)))
    stage.measured.add("the whole demo", f"{time.monotonic() - stage.begun:.0f} s")
    print_table(stage.measured.lines, stage.checks, problem)
    if problem:
        return code
    return int(ExitCode.OK if all(check.good for check in stage.checks) else ExitCode.FAILED)


def clear(stage: Stage, *, keep: bool) -> None:
    """Take everything down, however far the demo came. A second Ctrl-C must not stop this half-way."""
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        stage.stop_witness()
        if keep:
            _keep_logs(stage)
        if (stage.folder / FILE_NAME).exists():
            take_down(Lab.load(stage.folder))
        shutil.rmtree(stage.folder, ignore_errors=True)
        for file in stage.testimony_files:
            file.unlink(missing_ok=True)
    finally:
        signal.signal(signal.SIGINT, previous)


def _keep_logs(stage: Stage) -> None:
    """Logs and testimony of a demo that failed, for a look; those of the one before are replaced."""
    kept = cache_folder() / "failed-demo"
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    for name in ("north", away(stage).name, "south"):
        logs = stage.site(name) / "log"
        if logs.is_dir():
            shutil.copytree(logs, kept / name)
    for path in [*stage.testimony_files, *stage.site("north").glob("disks/*.log")]:
        if path.is_file():
            shutil.copy(path, kept / path.name)
    say(f"The logs are kept in {kept}.")


def _look(stage: Stage) -> Left:
    return look(stage.mark, [*places_of(stage.folder), *stage.testimony_files], stage.addresses)


def places_of(folder: Path) -> list[Path]:
    """The paths that mark what belongs to a lab: its folder, and the run directories of it and of its sites."""
    return [folder, *(run_directory(path) for path in (folder, folder / "north", folder / "south"))]


def _settled(stage: Stage, before: Left) -> Left:
    """What there is once everything has had a moment to end."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        now = _look(stage)
        if check_nothing_left("", before, now).good or time.monotonic() > deadline:
            return now
        time.sleep(0.1)
