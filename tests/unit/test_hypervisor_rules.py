"""Rules of the hypervisor package that need no QEMU: names, the table of what is safe, what counts as a loss, files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farshore.errors import NotFound
from farshore.hypervisor.block_layer import names
from farshore.hypervisor.block_layer.bitmaps import fold
from farshore.hypervisor.block_layer.graph import Bitmap, BlockGraph
from farshore.hypervisor.block_layer.qualification import Manner, QemuVersion, Qualification
from farshore.hypervisor.block_layer.tapped import TappedDisk
from farshore.hypervisor.block_layer.vm_handle import reason_of_loss
from farshore.hypervisor.driver import Overlay
from farshore.hypervisor.inventory import Inventory
from farshore.hypervisor.processes import StartRecord, VmFolder
from farshore.hypervisor.qemu.command_line import command_line
from farshore.hypervisor.qemu.network import netdev_option
from farshore.model.vm import DiskDefinition, VmDefinition

DISK_IDS = st.from_regex(r"\A[a-z0-9][a-z0-9-]{0,31}\Z")


@given(DISK_IDS, DISK_IDS)
def test_names_of_nodes_fit_and_two_disks_never_share_one(one: str, other: str):
    """QEMU refuses node names over 31 bytes, and would take the wrong disk's node for a shared one."""
    makers = (names.shim_node, names.tap_node, names.filter_node, names.disk_node, names.sync_export)
    for make in makers:
        assert len(make(one).encode()) <= names.NODE_NAME_BYTES_MAX
        assert (make(one) == make(other)) == (one == other)
    assert names.job(one, "t").startswith(names.job_prefix(other)) == (one == other)


@given(st.integers(min_value=1))
def test_a_generations_name_tells_its_number(number: int):
    """And no other bitmap of ours is taken for one."""
    assert names.generation_number(names.generation(number)) == number
    assert names.generation_number(names.UNSHIPPED) is None
    assert names.generation_number(names.SYNC) is None


def test_only_soaked_versions_get_more_than_the_careful_way():
    """The rows of the table, and an unknown version on each side of them."""

    def manners(major: int, minor: int) -> tuple[Manner, Manner]:
        table = Qualification(QemuVersion(major, minor))
        return table.manner(iothread=False), table.manner(iothread=True)

    assert manners(7, 2) == (Manner.SHIM, Manner.DIRECT_PAUSED)
    assert manners(10, 0) == (Manner.SHIM, Manner.DIRECT)
    assert manners(11, 1) == (Manner.SHIM, Manner.SHIM)
    for unknown in ((6, 2), (7, 1), (8, 2), (9, 2), (10, 1), (11, 0), (12, 0)):
        assert manners(*unknown) == (Manner.DIRECT_PAUSED, Manner.DIRECT_PAUSED)
    assert Qualification(QemuVersion(7, 2), guest=False).manner(iothread=False) is Manner.DIRECT
    assert not Qualification(QemuVersion(8, 2)).may_export(iothread=True)
    assert Qualification(QemuVersion(8, 2)).may_export(iothread=False)
    assert not Qualification(QemuVersion(8, 2)).may_attach_beside_jobs


@pytest.mark.parametrize(
    ("name", "data", "lost"),
    [
        ("BLOCK_JOB_ERROR", {"device": "fs-mirror-a.1", "action": "report"}, True),
        ("BLOCK_JOB_COMPLETED", {"device": "fs-mirror-a.1", "error": "Input/output error"}, True),
        ("BLOCK_JOB_COMPLETED", {"device": "fs-mirror-a.1"}, True),
        ("BLOCK_JOB_CANCELLED", {"device": "fs-mirror-a.1"}, True),
        ("BLOCK_JOB_READY", {"device": "fs-mirror-a.1"}, False),
        ("BLOCK_JOB_COMPLETED", {"device": "backup"}, False),
        ("BLOCK_JOB_ERROR", {"device": "fs-mirror-a.0"}, False),
        ("DEVICE_DELETED", {"device": "vd-a", "path": "/machine/peripheral/vd-a"}, True),
        ("DEVICE_DELETED", {"path": "/machine/peripheral/vd-a/virtio-backend"}, True),
        ("DEVICE_DELETED", {"device": "vd-ab", "path": "/machine/peripheral/vd-ab"}, False),
        ("BLOCK_EXPORT_DELETED", {"id": "vd-a"}, True),
        ("BLOCK_EXPORT_DELETED", {"id": "fs-sync-a"}, False),
        ("STOP", {}, False),
    ],
)
def test_what_counts_as_a_loss(name: str, data: dict[str, str], lost: bool):
    """Of this very job and device, not of the owner's or of an earlier one of ours."""
    disk = TappedDisk("a", Manner.SHIM, "fs-shim-a", "fs-mirror-a.1", 4096)
    assert (reason_of_loss(name, data, disk) is not None) == lost


