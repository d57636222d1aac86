"""Halting, promotion and adoption of VMs at whole sites with storage VMs, by the appliance's calls alone."""

import asyncio
import os
import signal
import time
import uuid
from pathlib import Path

import pytest

from farshore.cli.processes import site_processes
from farshore.errors import Conflict, FarshoreError, NotFound
from farshore.hypervisor.driver import StartRequest
from farshore.model.appliance_specs import ProtectSpec
from farshore.model.site import SiteConfig
from farshore.model.vpg import Volume
from farshore.nbd.client import NbdClient, NbdFault
from tests.recovery_lab import Recovered, RecoveryLab, Reference, SmallStore, first_difference
from tests.storage_lab import until

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def lab():
    """Two VMs with two disks each, protected, with a first checkpoint; nothing writes."""
    with RecoveryLab(vms=2, disks=2, size="16M") as made:
        made.begin()
        until(made.checkpoints, 60, "a first checkpoint")
        made.chain.end()
        assert not made.chain.failures
        yield made


def disk_files(lab):
    """{(vm_id, disk_id): content} of the protected disks' files."""
    return {(vm["id"], disk["id"]): Path(disk["path"]).read_bytes() for vm in lab.made["vms"] for disk in vm["disks"]}


def protection(lab, vpg_id):
    """What must not change while a stream goes on without a break."""
    status = lab.call("north", "protection_status", vpg_id)
    assert status["state"] == "protecting", status
    return {name: status[name] for name in ("state", "session", "holes", "sync", "last_sync")}


def check_disks_at(lab, vpg_id, checkpoint_id):
    """Every disk is, to the last byte, what the checkpoint holds."""
    numbers = lab.volumes(checkpoint_id, vpg_id)
    for name, content in disk_files(lab).items():
        assert first_difference(content, lab.view_of(checkpoint_id, numbers[name])) is None, name


def test_a_checkpoint_cut_after_the_halt_holds_the_very_last_write(lab):
    """Nothing can be written once the VMs are halted, the marker counts, and afterwards all goes on without a sync."""
    vpg_id, operation = lab.vpg_id, uuid.uuid4().hex
    before = protection(lab, vpg_id)
    writer = Reference(lab.protected_disks())
    writer.start()
    until(lambda: writer.writes > 200, 20, "writes before the halt")
    lab.halt(vpg_id, operation, force=True)
    until(lambda: writer.failures, 20, "the writer is refused")
    writer.end()
    for socket, export in lab.protected_disks().values():
        with pytest.raises(NbdFault):
            NbdClient(socket, export)
    checkpoint_id = lab.checkpoint_now(vpg_id, "the last")
    check_disks_at(lab, vpg_id, checkpoint_id)
    assert protection(lab, vpg_id) == before
    lab.call("north", "revive_vms", vpg_id, operation)
    again = Reference(lab.protected_disks(), seed=2)
    again.start()
    until(lambda: again.writes > 200, 20, "writes after the revival")
    again.end()
    assert not again.failures
    check_disks_at(lab, vpg_id, lab.checkpoint_now(vpg_id, "after it"))
    assert protection(lab, vpg_id) == before


def test_what_ran_before_a_halt_runs_after_the_revival_whatever_was_killed(lab):
    """The watcher is killed and one halted process too: a rollback starts what ran, and leaves off what was off."""
    vpg_id, operation = lab.vpg_id, uuid.uuid4().hex
    off, killed = lab.vm_ids
    asyncio.run(lab.hypervisors("north").stop_vm(off, force=True))

    def halted():
        states = lab.call("north", "halt_vms", vpg_id, lab.vm_ids, operation, force=True)
        return states == {off: "off", killed: "halted"}

    until(halted, 20, "the VMs have halted")
    lab.kill_watcher("north")
    (process,) = [p for p in site_processes(lab.folder_of("north")) if p.role == "vm"]
    os.kill(process.pid, signal.SIGKILL)
    lab.await_appliance("north")
    lab.call("north", "revive_vms", vpg_id, operation)
    power = {vm["vm_id"]: vm["power"] for vm in lab.call("north", "list_vms")}
    assert power == {off: "off", killed: "running"}
    lab.call("north", "revive_vms", vpg_id, operation)  # again is fine


