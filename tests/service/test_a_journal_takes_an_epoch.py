"""A higher epoch or another history is taken by the journal that runs: a failover must not wait for its restart."""

import json

import pytest

from farshore.cli.processes import site_processes
from farshore.model.appliance_specs import KeepSpec
from tests.recovery_lab import RecoveryLab
from tests.storage_lab import until

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def lab():
    """One VM, protected, with a first checkpoint; nothing writes."""
    with RecoveryLab(vms=1, disks=1, size="8M") as made:
        made.begin()
        until(made.checkpoints, 60, "a first checkpoint")
        made.chain.end()
        yield made


def carrier(lab):
    """The journal carrier's process."""
    processes = site_processes(lab.folder_of("south"))
    found = [process.pid for process in processes if "farshore.datapath.journal_carrier" in process.command]
    return found[0] if found else None


def kept(lab):
    """What stands in the appliance's file."""
    (path,) = (lab.folder_of("south") / "appliance" / "keep").glob("*.json")
    return KeepSpec.model_validate_json(path.read_text())


def keep(lab, **changes):
    """Order it kept so."""
    lab.call("south", "keep_vpg", kept(lab).model_copy(update=changes))


def test_a_higher_epoch_refuses_the_stream_at_once_and_the_journal_runs_on(lab):
    """The same carrier refuses the old stream; a watcher that is killed finds the new epoch."""
    before, spec = carrier(lab), kept(lab)
    keep(lab, epoch=spec.epoch + 1)
    assert (carrier(lab), kept(lab).epoch) == (before, spec.epoch + 1)
    status = lab.call("south", "journal_status", lab.vpg_id)
    assert status["epoch"] == spec.epoch + 1
    until(lambda: lab.call("north", "protection_status", lab.vpg_id)["link"] == "old_epoch", 20, "it is refused")
    lab.kill_watcher("south")
    lab.await_appliance("south")
    until(lambda: lab.call("south", "journal_status", lab.vpg_id)["state"] != "opening", 20, "the journal is open")
    assert lab.call("south", "journal_status", lab.vpg_id)["epoch"] == spec.epoch + 1


def test_another_history_is_taken_and_is_what_a_restart_finds(lab):
    """The carrier is not started again for it."""
    before = carrier(lab)
    keep(lab, history_seconds=7200)
    assert (carrier(lab), kept(lab).history_seconds) == (before, 7200)
    lab.kill_watcher("south")
    lab.await_appliance("south")
    until(lambda: carrier(lab) not in (before, None), 20, "another carrier runs")
    (path,) = (lab.folder_of("south") / "journal").glob("*/spec.json")
    assert json.loads(path.read_text())["history_seconds"] == 7200


def test_a_lower_epoch_is_not_taken(lab):
    """A running journal takes no lower one: the epoch stays."""
    before, spec = carrier(lab), kept(lab)
    keep(lab, epoch=spec.epoch - 1)
    assert until(lambda: carrier(lab) not in (before, None), 20, "another carrier runs")
    assert lab.call("south", "journal_status", lab.vpg_id)["epoch"] == spec.epoch


def test_a_journal_that_has_ended_begins_anew_with_a_higher_epoch(lab):
    """Empty, and under another identifier."""
    spec, before = kept(lab), lab.call("south", "journal_status", lab.vpg_id)
    lab.call("south", "call", "retire_journal", vpg_id=lab.vpg_id)
    keep(lab, epoch=spec.epoch + 2)
    after = lab.call("south", "journal_status", lab.vpg_id)
    assert (after["retired"], after["checkpoint_count"]) == (False, 0)
    assert after["journal_id"] != before["journal_id"]
