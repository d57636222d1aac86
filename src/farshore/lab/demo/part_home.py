"""Part 7: the VMs move home and nothing is lost; protected again by bitmap; a move to south, and its rollback."""

from __future__ import annotations

import os
import time
from contextlib import suppress

from farshore.errors import Fault
from farshore.lab.demo import checks, recovery_checks
from farshore.lab.demo.evidence import check_examined, examine_checkpoint, guest_events, layouts_of
from farshore.lab.demo.part_protect import journal_folder
from farshore.lab.demo.part_return import measure_sync, wait_for_protection_from
from farshore.lab.demo.recovered import (
    GUEST_SECONDS,
    boots_of,
    check_from_inside,
    naming,
    recover,
    recovered_logs,
    wait,
    wait_for_guests,
)
from farshore.lab.demo.stage import VPG, Measured, Stage
from farshore.lab.testimony import Testimony

WHEN = "move home"


def move_home(stage: Stage) -> None:
    """Home with everything; then there and back once more, to show that it can be undone."""
    stage.part(7, "Home again: a move that loses nothing, protected by bitmap; then a move and its rollback")
    old_boots, old_layouts = boots_of(stage.logs), layouts_of(stage.site("south"), stage.layouts)
    done, seconds, output_seconds = recover(stage, "north", "vpg", "move", VPG, "--yes")
    moved = Measured()  # told after the sync back, whose figures stand beside those of the sync by hashes
    moved.add("move home, shutdown included, from the command to running VMs", f"{seconds:.1f} s")
    moved.add("from the call of the move to the guests' first output", f"{output_seconds:.1f} s")
    moved_ns = time.time_ns()
    checkpoint_id = done["Vpg"]["ActiveProcessesApi"]["RunningRecovery"]["CheckpointIdentifier"]
    logs = recovered_logs(stage, "north")
    stage.follow(logs)
    there = Testimony.read(stage.testimony_files[-2])
    guests = wait_for_guests(logs)
    check_from_inside(stage, guests, logs, old_boots, WHEN)
    report = examine_checkpoint(journal_folder(stage, "north"), checkpoint_id, old_layouts, there, moved_ns)
    stage.check(check_examined(f"{WHEN}: the host finds an unbroken prefix", report))
    stage.check(naming(WHEN)(checks.check_same_tops(guests, report.tops)))
    acknowledged = {layout.letter: there.last_acknowledged(layout.letter) for layout in stage.layouts.values()}
    stage.check(recovery_checks.check_nothing_lost(acknowledged, report.tops))
    moved.add("move home: acknowledged records lost", str(there.count_after(report.tops)))
    stage.check(naming("at south")(checks.check_write_times(there.worst_write_seconds(), there.failures())))
    _commit(stage)
    stage.measured.lines += moved.lines
    _move_and_roll_back(stage)


def _commit(stage: Stage) -> None:
    stage.command("vpg", "commit", VPG, "--yes", "--site-dir", os.fspath(stage.site("north")))
    sync = wait_for_protection_from(stage, "north")["Sync"]
    size_bytes = sum(layout.size_bytes for layout in stage.layouts.values())
    stage.check(recovery_checks.check_bitmap(sync, size_bytes))
    measure_sync(stage, "way back of the move, by bitmap", sync)


def _move_and_roll_back(stage: Stage) -> None:
    """The guests at north are shut down, run at south for a moment, and go on at north."""
    seconds = stage.command("vpg", "move", VPG, "--yes", "--site-dir", os.fspath(stage.site("north")))
    stage.measured.add("a second move, to south, up to Before Commit", f"{seconds:.1f} s")
    begun = time.monotonic()
    stage.command("vpg", "rollback", VPG, "--yes", "--site-dir", os.fspath(stage.site("north")))

    def revived() -> bool:
        return recovery_checks.check_revived(guest_events(stage.logs)).good

    with suppress(Fault):  # then the check says how far they came
        wait(revived, 2 * GUEST_SECONDS, "The guests do not go on")
    stage.measured.add("its rollback, until the guests at north write on", f"{time.monotonic() - begun:.1f} s")
    stage.check(recovery_checks.check_revived(guest_events(stage.logs)))
    wait_for_protection_from(stage, "north")
