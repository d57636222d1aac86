"""What tests of halting, promotion and adoption do by themselves on a lab of storage VMs, without any operation."""

import asyncio
import os
import random
import signal
import subprocess
import tempfile
import threading
import uuid
from pathlib import Path

from farshore.appliance.client import ApplianceClient
from farshore.cli.processes import site_processes
from farshore.datapath.view.volume import open_view
from farshore.hypervisor.registry import Hypervisors
from farshore.identity.contexts import client_context
from farshore.model.rundir import run_directory
from farshore.model.site import SiteConfig
from farshore.nbd.client import NbdClient, NbdFault
from tests.storage_lab import StorageLab, until

CHUNK_BYTES = 1 << 20


class Reference(threading.Thread):
    """Writes to disks at random until `end`, and keeps what they must hold. `disks`: {name: (socket, export)}."""

    def __init__(self, disks, seed=1):
        super().__init__(daemon=True)
        self.clients = {name: NbdClient(path, export) for name, (path, export) in disks.items()}
        self.content = {name: bytearray(read_whole(client)) for name, client in self.clients.items()}
        self.random = random.Random(seed)
        self.writes = 0
        self.failures = []
        self._ending = threading.Event()

    def run(self):
        try:
            while not self._ending.is_set():
                self.write_once()
                self._ending.wait(0.001)
        except NbdFault as error:
            self.failures.append(str(error))

    def write_once(self):
        """One write or zeroing, anywhere, of any length up to 64 KiB, on one of the disks."""
        name = self.random.choice(sorted(self.clients))
        client, content = self.clients[name], self.content[name]
        length = self.random.choice([512, 4096, 8192, 65536])
        offset = self.random.randrange(0, len(content) - length) & ~511
        if self.random.random() < 0.1:
            client.zero(offset, length)
            content[offset : offset + length] = bytes(length)
        else:
            data = self.random.randbytes(length)
            client.pwrite(offset, data)
            content[offset : offset + length] = data
        self.writes += 1

    def fill(self, name, size_bytes):
        """Write that much at the disk's end, so that a commit takes its time."""
        start = len(self.content[name]) - size_bytes
        for offset in range(start, start + size_bytes, CHUNK_BYTES):
            data = self.random.randbytes(CHUNK_BYTES)
            self.clients[name].pwrite(offset, data)
            self.content[name][offset : offset + CHUNK_BYTES] = data

    def end(self):
        """Stop writing; the connections are closed."""
        self._ending.set()
        if self.is_alive():
            self.join(30)
        for client in self.clients.values():
            if not self.failures:
                client.flush()  # without it, what a killed process was given may be gone
            client.close()

    def check(self, read):
        """Compare each disk with what `read(name)` gives, whole."""
        for name, content in self.content.items():
            assert first_difference(bytes(content), read(name)) is None, f"{name} differs"


def first_difference(one, other):
    """The first byte at which two contents differ, None when they are the same."""
    if one == other:
        return None
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def read_whole(client):
    """The whole content of an export."""
    sizes = range(0, client.size_bytes, CHUNK_BYTES)
    return b"".join(client.pread(at, min(CHUNK_BYTES, client.size_bytes - at)) for at in sizes)