def protect_spec(lab, vpg_id):
    """An order for a VPG that no manager knows, and so none orders anything about."""
    south = SiteConfig.load(lab.folder_of("south"))
    volumes = [
        Volume(number=number, vm_id=vm["id"], disk_id=disk["id"], size_bytes=Path(disk["path"]).stat().st_size)
        for number, (vm, disk) in enumerate((vm, disk) for vm in lab.made["vms"] for disk in vm["disks"])
    ]
    return ProtectSpec(
        vpg_id=vpg_id, vpg_name="unknown", epoch=1, interval_seconds=1, window_bytes=16 << 20, volumes=tuple(volumes),
        vm_ids=tuple(lab.vm_ids), peer_site_id=south.site_id, peer_host=south.host, peer_port=south.appliance_port,
    )  # fmt: skip


def test_vms_that_run_are_neither_ended_nor_held_nor_deleted():
    """Each is refused, and what was held for nothing is released; a stranger's VM cannot be named at all."""
    with RecoveryLab(vms=2, disks=1, size="16M") as lab:
        lab.call("north", "protect_vpg", protect_spec(lab, vpg_id := str(uuid.uuid4())))
        check_refusals(lab, vpg_id, uuid.uuid4().hex)


def check_refusals(lab, vpg_id, operation):
    """One call after the other, on the way from VMs that run to VMs that are gone."""
    first, second = lab.vm_ids
    for call in ("end_vms", "delete_vms"):
        with pytest.raises(Conflict):
            lab.call("north", call, vpg_id, [first])
    with pytest.raises(Conflict):
        lab.call("north", "hold_vms", vpg_id, [first, second], "moved")
    with pytest.raises(NotFound):
        lab.call("north", "halt_vms", vpg_id, [first, "stranger"], operation, force=False)
    lab.halt(vpg_id, operation)
    lab.call("north", "retire_protection", vpg_id)
    with pytest.raises(NotFound):
        lab.call("north", "protection_status", vpg_id)
    lab.call("north", "end_vms", vpg_id, [first, second])
    lab.call("north", "hold_vms", vpg_id, [first, second], "It was moved to south.")
    drivers = lab.hypervisors("north")
    definition = drivers.definition(first)
    with pytest.raises(Conflict, match="moved to south"):
        asyncio.run(drivers.start_vms([StartRequest(definition)]))
    lab.call("north", "release_vms", vpg_id, [first])
    asyncio.run(drivers.start_vms([StartRequest(definition)]))
    lab.call("north", "delete_vms", vpg_id, [second])
    lab.call("north", "delete_vms", vpg_id, [second])
    assert [vm["vm_id"] for vm in lab.call("north", "list_vms")] == [first]
    gone = next(vm for vm in lab.made["vms"] if vm["id"] == second)
    assert not any(Path(disk["path"]).exists() for disk in gone["disks"])


