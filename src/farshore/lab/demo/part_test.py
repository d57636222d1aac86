"""Part 4: a failover test at the tagged checkpoint, verified from inside and outside; then nothing of it is left."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

from farshore.cli.output import time_ns_of
from farshore.lab.demo import checks
from farshore.lab.demo.evidence import check_examined, disk_layouts, examine_checkpoint
from farshore.lab.demo.leftovers import Left, check_nothing_left, look, site_files
from farshore.lab.demo.part_protect import journal_folder, listed_checkpoints
from farshore.lab.demo.part_scene import witnessed_tops
from farshore.lab.demo.recovered import boots_of, check_from_inside, recover, recovered_logs, wait, wait_for_guests
from farshore.lab.demo.stage import CHECKPOINT_INTERVAL_SECONDS, VPG, Stage
from farshore.lab.serial import Event
from farshore.lab.testimony import Testimony
from farshore.model.rundir import run_directory

SETTLE_SECONDS = 10.0


def test_failover(stage: Stage) -> None:
    """Start the test, verify it, see that the protected VMs go on, stop it, see that nothing is left."""
    stage.part(4, "A failover test at the tagged checkpoint, while the protected VMs go on")
    letters = [layout.letter for layout in disk_layouts(stage.site("north")).values()]
    before, begun_ns = _look_at_south(stage), time.time_ns()
    tops_before = witnessed_tops(stage, letters)
    _start(stage)
    logs = recovered_logs(stage, "south")
    guests = wait_for_guests(logs)
    check_from_inside(stage, guests, logs, boots_of(stage.logs))
    _check_from_outside(stage, guests)
    _check_protection_goes_on(stage, tops_before, begun_ns)
    _measure_rpo(stage)
    _check_journal(stage)
    _stop(stage, before)
    testimony = Testimony.read(stage.testimony_file)
    stage.check(checks.check_write_times(testimony.worst_write_seconds(), testimony.failures()))


def _start(stage: Stage) -> None:
    _, seconds, output_seconds = recover(stage, "south", "vpg", "test", VPG, "--checkpoint", stage.tagged_id)
    stage.measured.add("failover test, from the command to running VMs", f"{seconds:.1f} s")
    stage.measured.add("from the call to the recovered guests' first output", f"{output_seconds:.1f} s")


def _check_from_outside(stage: Stage, guests: Mapping[str, list[Event]]) -> None:
    """The host reads the same checkpoint through views, with other code, and compares with the witness."""
    begun = time.monotonic()
    report = examine_checkpoint(
        journal_folder(stage, "south"),
        stage.tagged_id,
        disk_layouts(stage.site("north")),
        Testimony.read(stage.testimony_file),
        stage.asked_ns,
        stage.completed_ns,
    )
    stage.check(check_examined("the host finds an unbroken prefix with all that was acknowledged before", report))
    stage.check(checks.check_same_tops(guests, report.tops))
    stage.measured.add("the host's own verification through views", f"{time.monotonic() - begun:.1f} s")


def _check_protection_goes_on(stage: Stage, tops_before: Mapping[str, int], begun_ns: int) -> None:
    after = witnessed_tops(stage, list(tops_before))
    stage.check(checks.check_grew("the protected VMs write on during the test", tops_before, after))
    window_ns = round(3 * CHECKPOINT_INTERVAL_SECONDS * 1e9)
    wait(lambda: time.time_ns() - begun_ns > window_ns, 2 * window_ns / 1e9, "The clock stands still")
    times = [time_ns_of(c["TimeStamp"]) for c in listed_checkpoints(stage, "south")]
    since = [moment for moment in times if moment > begun_ns]
    found = checks.check_rhythm(since, CHECKPOINT_INTERVAL_SECONDS, time.time_ns())
    stage.check(checks.Check("checkpoints go on during the test", found.good, found.words))


def _measure_rpo(stage: Stage) -> None:
    """RPO as a person would lose it now: the newest checkpoint's age, and the acknowledged records not in it."""
    newest = listed_checkpoints(stage, "south")[-1]
    now_ns = time.time_ns()
    testimony = Testimony.read(stage.testimony_file)
    report = examine_checkpoint(
        journal_folder(stage, "south"), newest["CheckpointIdentifier"], disk_layouts(stage.site("north")), testimony
    )
    stage.check(check_examined("the newest checkpoint is an unbroken prefix too", report))
    age_seconds = (now_ns - time_ns_of(newest["TimeStamp"])) / 1e9
    stage.measured.add("RPO: age of the newest checkpoint", f"{max(age_seconds, 0):.1f} s")
    stage.measured.add("RPO: acknowledged records not in it", str(testimony.count_after(report.tops, before_ns=now_ns)))


def _check_journal(stage: Stage) -> None:
    listed = listed_checkpoints(stage, "south")
    in_files = stage.ask("journal", "list", os.fspath(journal_folder(stage, "south")))
    stage.check(checks.check_listed_is_durable(listed, in_files))
    stage.command("journal", "verify", os.fspath(journal_folder(stage, "south")))


def _stop(stage: Stage, before: Left) -> None:
    words = ("vpg", "test-stop", VPG, "--success", "--summary", "The recovered guests verified their disks.")
    seconds = stage.command(*words, "--site-dir", os.fspath(stage.site("south")))
    stage.measured.add("stop of the test", f"{seconds:.1f} s")
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        check = check_nothing_left("the test leaves nothing behind", before, _look_at_south(stage))
        if check.good or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    stage.check(check)


def _look_at_south(stage: Stage) -> Left:
    folder = stage.site("south")
    run_folder = run_directory(folder)
    return look(stage.mark, [folder, run_folder], files_below=site_files(folder, run_folder))
