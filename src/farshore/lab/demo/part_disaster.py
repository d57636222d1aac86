"""Part 5: north is destroyed in the middle of writing; south takes over alone, and commits while the guests write."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path

from farshore.cli.output import time_ns_of
from farshore.cli.processes import site_processes
from farshore.hypervisor.inventory import Inventory
from farshore.lab.demo import checks, recovery_checks
from farshore.lab.demo.checks import Check
from farshore.lab.demo.evidence import check_examined, disk_layouts, examine_checkpoint, guest_events
from farshore.lab.demo.part_protect import journal_folder, listed_checkpoints
from farshore.lab.demo.part_scene import wait_for_records, witnessed_tops
from farshore.lab.demo.recovered import boots_of, check_from_inside, naming, recover, recovered_logs, wait_for_guests
from farshore.lab.demo.stage import VPG, Stage, say
from farshore.lab.record_layout import DiskLayout
from farshore.lab.serial import Event
from farshore.lab.testimony import Testimony

WHEN = "failover"
CONNECT_SECONDS = 1.0
RECORDS_AFTER_COMMIT = 30


def lose_north(stage: Stage) -> None:
    """Kill all of north, fail over at south, verify, commit with reverse protection asked for."""
    stage.part(5, "Disaster: north is gone in the middle of writing; south takes over alone")
    layouts = disk_layouts(stage.site("north"))
    old_boots = boots_of(stage.logs)
    killed_ns = _destroy(stage)
    durable = [c["CheckpointIdentifier"] for c in listed_checkpoints(stage, "south")]
    words = ("vpg", "failover", VPG, "--reverse", "--commit-policy", "none", "--yes")
    done, seconds, output_seconds = recover(stage, "south", *words)
    stage.measured.add("failover, from the command to running VMs", f"{seconds:.1f} s")
    stage.measured.add("from the call to the recovered guests' first output (RTO)", f"{output_seconds:.1f} s")
    checkpoint_id = done["Vpg"]["ActiveProcessesApi"]["RunningRecovery"]["CheckpointIdentifier"]
    stage.check(recovery_checks.check_newest_was_taken(checkpoint_id, durable))
    logs = recovered_logs(stage, "south")
    lost = Testimony.read(stage.testimony_file)
    stage.follow(logs)
    guests = wait_for_guests(logs)
    check_from_inside(stage, guests, logs, old_boots, WHEN)
    _check_from_outside(stage, checkpoint_id, layouts, lost, killed_ns, guests)
    _commit(stage)


def away(stage: Stage) -> Path:
    """Where north's folder is while it is gone."""
    return stage.folder / "north.gone"


def _destroy(stage: Stage) -> int:
    """With -9, at once; its folder renamed. When it was over (unix time)."""
    north = stage.site("north")
    stage.command("lab", "kill", "north", "all", "--dir", os.fspath(stage.folder))
    killed_ns = time.time_ns()
    stage.stop_witness()
    say(f"$ mv {north} {away(stage)}")
    north.rename(away(stage))
    stage.check(look_for_north(stage))
    stage.command("lab", "status", "--dir", os.fspath(stage.folder))
    return killed_ns


def look_for_north(stage: Stage) -> Check:
    """Whether anything of north can be found: processes, the ports that it listened on, its folder."""
    north, ours = stage.site("north"), stage.addresses[0]
    processes = [f"{process.role} {process.pid}" for process in site_processes(north)]
    answering = [p for p in (ours.api_port, ours.peer_port, ours.appliance_port) if _answers(ours.host, p)]
    return recovery_checks.check_north_is_gone(processes, answering, north.exists())


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=CONNECT_SECONDS):
            return True
    except OSError:
        return False


def _check_from_outside(
    stage: Stage,
    checkpoint_id: str,
    layouts: Mapping[tuple[str, str], DiskLayout],
    lost: Testimony,
    killed_ns: int,
    guests: Mapping[str, list[Event]],
) -> None:
    """The host's own reading of the checkpoint; and what the disaster cost."""
    of_checkpoint = {c["CheckpointIdentifier"]: c for c in listed_checkpoints(stage, "south")}[checkpoint_id]
    cut_ns = time_ns_of(of_checkpoint["TimeStamp"])
    report = examine_checkpoint(journal_folder(stage, "south"), checkpoint_id, layouts, lost, cut_ns, killed_ns)
    words = "the host finds an unbroken prefix with all that was acknowledged before the checkpoint"
    stage.check(check_examined(f"{WHEN}: {words}", report))
    stage.check(naming(WHEN)(checks.check_same_tops(guests, report.tops)))
    stage.measured.add("RPO of the disaster: age of the checkpoint", f"{(killed_ns - cut_ns) / 1e9:.1f} s")
    stage.measured.add("RPO of the disaster: acknowledged records lost", str(lost.count_after(report.tops)))


def _commit(stage: Stage) -> None:
    """Promotion while the guests write: the longest that they ever stood still."""
    begun_ns = time.time_ns()
    south = stage.site("south")
    seconds = stage.command("vpg", "commit", VPG, "--reverse", "--yes", "--site-dir", os.fspath(south))
    ended_ns = time.time_ns()
    tops = witnessed_tops(stage, [layout.letter for layout in stage.layouts.values()])
    wait_for_records(stage, {letter: top + RECORDS_AFTER_COMMIT for letter, top in tops.items()})
    pause_seconds = Testimony.read(stage.testimony_file).longest_pause_seconds(begun_ns, ended_ns)
    stage.measured.add("commit: the disks made whole, while the guests write", f"{seconds:.1f} s")
    stage.measured.add("commit: longest time between two writes of a guest", f"{pause_seconds:.3f} s")
    stage.check(recovery_checks.check_pause(pause_seconds))
    stage.check(recovery_checks.check_never_rebooted(guest_events(stage.logs)))
    views = sum("farshore.datapath.view" in process.command for process in site_processes(south))
    vms = [entry.definition for entry in Inventory(south / "vms").entries() if entry.definition]
    files = [disk.path for vm in vms for disk in vm.disks if disk.format == "raw" and Path(disk.path).is_file()]
    scratch = [os.fspath(path) for path in (south / "scratch").rglob("*.qcow2")]
    stage.check(recovery_checks.check_stands_alone(views, files, scratch))
