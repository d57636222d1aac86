"""Part 6: north comes back with its VMs off. What it believes is refused, and its old disks are synced by hashes."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any

from farshore.cli.output import size_text, time_ns_of
from farshore.lab.demo import recovery_checks
from farshore.lab.demo.checks import Check
from farshore.lab.demo.differences import count_differing, digest_disks
from farshore.lab.demo.evidence import check_examined, disk_paths, examine_checkpoint, layouts_of
from farshore.lab.demo.part_disaster import away
from farshore.lab.demo.part_protect import journal_folder, listed_checkpoints
from farshore.lab.demo.recovered import wait
from farshore.lab.demo.stage import VPG, Stage, say
from farshore.lab.testimony import Testimony

SYNC_SECONDS = 120.0
MEETING_SLA = 1
REFUSAL = re.compile(r"refused the stream \(old_epoch\).*")


def north_returns(stage: Stage) -> None:
    """Folder and processes; the refusal; the sync by hashes and its figures; a move meanwhile is refused."""
    stage.part(6, "North comes back: what it believes is refused, and its old disks are synced by hashes")
    old_disks = digest_disks({disk: away(stage) / "disks" / path.name for disk, path in _old_paths(stage).items()})
    believed = epoch_in(away(stage) / "appliance" / "protect")
    say(f"$ mv {away(stage)} {stage.site('north')}")
    away(stage).rename(stage.site("north"))
    # A slow link, so that there is time to ask during the sync: what is to be sent takes seconds there.
    stage.command("lab", "link", "slow", "--dir", os.fspath(stage.folder))
    before = count_differing(old_disks, digest_disks(disk_paths(stage.site("south"))))
    begun = time.monotonic()
    stage.command("lab", "start", "north", "--no-vms", "--dir", os.fspath(stage.folder))
    _ask_for_a_move_meanwhile(stage)
    stage.command("lab", "link", "up", "--dir", os.fspath(stage.folder))
    vpg = wait_for_protection_from(stage, "south")
    stage.measured.add("north back, to protected from south again (slow link)", f"{time.monotonic() - begun:.1f} s")
    after = count_differing(old_disks, digest_disks(disk_paths(stage.site("south"))))
    stage.check(look_for_refusal(stage, believed))
    stage.check(recovery_checks.check_delta(vpg["Sync"], before, after))
    measure_sync(stage, "way home of the failover, by hashes", vpg["Sync"])
    sizes = [size_text(blocks * recovery_checks.BLOCK_BYTES) for blocks in (before, after)]
    stage.measured.add("  really differed, before and after that sync", " / ".join(sizes))
    _check_first_checkpoint(stage)


def wait_for_protection_from(stage: Stage, site: str) -> dict[str, Any]:
    """The VPG, once it is protected from that site with a checkpoint of its own. Raises Fault."""
    found: dict[str, Any] = {}

    def protected() -> bool:
        found.update(_vpg(stage, site))
        good = found["Status"] == MEETING_SLA and found["SubStatus"] == 0 and found["SourceSite"] == site
        return bool(good and found["Sync"] and not found["Sync"]["IsRunning"])

    wait(protected, SYNC_SECONDS, f"The VPG was not protected from {site}")
    stage.command("vpg", "show", VPG, "--site-dir", os.fspath(stage.site(site)))
    return found


def measure_sync(stage: Stage, what: str, sync: dict[str, Any]) -> None:
    """A line of the closing table: the same three figures for each kind of sync."""
    parts = [size_text(sync[name]) for name in ("ReadInBytes", "HashesInBytes", "SentInBytes")]
    size_bytes = sum(layout.size_bytes for layout in stage.layouts.values())
    stage.measured.add(f"{what}: read / hashes / sent, of {size_text(size_bytes)}", " / ".join(parts))


def _vpg(stage: Stage, site: str) -> dict[str, Any]:
    with stage.api(site) as api:
        found: dict[str, Any] = api.get("/vpgs", name=VPG)[0]
    return found


def _old_paths(stage: Stage) -> dict[tuple[str, str], Path]:
    """The files of north's old disks; what its definitions say, read where the folder is now."""
    return disk_paths(away(stage))


def epoch_in(folder: Path) -> int:
    """In which epoch north believes to protect, by what its own disk says."""
    beliefs = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    return max((int(belief["epoch"]) for belief in beliefs if "epoch" in belief), default=0)


def _ask_for_a_move_meanwhile(stage: Stage) -> None:
    """See the sync run, and order a move. Raises Fault when it is not refused: then there is nothing to go on with."""

    def syncing() -> bool:
        vpg = _vpg(stage, "south")
        sync, way_home = vpg["Sync"], vpg["WayHome"]
        running = sync and sync["IsRunning"] and sync["Kind"] == "delta"
        return bool(running and way_home and way_home["HasBegun"])

    wait(syncing, SYNC_SECONDS, "No sync by hashes began")
    error = stage.refused("vpg", "move", VPG, "--yes", "--no-wait", "--site-dir", os.fspath(stage.site("south")))
    stage.check(recovery_checks.check_move_is_refused(error))


def look_for_refusal(stage: Stage, believed: int) -> Check:
    """What the sender of north, started again with what it believed, was told by south."""
    texts = [path.read_text(errors="replace") for path in (stage.site("north") / "log").glob("sender-*.log")]
    lines = [found[0] for text in texts for found in REFUSAL.finditer(text)]
    epochs = journal_folder(stage, "south") / "epoch.json"
    epoch_now = int(json.loads(epochs.read_text())["epoch"]) if epochs.exists() else 0
    return recovery_checks.check_old_belief_refused(lines[0] if lines else "", believed, epoch_now)


def _check_first_checkpoint(stage: Stage) -> None:
    """The host reads north's replica at its newest checkpoint, which shows whether all differences were found."""
    newest = listed_checkpoints(stage, "north")[-1]
    report = examine_checkpoint(
        journal_folder(stage, "north"),
        newest["CheckpointIdentifier"],
        layouts_of(stage.site("south"), stage.layouts),
        Testimony.read(stage.testimony_file),
        time_ns_of(newest["TimeStamp"]),
    )
    stage.check(check_examined("after the sync by hashes a checkpoint at north is an unbroken prefix", report))