def check_it_lives_alone(lab, recovered: Recovered, writer: Reference):
    """Adopt, retire, stop and start: the disks are plain files that hold what was written."""
    definitions = lab.call("south", "adopt_recovered", recovered.operation)
    assert lab.call("south", "adopt_recovered", recovered.operation) == definitions
    lab.call("south", "close_views", recovered.operation)
    lab.call("south", "unpin_checkpoint", recovered.vpg_id, recovered.operation)
    lab.call("south", "retire_journal", recovered.vpg_id, None)
    assert lab.call("south", "list_checkpoints", recovered.vpg_id) == []
    south = lab.folder_of("south")
    assert not (south / "scratch" / recovered.operation).exists()
    assert not any(role == "view" for _, role in lab.processes("south"))
    paths = {(d["id"], disk["id"]): Path(disk["path"]) for d in definitions for disk in d["disks"]}
    drivers = lab.hypervisors("south")
    listed = {vm.id: vm for vm in asyncio.run(drivers.list_vms())}
    assert {d["id"] for d in definitions} == set(listed)
    assert not any(vm.recovered or vm.label for vm in listed.values())
    for vm_id in listed:
        asyncio.run(drivers.stop_vm(vm_id, force=True))
    writer.check(lambda name: paths[name].read_bytes())
    asyncio.run(drivers.start_vms([StartRequest(drivers.definition(vm_id)) for vm_id in listed]))
    writer.check(recovered.read)
    assert {vm.power for vm in asyncio.run(drivers.list_vms())} == {"running"}


def test_recovered_vms_are_promoted_while_they_write_and_live_on_without_the_journal(lab):
    """The names are their own, no write fails or is lost, and the disks are plain files in the end."""
    vpg_id, operation = lab.vpg_id, uuid.uuid4().hex
    recovered = lab.recover(vpg_id, operation)
    assert sorted(vm["name"] for vm in recovered.vms) == sorted(vm["name"] for vm in lab.made["vms"])
    with pytest.raises(NotFound):
        recovered.status()
    writer = Reference(recovered.disks)
    writer.start()
    until(lambda: writer.writes > 100, 20, "writes before the promotion")
    recovered.promote()
    with pytest.raises(Conflict):
        lab.call("south", "remove_recovered_vms", operation)
    status = recovered.await_promoted()
    recovered.promote()  # again is fine
    assert status["done_bytes"] == status["total_bytes"] > 0
    written = writer.writes
    until(lambda: writer.writes > written + 100, 20, "writes after the promotion")
    writer.end()
    assert not writer.failures
    live = {vm.id: vm.pid for vm in asyncio.run(lab.hypervisors("south").list_vms())}
    assert {vm_id: vm["instance"].partition(":")[0] for vm_id, vm in status["vms"].items()} == {
        vm_id: str(pid) for vm_id, pid in live.items()
    }
    check_it_lives_alone(lab, recovered, writer)


def test_a_view_that_dies_as_its_vm_is_started_costs_no_recovery(lab):
    """Its VM cannot come up without it; it is started again when the view is there again."""

    def kill_views():
        views = [pid for pid, role in lab.processes("south") if role == "view"]
        assert len(views) == 4
        for pid in views:
            os.kill(pid, signal.SIGKILL)

    for _ in range(3):  # the appliance may see it before the VMs do
        recovered = lab.recover(lab.vpg_id, uuid.uuid4().hex, before_start=kill_views)
        assert [vm["power"] for vm in recovered.vms] == ["running", "running"]
        lab.call("south", "remove_recovered_vms", recovered.operation)
        lab.call("south", "close_views", recovered.operation)
        lab.call("south", "unpin_checkpoint", lab.vpg_id, recovered.operation)


def test_a_promotion_goes_on_when_the_watcher_is_killed_in_the_middle(lab):
    """It is killed again and again: the VMs write on, and nothing is lost."""
    vpg_id, operation = lab.vpg_id, uuid.uuid4().hex
    recovered = lab.recover(vpg_id, operation)
    writer = Reference(recovered.disks)
    for name in recovered.disks:
        writer.fill(name, 8 << 20)
    writer.start()
    recovered.promote()
    kills = 0
    while recovered.status()["state"] != "done" and kills < 8:
        time.sleep(0.4 * kills)  # each time a little later in its work
        lab.kill_watcher("south")
        kills += 1
        lab.await_appliance("south")
    recovered.await_promoted()
    writer.end()
    assert not writer.failures
    print(f"the watcher was killed {kills} times")
    check_it_lives_alone(lab, recovered, writer)


