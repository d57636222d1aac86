"""Delta sync of real processes: a VM's process is killed, its disk changes, it is started again, and is compared."""

import json
import os
import random
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from farshore.cli.processes import site_processes
from farshore.errors import FarshoreError
from farshore.model.appliance_specs import ProtectSpec
from farshore.nbd.client import NbdClient
from tests.recovery_lab import RecoveryLab, first_difference
from tests.storage_lab import RING_BYTES, farshore, until

pytestmark = pytest.mark.timeout(300)
BLOCK = 4096
MIB = 1 << 20
BITMAP_GRAIN_BYTES = 65536


class DeltaLab(RecoveryLab):
    """Storage VMs whose disks are changed while they are off."""

    def protect(self):
        """Fill, protect, wait for the first checkpoint, and let all be acknowledged."""
        self.begin()
        until(self.checkpoints, 60, "a first checkpoint")
        self.chain.end()
        assert not self.chain.failures
        self.vpg_ = self.vpg_id
        until(self.synced_once, 30, "it is known that the journal has all")
        return self

    def synced_once(self):
        """Whether the appliance has noted that the journal holds the sync."""
        state = self.folder_of("north") / "appliance" / "state" / f"{self.vpg_}.json"
        return '"synced": {"' in state.read_text()

    def status(self):
        """What north says of the protection; nothing while its appliance does not answer."""
        try:
            return self.call("north", "protection_status", self.vpg_)
        except FarshoreError as error:
            raise AssertionError(str(error)) from error

    def paths(self):
        """The protected disks' files, by volume number's order."""
        return {(vm["id"], disk["id"]): Path(disk["path"]) for vm in self.made["vms"] for disk in vm["disks"]}

    def kill_vms(self):
        """kill -9 of every VM's process at north; with it die the bitmaps."""
        victims = [p.pid for p in site_processes(self.folder_of("north")) if p.role == "vm"]
        assert len(victims) == len(self.made["vms"])
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        until(lambda: not [p for p in site_processes(self.folder_of("north")) if p.role == "vm"], 20, "they are gone")

    def start_vms(self):
        """As their owner does."""
        code = (
            "import sys; from pathlib import Path; from farshore.lab.vms import start_vms; start_vms(Path(sys.argv[1]))"
        )
        subprocess.run([sys.executable, "-c", code, str(self.folder_of("north"))], check=True, timeout=60)

    def link(self, mode):
        """The line between the sites."""
        farshore("lab", "link", mode, "--dir", self.folder / "lab")

    def check_equal(self):
        """A checkpoint cut now is, to the last byte, what the disks hold."""
        checkpoint_id = self.checkpoint_now(self.vpg_, "after the delta sync")
        numbers = self.volumes(checkpoint_id, self.vpg_)
        for name, path in self.paths().items():
            assert first_difference(path.read_bytes(), self.view_of(checkpoint_id, numbers[name])) is None, name

    def delta_done(self):
        """The last sync's figures, once it is protecting again after a delta sync."""
        status = self.status()
        last = status["last_sync"]
        assert status["state"] == "protecting", status
        assert last["kind"] == "delta", status
        return last


