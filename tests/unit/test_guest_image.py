"""The images of the test guest's disks are what their layouts say, and need neither root nor a mount."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from farshore.errors import BadInput, Damaged, Unavailable
from farshore.lab.disk_examination import Kind, examine_disk
from farshore.lab.guest_image import SIZE_BYTES_MIN, make_disk_image
from farshore.lab.guest_kernel import GuestKernel, find_guest_kernel
from farshore.lab.guest_vms import guest_definitions
from farshore.lab.law import ImageFile, check_images
from farshore.lab.record_layout import DiskLayout, disk_letter


@pytest.mark.parametrize("kind", ["raw", "ext4"])
def test_an_image_is_what_its_layout_says(tmp_path: Path, kind: Literal["raw", "ext4"]) -> None:
    """Ring and random data are read through the blocks that the layout names; damage to either is found there."""
    image = tmp_path / "Süd mit Leerzeichen.raw"
    made = make_disk_image(image, 3, kind, SIZE_BYTES_MIN)
    assert image.stat().st_size == SIZE_BYTES_MIN
    assert DiskLayout.load(image) == made
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert sum(extent.length for extent in made.random) > SIZE_BYTES_MIN // 2
    with ImageFile(image) as disk:
        found = examine_disk(made, disk)
        assert (found.letter, found.top, found.faults) == ("d", 0, ())
        with pytest.raises(Damaged):
            disk.pread(SIZE_BYTES_MIN - 10, 11)
    for extent, wanted in ((made.ring[0], Kind.HEADER), (made.random[-1], Kind.RANDOM)):
        with image.open("r+b") as file:
            file.seek(extent.offset + 100)
            byte = file.read(1)[0]
            file.seek(extent.offset + 100)
            file.write(bytes([byte ^ 1]))
        assert wanted in {fault.kind for fault in check_images([image]).faults}


@pytest.mark.parametrize("size_bytes", [SIZE_BYTES_MIN - 4096, SIZE_BYTES_MIN + 512])
def test_a_size_that_cannot_be_is_refused(tmp_path: Path, size_bytes: int) -> None:
    """Before anything is written."""
    with pytest.raises(BadInput):
        make_disk_image(tmp_path / "x", 0, "raw", size_bytes)
    assert not list(tmp_path.iterdir())


def test_definitions_name_what_was_made(tmp_path: Path) -> None:
    """Two VMs, two disks each: raw and ext4 in turn, numbered along the chain; names and addresses are unlike."""
    made = guest_definitions(tmp_path, 2, 2, SIZE_BYTES_MIN, GuestKernel(Path("k"), Path("i")), site_id="s")
    layouts = [DiskLayout.load(Path(disk.path)) for vm in made for disk in vm.disks]
    assert [(layout.letter, layout.kind) for layout in layouts] == [
        ("a", "raw"),
        ("b", "ext4"),
        ("c", "raw"),
        ("d", "ext4"),
    ]
    assert [vm.id for vm in made] == ["s.vm-1", "s.vm-2"]
    assert len({vm.nics[0].mac for vm in made}) == 2
    assert {vm.nics[0].network for vm in made} == {"lab"}
    assert "farshore.vm=2 farshore.vms=2 farshore.disks=2 farshore.mode=chain" in made[1].append


def test_a_guest_that_was_not_built_is_told_with_its_remedy(tmp_path: Path) -> None:
    """Not a traceback of QEMU's."""
    with pytest.raises(Unavailable) as raised:
        find_guest_kernel(tmp_path)
    assert "make setup" in raised.value.remedy


@pytest.mark.parametrize(("number", "letter"), [(0, "a"), (25, "z"), (26, "aa"), (27, "ab"), (701, "zz"), (702, "aaa")])
def test_disks_are_named_in_order(number: int, letter: str) -> None:
    """The guest's own naming (guest/src/record.c) is the same."""
    assert disk_letter(number) == letter
