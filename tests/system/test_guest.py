"""The test guest does what the checks rely on: real QEMU, real ext4, real kill -9."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from farshore.lab.guest_kernel import find_guest_kernel
from farshore.lab.guest_vms import guest_definitions
from farshore.lab.law import check_images
from farshore.lab.record_layout import DiskLayout, make_empty, make_record
from farshore.lab.serial import (
    Acknowledged,
    Booted,
    Event,
    GuestFailure,
    HeardBoot,
    LawJudged,
    Mounted,
    Verified,
    read_events,
)
from farshore.lab.testimony import Testimony
from farshore.model.vm import VmDefinition
from tests.system.guest_lab import BOOT_SECONDS, GuestLab, flip_bit, images_of, put_slot

SIZE_BYTES = 32 << 20


def _made(lab: GuestLab, vms: int, disks: int) -> list[VmDefinition]:
    return guest_definitions(lab.folder / "disks", vms, disks, SIZE_BYTES, find_guest_kernel())


def _is_acknowledged(letter: str, number: int) -> Callable[[Event], bool]:
    return lambda event: isinstance(event, Acknowledged) and event.letter == letter and event.number >= number


def _is_law(event: Event) -> bool:
    return isinstance(event, LawJudged)


def _check_file_system(image: Path, folder: Path) -> None:
    """Replay the journal of a copy, then want e2fsck to find nothing."""
    copy = folder / "copy.raw"
    shutil.copyfile(image, copy)
    tool = shutil.which("e2fsck", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    assert tool is not None
    subprocess.run([tool, "-p", str(copy)], capture_output=True, check=False)
    found = subprocess.run([tool, "-fn", str(copy)], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout
    copy.unlink()


def _check_came_back(lab: GuestLab, definitions: list[VmDefinition], tops: dict[str, int]) -> None:
    """After a start: all disks verified as the host saw them, the law judged, the peers are those that were started."""
    for vm in definitions:
        lab.wait_for(vm, _is_law)
    boots = {vm.id: lab.wait_for(vm, lambda event: isinstance(event, Booted)) for vm in definitions}
    for vm in definitions:
        events = read_events(lab.log(vm))
        last_start = max(i for i, event in enumerate(events) if isinstance(event, Booted))
        since = events[last_start:]
        verified = {e.letter: e.top for e in since if isinstance(e, Verified)}
        assert verified == {letter: tops[letter] for letter in verified}
        assert len(verified) == len(vm.disks)
        assert all(e.clean for e in since if isinstance(e, Mounted))
        assert all(e.good for e in since if isinstance(e, LawJudged))
        others = {boot.boot for id_, boot in boots.items() if id_ != vm.id and isinstance(boot, Booted)}
        assert {e.boot for e in since if isinstance(e, HeardBoot)} == others


def test_guests_that_are_killed_hold_the_law_verify_and_go_on(tmp_path: Path) -> None:
    """Two VMs, two disks each: they talk, write, die by kill -9, hold all that was seen, come back, go on, switch off.

    The witness is on: each record that it saw acknowledged before the kill is on the disks.
    """
    with GuestLab(tmp_path / "Süd mit Leerzeichen") as lab:
        definitions = _made(lab, vms=2, disks=2)
        images = images_of(definitions)
        witness_file = tmp_path / "witness"
        logs = [f"{vm.name}={lab.log(vm)}" for vm in definitions]
        command = [sys.executable, "-m", "farshore.lab.witness", "--out", str(witness_file), *logs]
        with subprocess.Popen(command) as witness:
            try:
                lab.start(definitions[:1])  # the other one is late
                lab.wait_for(definitions[0], lambda event: event == Verified("b", 0, ""))
                lab.start(definitions[1:])
                lab.wait_for(definitions[1], _is_acknowledged("d", 60))
                killed_ns = time.time_ns()
                for vm in definitions:
                    lab.kill(vm)
            finally:
                witness.send_signal(signal.SIGTERM)
                witness.wait(timeout=10)
        testimony = Testimony.read(witness_file)
        assert testimony.last_acknowledged("d") >= 60
        report = check_images(images, testimony, asked_ns=killed_ns)
        assert report.good, report.summary
        assert {len(finding.boots) for finding in report.findings} == {1}
        _check_file_system(images[1], tmp_path)
        lab.start(definitions)
        _check_came_back(lab, definitions, report.tops)
        top = report.tops["d"]
        lab.wait_for(definitions[1], _is_acknowledged("d", top + 30))
        for vm in definitions:
            lab.press_power_button(vm)
        after = check_images(images)
        assert after.good, after.summary
        assert after.tops["d"] >= top + 30
        assert testimony.worst_write_seconds() < 2
        assert not [e for vm in definitions for e in read_events(lab.log(vm)) if isinstance(e, GuestFailure)]
        for image in (images[1], images[3]):
            _check_file_system(image, tmp_path)


def test_a_guest_that_is_lost_holds_the_others_and_they_go_on_with_it(tmp_path: Path) -> None:
    """Three VMs of one disk: while one is gone nobody writes more than the chain allows; then they go on."""
    with GuestLab(tmp_path / "site") as lab:
        definitions = _made(lab, vms=3, disks=1)
        lab.start(definitions)
        lab.wait_for(definitions[2], _is_acknowledged("c", 30))
        lab.kill(definitions[1])
        report = check_images(images_of(definitions))
        assert report.good, report.summary
        lab.start([definitions[1]])
        judged = lab.wait_for(definitions[1], _is_law)
        assert isinstance(judged, LawJudged)
        assert judged.good, judged.words
        lab.wait_for(definitions[1], _is_acknowledged("b", report.tops["b"] + 30))


def _leave_out(image: Path, number: int) -> None:
    put_slot(image, 30, make_empty(30, number))


def _swap(image: Path, number: int) -> None:
    put_slot(image, 30, make_record(31, number))
    put_slot(image, 31, make_record(30, number))


def _flip_in_record(image: Path, number: int) -> None:
    record = bytearray(make_record(30, number))
    record[2000] ^= 1
    put_slot(image, 30, bytes(record))


def _flip_in_random(image: Path, _: int) -> None:
    flip_bit(image, DiskLayout.load(image).random[-1].offset + 12345)


def test_a_guest_finds_each_damage_of_its_disks_and_does_not_go_on(tmp_path: Path) -> None:
    """A record left out, two swapped, a flipped byte in a record and in the random data: each is said, of that disk."""
    damages: list[tuple[Callable[[Path, int], None] | None, str]] = [
        (_leave_out, "slot 30 has magic FAREMPTY"),
        (None, ""),
        (_swap, "slot 30 has magic FARSHORE number 31"),
        (_flip_in_random, "the random data have changed"),
        (_flip_in_record, "slot 30 has magic FARSHORE number 30"),
    ]
    with GuestLab(tmp_path / "site") as lab:
        (vm,) = _made(lab, vms=1, disks=len(damages))
        for number, (image, (damage, _)) in enumerate(zip(images_of([vm]), damages, strict=True)):
            # None on an ext4 disk: no guest wrote to it, so their small files would be missing.
            records = 0 if DiskLayout.load(image).kind == "ext4" else 40
            for record in range(1, records + 1):
                put_slot(image, record, make_record(record, number))
            if damage is not None:
                damage(image, number)
        lab.start([vm])
        lab.wait_for(vm, lambda event: isinstance(event, GuestFailure) and "verify" in event.words)
        verified = [event for event in read_events(lab.log(vm)) if isinstance(event, Verified)]
        assert len(verified) == len(damages)
        for event, (damage, words) in zip(verified, damages, strict=True):
            assert event.good == (damage is None), event
            assert words in event.words
        host = {fault.letter for fault in check_images(images_of([vm])).faults if "without the one" not in str(fault)}
        assert host == {"a", "c", "d", "e"}


@pytest.mark.parametrize(("top_a", "top_c"), [(10, 11), (12, 10)])
def test_guests_find_disks_that_are_whole_but_break_the_law(tmp_path: Path, top_a: int, top_c: int) -> None:
    """Each disk is an unbroken row, and together they are no instant of the chain: the guest says so and stops."""
    with GuestLab(tmp_path / "site") as lab:
        definitions = _made(lab, vms=2, disks=1)
        for number, (image, top) in enumerate(zip(images_of(definitions), (top_a, top_c), strict=True)):
            for record in range(1, top + 1):
                put_slot(image, record, make_record(record, number))
        assert not check_images(images_of(definitions)).good
        lab.start(definitions)
        for vm in definitions:
            judged = lab.wait_for(vm, _is_law)
            assert isinstance(judged, LawJudged)
            assert not judged.good
        assert not [e for vm in definitions for e in read_events(lab.log(vm)) if isinstance(e, Acknowledged)]


def test_a_guest_without_a_network_says_so_and_says_each_error_once(tmp_path: Path) -> None:
    """It waits for the other VM in vain, tells it hundreds of times, and its log explains why nobody answers."""
    with GuestLab(tmp_path / "site") as lab:
        first, _ = _made(lab, vms=2, disks=1)
        mute = first.model_copy(update={"nics": ()})
        lab.start([mute])
        deadline = time.monotonic() + BOOT_SECONDS
        while "network told=0 " not in (said := lab.log(mute).read_text()):
            assert time.monotonic() < deadline, said[-300:]
            time.sleep(0.05)
        assert "network none\n" in said
        assert said.count("network send: ") == 1, said


def test_guests_hear_their_own_network_and_no_other(tmp_path: Path) -> None:
    """What shows that a failover test is isolated: each boot id in reach is heard and said, and no one else's.

    Also that of a double: a recovered VM has the name and the MAC address of the one that it was made from.
    """
    with GuestLab(tmp_path / "site") as lab:
        definitions = []
        for name in ("one", "other", "apart"):
            kernel = find_guest_kernel()
            (vm,) = guest_definitions(lab.folder / name, 1, 1, SIZE_BYTES, kernel, site_id=name, mode="verify")
            definitions.append(vm)
        one, other, apart = definitions
        lab.start([one, other], network="own")
        lab.start([apart], network="isolated")
        for vm in definitions:
            lab.wait_for(vm, _is_law)
        for vm in (one, other):
            lab.wait_for(vm, lambda event: isinstance(event, HeardBoot))
        boots = {vm.id: [e.boot for e in read_events(lab.log(vm)) if isinstance(e, Booted)] for vm in definitions}
        heard = {vm.id: [e.boot for e in read_events(lab.log(vm)) if isinstance(e, HeardBoot)] for vm in definitions}
        assert heard == {one.id: boots[other.id], other.id: boots[one.id], apart.id: []}
        for vm in definitions:
            assert "network eth0 10.77." in lab.log(vm).read_text()
