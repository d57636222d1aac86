"""Part 3: one VPG over both VMs, synced while they write; checkpoints every 5 s; one with a tag."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from farshore.cli.output import size_text, time_ns_of
from farshore.errors import Fault
from farshore.lab.demo.checks import Check, check_grew, check_rhythm
from farshore.lab.demo.evidence import disk_layouts
from farshore.lab.demo.part_scene import witnessed_tops
from farshore.lab.demo.stage import CHECKPOINT_INTERVAL_SECONDS, TAG, VPG, Stage

CHECKPOINTS_AWAITED = 4
CHECKPOINTS_SECONDS = 60.0


def protect(stage: Stage) -> None:
    """Create the VPG, see its checkpoints come, cut a tagged one."""
    stage.part(3, "One VPG over both VMs: initial sync while they write, then checkpoints every 5 s")
    _create(stage)
    _see_rhythm(stage)
    _cut_tagged(stage)


def _create(stage: Stage) -> None:
    north = os.fspath(stage.site("north"))
    layouts = disk_layouts(stage.site("north"))
    letters = [layout.letter for layout in layouts.values()]
    before = witnessed_tops(stage, letters)
    with stage.api("north") as api:
        here = api.get("/localsite")["SiteIdentifier"]
        names = sorted(vm["VmName"] for vm in api.get(f"/virtualizationsites/{here}/vms"))
    vms = [word for name in names for word in ("--vm", name)]
    interval = ("--checkpoint-interval", f"{CHECKPOINT_INTERVAL_SECONDS:g}")
    seconds = stage.command("vpg", "create", VPG, *vms, *interval, "--site-dir", north)
    stage.check(check_grew("the guests write on during the initial sync", before, witnessed_tops(stage, letters)))
    size_bytes = sum(layout.size_bytes for layout in layouts.values())
    stage.measured.add(f"initial sync of {size_text(size_bytes)}, to the first checkpoint", f"{seconds:.1f} s")


def _see_rhythm(stage: Stage) -> None:
    deadline = time.monotonic() + CHECKPOINTS_SECONDS
    while True:
        times = [time_ns_of(c["TimeStamp"]) for c in listed_checkpoints(stage, "south")]
        if len(times) >= CHECKPOINTS_AWAITED:
            break
        if time.monotonic() > deadline:
            raise Fault(f"Only {len(times)} checkpoints came within {CHECKPOINTS_SECONDS:.0f} s.", "See the logs.")
        time.sleep(0.25)
    stage.command("vpg", "checkpoints", VPG, "--site-dir", os.fspath(stage.site("south")))
    stage.check(check_rhythm(times, CHECKPOINT_INTERVAL_SECONDS, time.time_ns()))


def _cut_tagged(stage: Stage) -> None:
    begun = time.monotonic()
    done = stage.ask("vpg", "checkpoint", VPG, TAG, "--site-dir", os.fspath(stage.site("north")))
    seconds = time.monotonic() - begun
    stage.tagged_id = str(done["Checkpoint"]["CheckpointIdentifier"])
    stage.asked_ns = time_ns_of(done["Asked"])
    stage.completed_ns = time_ns_of(done["Task"]["Completed"]) + 1_000_000  # it is told in whole milliseconds
    tags = [c["Tag"] for c in listed_checkpoints(stage, "south") if c["CheckpointIdentifier"] == stage.tagged_id]
    stage.check(Check("the tagged checkpoint is listed with its tag", tags == [TAG], f"{stage.tagged_id}: {tags}"))
    stage.measured.add("tagged checkpoint, from the command to durable", f"{seconds:.1f} s")


def listed_checkpoints(stage: Stage, site: str) -> list[dict[str, Any]]:
    """The VPG's checkpoints as that site's API lists them, oldest first."""
    with stage.api(site) as api:
        vpg_id = api.get("/vpgs", name=VPG)[0]["VpgIdentifier"]
        found: list[dict[str, Any]] = api.get(f"/vpgs/{vpg_id}/checkpoints")
    return sorted(found, key=lambda checkpoint: int(checkpoint["CheckpointIdentifier"]))


def journal_folder(stage: Stage, site: str) -> Path:
    """The folder of the VPG's journal at that site."""
    with stage.api(site) as api:
        vpg_id = api.get("/vpgs", name=VPG)[0]["VpgIdentifier"]
    return stage.site(site) / "journal" / str(vpg_id)
