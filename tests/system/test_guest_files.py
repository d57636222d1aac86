"""The test guest's small files: one whose removal a crash has cut does not stay for ever."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from farshore.lab.guest_kernel import find_guest_kernel
from farshore.lab.guest_vms import guest_definitions
from farshore.lab.record_layout import DiskLayout, make_record
from farshore.lab.serial import Acknowledged, Event, Verified
from tests.system.guest_lab import GuestLab, images_of, put_slot

SIZE_BYTES = 32 << 20
EVERY, KEPT, TOP = 25, 40, 1050
TOOLS = os.environ["PATH"] + ":/usr/sbin:/sbin"


def tool(name: str, *words: str) -> str:
    """Run one of ext4's tools; what it said."""
    path = shutil.which(name, path=TOOLS)
    assert path is not None
    return subprocess.run([path, *words], capture_output=True, text=True, check=False).stdout


def name_of(number: int) -> str:
    """A record's file."""
    return f"r{number:012}"


def names_in(image: Path, folder: Path) -> set[str]:
    """The small files of an image, once its journal has been replayed in a copy."""
    copy = folder / "copy.raw"
    shutil.copyfile(image, copy)
    tool("e2fsck", "-p", str(copy))
    listed = tool("debugfs", "-R", "ls -p /files", str(copy))
    copy.unlink()
    return set(re.findall(r"\br\d{12}\b", listed))


def test_a_file_whose_removal_was_cut_is_removed_by_the_next_boot(tmp_path: Path) -> None:
    """It is allowed when a guest looks, and gone before the chain has gone on so far that it would be a fault."""
    leftover = TOP - EVERY * KEPT
    with GuestLab(tmp_path / "site") as lab:
        (vm,) = guest_definitions(lab.folder / "disks", 1, 2, SIZE_BYTES, find_guest_kernel())
        for number, image in enumerate(images_of([vm])):
            slots = DiskLayout.load(image).slots
            for record in range(TOP - slots + 1, TOP + 1):
                put_slot(image, record % slots, make_record(record, number))
        (ext4,) = [image for image in images_of([vm]) if DiskLayout.load(image).kind == "ext4"]
        orders = ["cd /files"]
        for record in range(leftover, TOP + 1, EVERY):
            (tmp_path / name_of(record)).write_text(f"the file of record {record}\n")
            orders.append(f"write {tmp_path / name_of(record)} {name_of(record)}")
        (tmp_path / "orders").write_text("\n".join(orders) + "\n")
        tool("debugfs", "-w", "-f", str(tmp_path / "orders"), str(ext4))
        assert name_of(leftover) in names_in(ext4, tmp_path)
        lab.start([vm])

        def gone_on(event: Event) -> bool:
            assert not isinstance(event, Verified) or event.good, event
            return isinstance(event, Acknowledged) and event.letter == "b" and event.number > TOP + 2 * EVERY

        lab.wait_for(vm, gone_on)
        lab.kill(vm)
        names = names_in(ext4, tmp_path)
        assert name_of(TOP) in names
        assert name_of(leftover) not in names
