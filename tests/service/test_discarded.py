"""What a rollback by itself discards is kept, can be had back to the last byte, and goes: nothing half after kills."""

import json
import uuid
from pathlib import Path

import pytest

from tests.recovery_lab import RecoveryLab, Reference, first_difference
from tests.storage_lab import farshore, until

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def lab():
    """Two VMs with two disks each, protected, with a first checkpoint; nothing writes."""
    with RecoveryLab(vms=2, disks=2, size="16M") as made:
        made.begin()
        until(made.checkpoints, 60, "a first checkpoint")
        made.chain.end()
        yield made


def discarded(lab, *words, **more):
    """`farshore discarded` at south."""
    return farshore("discarded", *words, "--dir", lab.folder_of("south"), **more)


def pins(lab):
    """The operations that pin a checkpoint at south."""
    return set(lab.call("south", "journal_status", lab.vpg_id)["pins"])


def discard(lab, recovered, keep_seconds=3600.0):
    """As the step of a rollback does, and what comes after it."""
    told = {"vpg_id": recovered.vpg_id, "vpg_name": "group", "operation": recovered.operation}
    told |= {"checkpoint_id": recovered.checkpoint_id, "checkpoint_time_ns": 1}
    told |= {"volumes": recovered.numbers, "keep_seconds": keep_seconds}
    lab.call("south", "call", "discard_recovered", **told)


def tear_down(lab, recovered):
    """The rest of the rollback at the appliance."""
    lab.call("south", "remove_recovered_vms", recovered.operation)
    lab.call("south", "close_views", recovered.operation)
    lab.call("south", "unpin_checkpoint", recovered.vpg_id, recovered.operation)


def written_over(recovered):
    """What the recovered VMs' disks hold after a while of writes."""
    writer = Reference(recovered.disks)
    writer.start()
    until(lambda: writer.writes > 100 or writer.failures, 30, "writes")
    writer.end()
    assert not writer.failures
    return writer


def test_it_is_had_back_to_the_last_byte_though_the_appliance_was_killed(lab, tmp_path):
    """Put away twice, with a kill between; out of sight; saved; a pin of its own keeps it; removed on a word."""
    recovered = lab.recover(lab.vpg_id, uuid.uuid4().hex)
    writer = written_over(recovered)
    assert discarded(lab, "list", "--json") == []
    discard(lab, recovered)
    lab.kill_watcher("south")
    lab.await_appliance("south")
    discard(lab, recovered)
    tear_down(lab, recovered)
    assert [vm for vm in lab.call("south", "list_vms") if vm["recovered"]] == []
    assert not (lab.folder_of("south") / "scratch" / recovered.operation).exists()
    until(lambda: pins(lab) == {f"discarded-{recovered.operation}"}, 60, "its pin alone is left")
    (kept,) = discarded(lab, "list", "--json")
    assert (kept["Identifier"], kept["VpgName"], len(kept["Disks"])) == (recovered.operation, "group", 4)

    saved = discarded(lab, "save", recovered.operation, "--to", tmp_path / "back", "--json")["Files"]
    assert sorted(path.name for path in (tmp_path / "back").iterdir()) == sorted(Path(path).name for path in saved)
    record = json.loads((lab.folder_of("south") / "discarded" / recovered.operation / "record.json").read_text())
    by_disk = dict(zip([(disk["scratch"]) for disk in record["disks"]], saved, strict=True))
    sources = {vm["vm_id"]: vm["source_vm_id"] for vm in recovered.vms}
    for (vm_id, disk_id), content in writer.content.items():
        path = by_disk[f"{sources[vm_id]}.{disk_id}.qcow2"]
        assert first_difference(bytes(content), Path(path).read_bytes()) is None, path
    again = discarded(lab, "save", recovered.operation, "--to", tmp_path / "back", check=False)
    assert (again.returncode, "is there already" in again.stderr) == (4, True)

    assert discarded(lab, "remove", recovered.operation, check=False).returncode == 2  # nobody said yes
    discarded(lab, "remove", recovered.operation, "--yes")
    assert discarded(lab, "list", "--json") == []
    gone_is_gone(lab)


def gone_is_gone(lab):
    """Neither files nor pin."""
    until(lambda: list((lab.folder_of("south") / "discarded").iterdir()) == [], 60, "its files are gone")
    until(lambda: pins(lab) == set(), 60, "its pin is gone")


def test_it_goes_when_its_time_is_over_or_its_checkpoint_is_written_over(lab):
    """By itself; and a commit of the VPG does not wait for it."""
    recovered = lab.recover(lab.vpg_id, uuid.uuid4().hex)
    discard(lab, recovered, keep_seconds=3.0)
    tear_down(lab, recovered)
    gone_is_gone(lab)
    recovered = lab.recover(lab.vpg_id, uuid.uuid4().hex)
    discard(lab, recovered)
    tear_down(lab, recovered)
    later = lab.recover(lab.vpg_id, uuid.uuid4().hex)
    later.promote()
    later.await_promoted()
    assert discarded(lab, "list", "--json") == []
