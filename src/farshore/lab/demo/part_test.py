"""Part 4: a failover test at the tagged checkpoint, verified from inside and outside; then nothing of it is left."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from farshore.cli.output import time_ns_of
from farshore.errors import Fault
from farshore.lab.demo import checks
from farshore.lab.demo.evidence import (
    FirstWords,
    check_examined,
    disk_layouts,
    examine_checkpoint,
    guest_events,
)
from farshore.lab.demo.leftovers import Left, check_nothing_left, look, site_files
from farshore.lab.demo.part_protect import listed_checkpoints
from farshore.lab.demo.part_scene import witnessed_tops
from farshore.lab.demo.stage import CHECKPOINT_INTERVAL_SECONDS, VPG, Stage, say
from farshore.lab.serial import Acknowledged, Booted, Event, last_lines
from farshore.lab.testimony import Testimony
from farshore.model.rundir import run_directory

GUEST_SECONDS = 90.0
SETTLE_SECONDS = 10.0
RECORDS_AFTER_TEST = 40
SERIAL_LINES_SHOWN = 15


def test_failover(stage: Stage) -> None:
    """Start the test, verify it, see that the protected VMs go on, stop it, see that nothing is left."""
    stage.part(4, "A failover test at the tagged checkpoint, while the protected VMs go on")
    letters = [layout.letter for layout in disk_layouts(stage.site("north")).values()]
    before, begun_ns = _look_at_south(stage), time.time_ns()
    tops_before = witnessed_tops(stage, letters)
    _start(stage)
    logs = _recovered_logs(stage)
    guests = _wait_for_guests(logs)
    _check_from_inside(stage, guests, logs)
    _check_from_outside(stage, guests)
    _check_protection_goes_on(stage, tops_before, begun_ns)
    _measure_rpo(stage)
    _check_journal(stage)
    _stop(stage, before)
    testimony = Testimony.read(stage.testimony_file)
    stage.check(checks.check_write_times(testimony.worst_write_seconds(), testimony.failures()))


def _start(stage: Stage) -> None:
    first = FirstWords(stage.site("south") / "log")
    try:
        words = ("vpg", "test", VPG, "--checkpoint", stage.tagged_id, "--site-dir", os.fspath(stage.site("south")))
        begun = time.monotonic()
        done = stage.ask(*words)
        seconds = time.monotonic() - begun
        _wait(lambda: first.seen_ns is not None, GUEST_SECONDS, "No recovered guest said a word")
    finally:
        seen_ns = first.end()
    stage.measured.add("failover test, from the command to running VMs", f"{seconds:.1f} s")
    if seen_ns is not None:
        output_seconds = (seen_ns - time_ns_of(done["Asked"])) / 1e9
        stage.measured.add("from the call to the recovered guests' first output", f"{output_seconds:.1f} s")


def _recovered_logs(stage: Stage) -> dict[str, Path]:
    """The serial logs of south's recovered VMs, by name. Raises Fault when there are none."""
    found = stage.ask("lab", "status", "--dir", os.fspath(stage.folder))
    logs = {vm["name"]: Path(vm["serial_log"]) for vm in found["vms"] if vm["site"] == "south" and vm["recovered"]}
    if not logs:
        raise Fault("South has no recovered VM.", "See the task of the test: farshore task list")
    return logs


def _wait_for_guests(logs: Mapping[str, Path]) -> dict[str, list[Event]]:
    """What the recovered guests have said, once they have verified, judged, and written on."""
    say("  the recovered guests verify their disks ...")

    def done() -> bool:
        events = guest_events(logs)
        written = sum(isinstance(event, Acknowledged) for found in events.values() for event in found)
        judged = checks.check_goes_on(events).good and checks.check_guests_law(events).good
        return judged and written >= RECORDS_AFTER_TEST

    try:
        _wait(done, GUEST_SECONDS, "")
    except Fault:
        say("  they have not come to writing on in time; the checks say how far they came")
    return guest_events(logs)


def _check_from_inside(stage: Stage, guests: Mapping[str, list[Event]], logs: Mapping[str, Path]) -> None:
    protected = guest_events(stage.logs)
    boots = [event.boot for events in protected.values() for event in events if isinstance(event, Booted)]
    stage.check(checks.check_guests_verified(guests, disks_per_guest=2))
    stage.check(checks.check_mounts(guests))
    stage.check(checks.check_guests_law(guests))
    if not stage.check(checks.check_isolated(guests, boots)).good:
        for name, log in logs.items():
            say(f"  {name} said last ({log}):")
            for line in last_lines(log, SERIAL_LINES_SHOWN):
                say(f"    {line}")
    stage.check(checks.check_goes_on(guests))


def _check_from_outside(stage: Stage, guests: Mapping[str, list[Event]]) -> None:
    """The host reads the same checkpoint through views, with other code, and compares with the witness."""
    begun = time.monotonic()
    report = examine_checkpoint(
        _journal(stage),
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
    _wait(lambda: time.time_ns() - begun_ns > window_ns, 2 * window_ns / 1e9, "The clock stands still")
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
        _journal(stage), newest["CheckpointIdentifier"], disk_layouts(stage.site("north")), testimony
    )
    stage.check(check_examined("the newest checkpoint is an unbroken prefix too", report))
    age_seconds = (now_ns - time_ns_of(newest["TimeStamp"])) / 1e9
    stage.measured.add("RPO: age of the newest checkpoint", f"{max(age_seconds, 0):.1f} s")
    stage.measured.add("RPO: acknowledged records not in it", str(testimony.count_after(report.tops, before_ns=now_ns)))


def _check_journal(stage: Stage) -> None:
    listed = listed_checkpoints(stage, "south")
    in_files = stage.ask("journal", "list", os.fspath(_journal(stage)))
    stage.check(checks.check_listed_is_durable(listed, in_files))
    stage.command("journal", "verify", os.fspath(_journal(stage)))


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


def _journal(stage: Stage) -> Path:
    with stage.api("south") as api:
        vpg_id = api.get("/vpgs", name=VPG)[0]["VpgIdentifier"]
    return stage.site("south") / "journal" / str(vpg_id)


def _wait(condition: Callable[[], bool], seconds: float, fact: str) -> None:
    """Wait for a condition. Raises Fault."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Fault(f"{fact} within {seconds:.0f} s.", "See the logs.")
        time.sleep(0.05)