def test_a_chain_is_followed_through_the_owners_filters_and_not_into_files():
    """Shim -> backup's filter -> overlay -> base, each with a file below."""
    graph = BlockGraph(
        children={
            "fs-filter-a": {"backing": "fs-shim-a"},
            "fs-shim-a": {"file": "cbw"},
            "cbw": {"file": "overlay", "target": "backup"},
            "overlay": {"file": "overlay-file", "backing": "base"},
            "base": {"file": "base-file"},
            "overlay-file": {},
            "base-file": {},
            "backup": {"file": "backup-file"},
            "backup-file": {},
        },
        sizes={},
        bitmaps={},
    )
    assert graph.under_ours("fs-filter-a", "a") == "cbw"
    assert graph.layers("cbw") == ["cbw", "overlay", "base"]
    assert graph.layers("base") == ["base"]
    assert graph.top_over("base") == "fs-filter-a"


def test_folding_adds_before_it_merges_and_merges_before_it_removes():
    """In one transaction, so that nothing is in no bitmap at any moment."""
    old = [Bitmap("n", "farshore-g1", 0, recording=False)]
    assert [action["type"].removeprefix("block-dirty-bitmap-") for action in fold("n", "t", old, exists=False)] == [
        "add",
        "merge",
        "remove",
    ]
    assert fold("n", "t", [], exists=False) == []


def test_the_command_line_stands_paths_with_commas_and_umlauts(tmp_path: Path):
    """Each argument that is an option list has its commas doubled; JSON needs nothing."""
    path = "/srv/Büro, 2/disk.raw"
    definition = VmDefinition(id="v", name="a, b", disks=(DiskDefinition(id="a", path=path, size_bytes=512),))
    serial = tmp_path / "x,y"
    record = StartRecord(definition, {"a": Overlay(tmp_path / "s", "e", tmp_path / "z,")}, serial, tmp_path, "")
    arguments = command_line(record, VmFolder(tmp_path, "v"), "tcg", paused=True)
    assert "guest=a,, b" in arguments
    assert any("x,,y" in argument for argument in arguments)
    view, top = [json.loads(argument) for argument in arguments if argument.startswith("{")]
    assert view["reconnect-delay"] == 60
    assert top["file"]["filename"] == str(tmp_path / "z,")
    assert "-S" in arguments
    assert StartRecord.from_json(record.to_json()) == record
    assert netdev_option({"type": "dgram", "id": "d", "local": {"type": "unix", "path": "/a,b"}}) == (
        "dgram,id=d,local.type=unix,local.path=/a,,b"
    )


def test_a_bad_file_of_the_inventory_is_named_and_hinders_no_other(tmp_path: Path):
    """Not JSON, a member that does not exist, two disks of one name, a file that may not be read, a good one."""
    inventory = Inventory(tmp_path)
    assert Inventory(tmp_path / "none").entries() == []
    inventory.put(VmDefinition(id="good", name="good"))
    disk = {"id": "a", "path": "/x", "size_bytes": 1}
    (tmp_path / "twice.json").write_text(json.dumps({"id": "twice", "name": "x", "disks": [disk, disk]}))
    (tmp_path / "extra.json").write_text(json.dumps({"id": "extra", "name": "x", "colour": "red"}))
    (tmp_path / "text.json").write_text("no JSON")
    (tmp_path / "folder.json").mkdir()
    problems = {entry.vm_id: entry.problem for entry in inventory.entries()}
    assert problems.pop("good") is None
    assert all(problem and f"{tmp_path}/{name}.json" in problem for name, problem in problems.items())
    assert "colour" in (problems["extra"] or "")
    with pytest.raises(NotFound, match=r"twice\.json"):
        inventory.find("twice")
    for strange in ("../good", "", ".", "a/b", "x" * 300, "\0"):
        assert inventory.find(strange) is None