class RecoveryLab(StorageLab):
    """A lab with a VPG and straight calls to the appliances of its sites."""

    def call(self, site, call, *args, seconds=60, **more):
        """A call of the appliance's client, by its typed method."""
        return asyncio.run(asyncio.wait_for(self._call(site, call, args, more), seconds))

    async def _call(self, site, call, args, more):
        folder = self.folder_of(site)
        config = SiteConfig.load(folder)
        client = ApplianceClient(
            config.host, config.appliance_port, client_context(folder / "identity", config.site_id)
        )
        try:
            return await getattr(client, call)(*args, **more)
        finally:
            await client.close()

    def folder_of(self, site):
        """The site's folder."""
        return Path(self.site(site)["folder"])

    @property
    def vpg_id(self):
        """The VPG's identifier."""
        return self.run("south", "vpg", "show", self.vpg, "--json")["VpgIdentifier"]

    @property
    def vm_ids(self):
        """The protected VMs."""
        return [vm["id"] for vm in self.made["vms"]]

    def protected_disks(self):
        """{(vm_id, disk_id): (socket, export)} of the protected VMs."""
        return {
            (vm["id"], disk["id"]): (disk["nbd_socket"], disk["nbd_export"])
            for vm in self.made["vms"]
            for disk in vm["disks"]
        }

    def volumes(self, checkpoint_id, vpg_id):
        """{(vm_id, disk_id): number} at a checkpoint."""
        listed = self.call("south", "call", "volumes_at", vpg_id=vpg_id, checkpoint_id=checkpoint_id)
        return {(v["vm_id"], v["disk_id"]): v["number"] for v in listed}

    def halt(self, vpg_id, operation, force=False):
        """Ask until all are halted."""

        def asked():
            states = self.call("north", "halt_vms", vpg_id, self.vm_ids, operation, force=force)
            return set(states.values()) == {"halted"}

        until(asked, 20, "the VMs have halted")

    def checkpoint_now(self, vpg_id, tag):
        """Cut a checkpoint and wait until it is durable at the other site; its identifier."""
        task = uuid.uuid4().hex
        marker = self.call("north", "cut_checkpoint", vpg_id, tag, task)

        def found():
            checkpoint = self.call("south", "find_marker", vpg_id, marker_id=marker["marker_id"])
            assert checkpoint is None or "void" not in checkpoint, checkpoint
            return checkpoint and checkpoint["id"]

        return until(found, 20, "the checkpoint is durable")

    def view_of(self, checkpoint_id, number):
        """The content of a volume at a checkpoint, from the journal's files."""
        with open_view(self.journal_folder(), checkpoint_id, number) as view:
            buffer = bytearray(view.size_bytes)
            view.read_into(memoryview(buffer), 0)
            return bytes(buffer)

    def recover(self, vpg_id, operation, vm_ids=None, checkpoint_id=None, before_start=lambda: None):
        """Pin, open views and start recovered VMs as a failover does; a `Recovered`."""
        checkpoint = self.call("south", "pin_checkpoint", vpg_id, checkpoint_id, operation)
        definitions = self.call("south", "definitions_at", vpg_id, checkpoint["id"])
        chosen = [definitions[vm_id] for vm_id in vm_ids or self.vm_ids]
        numbers = self.volumes(checkpoint["id"], vpg_id)
        of_vms = {d["id"]: {disk["id"]: numbers[d["id"], disk["id"]] for disk in d["disks"]} for d in chosen}
        wanted = [number for of_vm in of_vms.values() for number in of_vm.values()]
        opened = self.call("south", "open_views", vpg_id, checkpoint["id"], operation, wanted)
        views = {vm: {disk: opened[number] for disk, number in of_vm.items()} for vm, of_vm in of_vms.items()}
        before_start()
        started = self.call("south", "start_recovered_vms", operation, "", chosen, views, isolated=False)
        return Recovered(self, vpg_id, operation, checkpoint["id"], started, of_vms)

    def hypervisors(self, site):
        """The drivers of a site, as another process has them."""
        return Hypervisors(self.folder_of(site), run_directory(self.folder_of(site)))

    def kill_watcher(self, site):
        """Kill the appliance's process; the site's own starts it again."""
        (watcher,) = [p for p in site_processes(self.folder_of(site)) if p.role == "watcher"]
        os.kill(watcher.pid, signal.SIGKILL)
        return watcher.pid

    def await_appliance(self, site):
        """Wait until it answers, and has the journals that it keeps open."""
        until(lambda: self._answers(site), 30, f"the appliance of {site} answers")

    def _answers(self, site):
        kept = [path.stem for path in (self.folder_of(site) / "appliance" / "keep").glob("*.json")]
        try:
            assert self.call(site, "call", "ping")
            return all(self.call(site, "journal_status", vpg_id)["state"] != "opening" for vpg_id in kept)
        except Exception as error:
            raise AssertionError(str(error)) from error


class SmallStore(RecoveryLab):
    """A lab on a small file system of its own, which can be filled. Needs root."""

    def __init__(self, size_bytes, **more):
        self.mounted = Path(tempfile.mkdtemp(prefix="fss", dir="/tmp"))
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", self.mounted], check=True)
        try:
            super().__init__(**more, folder=self.mounted / "store")
        except BaseException:
            self._unmount()
            raise

    def fill(self, leave_bytes):
        """Let only so much be free."""
        statistics = os.statvfs(self.mounted)
        with (self.mounted / "ballast").open("wb") as file:
            file.write(bytes(max(0, statistics.f_bavail * statistics.f_frsize - leave_bytes)))

    def empty(self):
        """Give the room back."""
        (self.mounted / "ballast").unlink(missing_ok=True)

    def close(self):
        self.empty()
        super().close()
        self._unmount()

    def _unmount(self):
        subprocess.run(["umount", self.mounted], check=True)
        self.mounted.rmdir()


class Recovered:
    """Recovered VMs of one operation at south."""

    def __init__(self, lab, vpg_id, operation, checkpoint_id, started, of_vms):
        self.lab, self.vpg_id, self.operation, self.checkpoint_id = lab, vpg_id, operation, checkpoint_id
        self.vms = started
        self.numbers = {vm["vm_id"]: of_vms[vm["source_vm_id"]] for vm in started}
        self.disks = {
            (vm["vm_id"], disk["disk_id"]): (disk["nbd_socket"], disk["nbd_export"])
            for vm in started
            for disk in vm["disks"]
        }

    def promote(self):
        """Order it."""
        self.lab.call(
            "south", "promote_recovered", self.vpg_id, self.operation, self.checkpoint_id, self.numbers, seconds=60
        )

    def status(self):
        """How far it is."""
        return self.lab.call("south", "promotion_status", self.operation)

    def await_promoted(self, seconds=60):
        """Wait until it is done; its status."""

        def ended():
            status = self.status()
            return status if status["state"] != "running" else None

        status = until(ended, seconds, "promoted")
        assert status["state"] == "done", status
        return status

    def read(self, name):
        """The content of a disk as the VM gives it."""
        with NbdClient(*self.disks[name]) as client:
            return read_whole(client)