def change_blocks(path, count, random_):
    """Change one byte in so many blocks of a file; how many there were."""
    blocks = random_.sample(range(path.stat().st_size // BLOCK), count)
    with path.open("r+b") as file:
        for block in blocks:
            at = block * BLOCK + random_.randrange(BLOCK)
            file.seek(at)
            byte = file.read(1)
            file.seek(at)
            file.write(bytes([byte[0] ^ 0xFF]))
    return count


def test_a_vm_whose_process_was_killed_is_compared_and_only_what_differs_is_sent():
    """The bitmaps died with it. At most 1.2 x the blocks that changed are sent, and the checkpoint is the disk."""
    print("seed", seed := random.randrange(2**32))
    random_ = random.Random(seed)
    with DeltaLab(vms=2, disks=2, size="48M").protect() as lab:
        lab.kill_vms()
        changed = sum(change_blocks(path, 100, random_) for path in lab.paths().values())
        zeroed = next(iter(lab.paths().values()))
        with zeroed.open("r+b") as file:  # data here was data there too; now it is a hole
            file.seek(MIB)
            file.write(bytes(MIB))
        lab.start_vms()
        last = until(lab.delta_done, 60, "protecting after a delta sync")
        print(last)
        total = sum(path.stat().st_size for path in lab.paths().values())
        assert last["done_bytes"] == last["total_bytes"] == total
        assert 0 < last["sent_bytes"] <= 1.2 * (changed * BLOCK + MIB)
        assert last["hash_bytes"] <= 16 * (total // MIB) + changed * 256 * 16 + 256 * 16
        assert 0 < last["read_bytes"] <= total + last["sent_bytes"]
        assert lab.status()["epoch"] == 1
        lab.check_equal()


def test_it_stands_a_link_that_is_cut_and_a_journal_carrier_that_is_killed_in_the_middle():
    """Each in the middle of the comparison: it goes on or begins again by itself, and both sides are equal after it."""
    random_ = random.Random(7)
    with DeltaLab(vms=1, disks=2, size="400M").protect() as lab:
        for harm, repair in (
            (lambda: lab.link("down"), lambda: lab.link("up")),
            (lambda: kill_journal(lab), lambda: None),
        ):
            lab.kill_vms()
            for path in lab.paths().values():
                fill(path, random_)
            ended_before = lab.status()["last_sync"]["ended_ns"]
            lab.start_vms()
            until(lambda: compares(lab), 60, "it compares")
            harm()
            repair()
            last = until(
                lambda before=ended_before: (last := lab.delta_done())["ended_ns"] > before and last, 120, "it is done"
            )
            print(last)
            lab.check_equal()


def test_while_the_other_site_is_away_it_waits_says_so_and_reads_nothing():
    """It never falls back to reading whole; writes meanwhile are in the stream; with the link it goes on by itself."""
    with DeltaLab(vms=1, disks=1, size="32M").protect() as lab:
        lab.kill_vms()
        lab.link("down")
        lab.start_vms()
        waiting = until(lambda: (s := lab.status())["state"] == "syncing" and s, 60, "it is attached and waits")
        until(lambda: "waiting until the other site has all" in lab.status()["reason"], 20, "it says why")
        assert waiting["sync"]["kind"] == "delta"
        ((socket, export),) = lab.protected_disks().values()
        with NbdClient(socket, export) as disk:
            disk.pwrite(20 * MIB, b"w" * 5000)
        assert lab.status()["sync"]["read_bytes"] == 0
        lab.link("up")
        last = until(lab.delta_done, 60, "it is done")
        assert last["sent_bytes"] <= 2 * BLOCK
        lab.check_equal()


def test_the_orders_word_that_a_journal_has_all_makes_it_a_bitmap_sync_while_the_bitmaps_hold():
    """After the protection was given up: with the word only what was written since is sent; else it is compared."""
    with DeltaLab(vms=1, disks=1, size="32M").protect() as lab:
        folder = lab.folder_of("north") / "appliance"
        spec = ProtectSpec.model_validate_json((folder / "protect" / f"{lab.vpg_}.json").read_text())
        known = json.loads((folder / "state" / f"{lab.vpg_}.json").read_text())
        word = {"synced": known["synced"], "journal_id": known["journal_id"]}

        def again(kind, **more):
            lab.call("north", "retire_protection", lab.vpg_)
            ((socket, export),) = lab.protected_disks().values()
            with NbdClient(socket, export) as disk:
                disk.pwrite(20 * MIB, os.urandom(BLOCK))
            lab.call("north", "protect_vpg", spec.model_copy(update=more))
            status = until(lambda: (s := lab.status())["state"] == "protecting" and s, 60, f"protecting after {kind}")
            assert status["last_sync"]["kind"] == kind
            lab.check_equal()
            return status["last_sync"]["sent_bytes"]

        # what the chain wrote last stands in generations that were not let go yet
        assert 0 < again("bitmap", **word) <= RING_BYTES + 4 * BITMAP_GRAIN_BYTES
        assert again("delta", delta=True) == BLOCK
        assert again("delta", delta=True, synced={lab.vm_ids[0]: "another process"}, journal_id=word["journal_id"]) > 0
        assert again("initial") > BLOCK


def test_a_journal_that_is_another_one_than_before_is_noticed_at_once_and_synced_anew():
    """Its identifier changes under a running stream (its store was changed): no checkpoint counts before a sync."""
    with DeltaLab(vms=1, disks=1, size="32M").protect() as lab:
        ended_ns = lab.status()["last_sync"]["ended_ns"]
        path = lab.journal_folder() / "epoch.json"
        told = json.loads(path.read_text())
        assert told["journal_id"]
        path.write_text(json.dumps({**told, "journal_id": str(uuid.uuid4())}))
        kill_journal(lab)

        def synced_anew():
            status = lab.status()
            assert status["state"] == "protecting"
            return status["last_sync"]["ended_ns"] > ended_ns and status["last_sync"]

        assert until(synced_anew, 60, "it is synced anew")["kind"] == "initial"
        lab.check_equal()


def fill(path, random_):
    """Random data in most of a file, so that a comparison takes its time."""
    with path.open("r+b") as file:
        file.seek(16 * MIB)
        for _ in range(path.stat().st_size // MIB - 16):
            file.write(random_.randbytes(MIB))


def compares(lab):
    """Whether a delta sync is in its middle."""
    sync = lab.status()["sync"]
    assert sync is None or sync["kind"] == "delta"
    return bool(sync) and sync["hash_bytes"] > 0


def kill_journal(lab):
    """kill -9 of south's journal carrier."""
    for pid, role in lab.processes("south"):
        if role == "journal":
            os.kill(pid, signal.SIGKILL)
