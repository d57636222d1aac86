"""A lab whose VMs are cloned: orders in JSON and XML, copiers that are stopped in their copy, and what is left."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import ssl
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import httpx

from farshore.cli.processes import SiteProcess, site_processes
from farshore.lab.disk_examination import examine_disk
from farshore.lab.law import check_prefix
from farshore.model.process_lock import holder_of
from farshore.model.site import SiteConfig
from farshore.model.vm import VmDefinition
from farshore.nbd.client import NbdClient
from tests.api_lab import COMPLETED, ApiLab
from tests.recovery_lab import RecoveryLab

XMLNS = "http://schemas.zerto.com/zvm/api"
CHECKPOINT = re.compile(r"Checkpoint (\d+) in datastore (.+), off: (.+)\.")
FOUND_SECONDS = 60


class Copiers(RecoveryLab):
    """The processes at south that copy clones."""

    def copiers(self) -> list[SiteProcess]:
        """The copiers of clones that run."""
        return [p for p in site_processes(self.folder_of("south")) if "farshore.datapath.clone" in p.command]

    def stop_copier(self, besides: int = 0) -> int:
        """Stop the copier that runs, or comes, in the middle of its copy: the clone gets no further."""
        deadline = time.monotonic() + FOUND_SECONDS
        while not (found := [p.pid for p in self.copiers() if p.pid != besides]):
            assert time.monotonic() < deadline, "no copier came"
        pid = found[0]
        os.kill(pid, signal.SIGSTOP)
        while not (self.unfinished() and pid in self.writers()):  # it has not begun to write
            assert time.monotonic() < deadline, "it does not write"
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.01)
            os.kill(pid, signal.SIGSTOP)
        return pid

    def writers(self) -> list[int | None]:
        """The processes that write a clone."""
        return [holder_of(lock) for lock in (self.folder_of("south") / "disks").glob("clone-*/lock")]

    def unfinished(self) -> list[Path]:
        """Images that are being written."""
        return list((self.folder_of("south") / "disks").rglob("*.part"))


class CloneLab(Copiers, ApiLab):
    """South has a second datastore; the disks have so much on them that a copy takes a moment."""

    def __init__(self, **more: Any) -> None:
        super().__init__(size="48M", **more)
        try:
            self.second = self.folder / "second store"
            self.second.mkdir()
            folder = self.folder_of("south")
            config = SiteConfig.load(folder)
            settings = config.settings.model_copy(update={"datastores": {"second": str(self.second)}})
            config.model_copy(update={"settings": settings}).save(folder)
            self.kill_watcher("south")
            self.await_appliance("south")
            for vm in self.made["vms"]:
                for disk in vm["disks"]:
                    self.fill(disk)
            self.await_protected("north")
        except BaseException:
            self.close()
            raise

    def fill(self, disk: dict[str, Any]) -> None:
        """Much that is not zero, behind what the chain writes."""
        with NbdClient(disk["nbd_socket"], disk["nbd_export"]) as client:
            for at in range(16 << 20, 40 << 20, 1 << 20):
                client.pwrite(at, os.urandom(1 << 20))
            client.flush()

    def post(self, site: str, action: str, notation: str, members: dict[str, Any]) -> httpx.Response:
        """An action in that notation, as its clients write it."""
        api = self.api[site]
        if notation == "json":
            return api.request("POST", f"{self.path}/{action}", members)
        api.request("GET", "/v1/localsite")  # signs in
        body = "".join(f"<{name}>{_xml(value)}</{name}>" for name, value in members.items())
        context = ssl.create_default_context(cafile=api.site["ca"])
        with httpx.Client(base_url=api.site["url"], verify=context, trust_env=False, timeout=30) as client:
            return client.post(
                f"{self.path}/{action}",
                content=f'<any xmlns="{XMLNS}">{body}</any>',
                headers=api.headers | {"Content-Type": "application/xml"},
            )

    def begin_clone(self, site: str, notation: str, **members: Any) -> str:
        """Order a clone; its task."""
        reply = self.post(site, "CloneStart", notation, members)
        assert reply.status_code == 200, reply.text
        if notation == "json":
            return str(reply.json()["TaskIdentifier"])
        return str(fromstring(reply.text).findtext(f"{{{XMLNS}}}TaskIdentifier"))

    def completed(self, task_id: str) -> tuple[str, str, list[str]]:
        """Of a clone that has completed: checkpoint, datastore, names of the VMs."""
        task = self.task("south", task_id)
        assert task["Status"] == {"State": COMPLETED, "Progress": 100}, task
        found = CHECKPOINT.fullmatch(task["CompleteReason"])
        assert found, task
        return found[1], found[2], found[3].split(", ")

    def inventory(self) -> dict[str, dict[str, Any]]:
        """{name: definition} of the VMs of south."""
        files = (self.folder_of("south") / "vms").glob("*.json")
        return {vm["name"]: vm for vm in map(json.loads, (file.read_text() for file in files))}

    def left_behind(self) -> list[str]:
        """What clones have at the appliance and in the datastores, besides the disks of VMs."""
        disks = {disk["path"] for vm in self.inventory().values() for disk in vm["disks"]}
        folder = self.folder_of("south")
        kinds = ("appliance/clones/*", "appliance/views/*", "journal/*/pins/*")
        found = [str(path) for kind in kinds for path in folder.glob(kind)]
        for place in (folder / "disks", self.second):
            found += [str(path) for path in place.rglob("*") if path.is_file() and str(path) not in disks]
            found += [str(path) for path in place.glob("*") if not any(path.iterdir())]
        return found

    def check_clone(self, checkpoint_id: str, names: list[str], sources: list[str]) -> None:
        """VMs of their own, off, with the checkpoint's bytes on sparse disks; the law holds over all of them."""
        vpg_id = self.path.rpartition("/")[2]
        volumes = self.volumes(checkpoint_id, vpg_id)
        listed, inventory = self.vms("south"), self.inventory()
        time_ns = next(c["time_ns"] for c in self.call("south", "list_checkpoints", vpg_id)
                       if str(c["id"]) == checkpoint_id)  # fmt: skip
        moment = datetime.fromtimestamp(time_ns / 1e9, UTC).strftime("%Y-%m-%d %H.%M.%S")
        findings = []
        assert len(names) == len(sources)
        for name, source in zip(names, sources, strict=True):
            vm_id = next(vm["id"] for vm in self.made["vms"] if vm["name"] == source)
            assert re.fullmatch(re.escape(f"{source} - {moment} (clone") + r"( \d+)?\)", name)
            assert (listed[name]["power"], listed[name]["recovered"]) == ("off", False)
            assert inventory[name]["id"] != vm_id
            for disk in inventory[name]["disks"]:
                number = volumes[vm_id, disk["id"]]
                content = Path(disk["path"]).read_bytes()
                assert content == self.view_of(checkpoint_id, number), f"{name} {disk['id']}"
                assert disk["size_bytes"] == len(content)
                assert os.stat(disk["path"]).st_blocks * 512 < len(content) - (4 << 20)
                assert disk["format"] == "raw"
                findings.append(examine_disk(self.chain.layouts[number], _Bytes(content)))
        assert [fault for finding in findings for fault in finding.faults] + check_prefix(findings) == []
        assert all(finding.top > 0 for finding in findings)

    def check_it_starts(self, name: str) -> None:
        """The clone is a VM like any other: it starts, and has its disks' content."""
        definition = VmDefinition.model_validate(self.inventory()[name])

        async def story() -> None:
            hypervisors = self.hypervisors("south")
            started = await hypervisors.start_vm(definition)
            try:
                assert [disk.disk_id for disk in started.disks] == [disk.id for disk in definition.disks]
                for disk, defined in zip(started.disks, definition.disks, strict=True):
                    with NbdClient(str(disk.nbd_socket), disk.nbd_export) as client:
                        assert client.pread(0, 1 << 20) == Path(defined.path).read_bytes()[: 1 << 20]
            finally:
                await hypervisors.stop_vm(definition.id, force=True)

        asyncio.run(story())


class _Bytes:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def pread(self, offset: int, length: int) -> bytes:
        return self.content[offset : offset + length]


def _xml(value: Any) -> str:
    return "".join(f"<string>{item}</string>" for item in value) if isinstance(value, list) else str(value)
