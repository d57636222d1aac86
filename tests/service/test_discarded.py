"""What a rollback by itself discards is kept, can be had back to the last byte, and goes: nothing half after kills."""

import json
import uuid
from pathlib import Path

import pytest

from farshore.datapath.journal.pins import own_name
from tests.recovery_lab import RecoveryLab, Reference, first_difference
from tests.service.test_operations_on_a_lab import ApiOf
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
    (vpg_id,) = (path.name for path in (lab.folder_of("south") / "journal").iterdir())
    return set(lab.call("south", "journal_status", vpg_id)["pins"])


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


def let_pins_live(lab, seconds):
    """From now on south's manager, which is started again for it, drops pins that old."""
    farshore("site", "set", "--dir", lab.folder_of("south"), "forget_pins_seconds", seconds)
    farshore("lab", "kill", "south", "manager", "--dir", lab.folder / "lab")
    until(lambda: lab.run("south", "vpg", "list", "--json"), 60, "the manager answers")


@pytest.mark.slow
def test_i21_pins_that_nobody_knows_go_and_all_others_stay(lab):
    """With the setting at 1 s: those of a live failover test, of what was discarded and of a living process stay.

    The journal lets nothing go that they keep; what was dropped is in the manager's log. The test goes on all the
    while: its VMs still read what its checkpoint has.
    """
    kept = lab.recover(lab.vpg_id, uuid.uuid4().hex)
    discard(lab, kept)
    tear_down(lab, kept)
    south, vpg_id = ApiOf(lab.site("south")), lab.vpg_id
    path = f"/v1/vpgs/{vpg_id}"
    before = pins(lab)
    south.completed(south.order("POST", f"{path}/FailoverTest"))
    living = own_name("export", "0")
    stay = pins(lab) | {living}
    assert len(stay - before) == 2
    lab.call("south", "pin_checkpoint", vpg_id, None, living)
    let_pins_live(lab, "1")
    log = lab.folder_of("south") / "log" / "manager.log"
    for lost in (uuid.uuid4().hex, f"{uuid.uuid4()}-guard", f"{living[:-2]}9-0"):  # the last one's process is gone
        lab.call("south", "pin_checkpoint", vpg_id, None, lost)
        assert lost in pins(lab)
        until(lambda lost=lost: lost not in pins(lab), 30, f"{lost} is dropped")
        assert f'"operation": "{lost}"' in log.read_text()
        assert pins(lab) == stay
    south.completed(south.order("POST", f"{path}/FailoverTestStop"))
    lab.call("south", "unpin_checkpoint", vpg_id, living)
    assert pins(lab) == before
    discarded(lab, "remove", kept.operation, "--yes")
    gone_is_gone(lab)
    let_pins_live(lab, "--default")


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