def test_a_vm_that_died_before_its_promotion_is_promoted_off(lab):
    """What it had written is in the plain files; no process is said to have counted."""
    vpg_id, operation = lab.vpg_id, uuid.uuid4().hex
    recovered = lab.recover(vpg_id, operation)
    writer = Reference(recovered.disks)
    for _ in range(200):
        writer.write_once()
    writer.end()
    for process in site_processes(lab.folder_of("south")):
        if process.role == "vm":
            os.kill(process.pid, signal.SIGKILL)
    recovered.promote()
    status = recovered.await_promoted()
    assert {vm["instance"] for vm in status["vms"].values()} == {""}
    check_it_lives_alone(lab, recovered, writer)


def test_only_some_vms_are_promoted_and_the_others_keep_their_checkpoints(lab):
    """A failover of one VM: the other one stays protected, and its checkpoints stay."""
    vpg_id, operation = lab.vpg_id, uuid.uuid4().hex
    first, second = lab.vm_ids
    recovered = lab.recover(vpg_id, operation, vm_ids=[first])
    writer = Reference(recovered.disks)
    writer.start()
    recovered.promote()
    recovered.await_promoted()
    writer.end()
    lab.call("south", "adopt_recovered", operation)
    lab.call("south", "close_views", operation)
    lab.call("south", "unpin_checkpoint", vpg_id, operation)
    (numbers,) = recovered.numbers.values()
    lab.call("south", "retire_journal", vpg_id, sorted(numbers.values()))
    writer.check(recovered.read)
    checkpoint_id = lab.checkpoint_now(vpg_id, "later")
    kept = {name: number for name, number in lab.volumes(checkpoint_id, vpg_id).items() if name[0] == second}
    assert kept
    for name, number in kept.items():
        assert first_difference(disk_files(lab)[name], lab.view_of(checkpoint_id, number)) is None


def test_a_promotion_of_what_is_not_there_is_refused(lab):
    """No such operation, no such VM, no such journal: said at once, and nothing is left of it."""
    vpg_id, operation = lab.vpg_id, uuid.uuid4().hex
    with pytest.raises(NotFound):
        lab.call("south", "promote_recovered", vpg_id, operation, "1", {"vm": {"a": 0}})
    recovered = lab.recover(vpg_id, operation, vm_ids=lab.vm_ids[:1])
    with pytest.raises(FarshoreError, match="stranger"):
        lab.call("south", "promote_recovered", vpg_id, operation, recovered.checkpoint_id, {"stranger": {"a": 0}})
    with pytest.raises(NotFound):
        lab.call("south", "adopt_recovered", operation)
    lab.call("south", "remove_recovered_vms", operation)
    lab.call("south", "close_views", operation)
    assert not list((lab.folder_of("south") / "appliance").glob("*/" + operation + ".json"))


@pytest.mark.root(reason="mounts a small file system for a lab")
def test_a_promotion_into_a_full_store_fails_in_words_and_goes_on_when_there_is_room():
    """The VM keeps what it wrote and writes on; asked again once there is room, the promotion comes to its end."""
    with SmallStore(300 << 20, vms=1, disks=1, size="64M") as lab:
        lab.begin()
        until(lab.checkpoints, 60, "a first checkpoint")
        lab.chain.end()
        vpg_id, operation = lab.vpg_id, uuid.uuid4().hex
        recovered = lab.recover(vpg_id, operation)
        writer = Reference(recovered.disks)
        (name,) = recovered.disks
        writer.fill(name, 48 << 20)
        lab.fill(leave_bytes=12 << 20)
        recovered.promote()
        failed = until(lambda: recovered.status()["state"] == "failed" and recovered.status(), 120, "it fails")
        assert "room" in failed["reason"] or "space" in failed["reason"].lower(), failed
        writer.fill(name, 48 << 20)  # where its scratch has room already
        writer.check(recovered.read)
        lab.empty()
        recovered.promote()
        recovered.await_promoted()
        writer.end()
        check_it_lives_alone(lab, recovered, writer)
