"""Orders whose manager is killed (-9) the moment its 200 has been read, on a lab over HTTPS [G11].

Each order is given in JSON or in XML at one of the sites; then the manager that answered dies, or the other site's
that carries it out. What the disks must hold is kept here, byte by byte, apart from the product.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import os
import random
import signal
import ssl
import time
from typing import Any
from xml.etree.ElementTree import fromstring

import httpx

from farshore.cli.processes import site_processes
from tests.clone_lab import Copiers
from tests.killed_lab import SITES, KilledLab
from tests.storage_lab import until

API = "{http://schemas.zerto.com/zvm/api}"
RUNNING, FAILED, COMPLETED = 1, 4, 6
WAYS = ("the one that carries it out", "the one that answered", "the other one, which carries it out")
"""Whose manager is killed: ordered where it is carried out; ordered at the other site, whose own dies, or not."""
PASSED_ON_SECONDS = 2.0
END_SECONDS = 90


@dataclasses.dataclass
class Ordered:
    """One order: its task, where it was carried out, and when it was given."""

    task_id: str
    runs_at: str
    began_ns: int


class RepliesLab(Copiers, KilledLab):
    """Its managers come again at once, however often they die."""


class KilledReplies:
    """A protected lab. `way`: one of WAYS for every order, or None: drawn for each."""

    def __init__(self, lab: RepliesLab, seed: int, way: str | None = None) -> None:
        lab.begin()
        until(lab.checkpoints, 60, "a first checkpoint")
        lab.chain.end()
        self.lab, self.way, self.random = lab, way, random.Random(seed)
        self.content = {name: bytes(content) for name, content in lab.read_disks("north").items()}
        self.kills = 0
        self.await_state((1, 0), "north")

    # -- orders

    def order(self, action: str, body: dict[str, Any] | None = None, *, runs_at: str, type_: str) -> Ordered:
        """Give the order, kill as drawn; all that follows has come to its end, once.

        `runs_at`: the site that carries it out, or "" for the one that is asked.
        """
        way = self.way or self.random.choice(WAYS)
        asked = self.random.choice(SITES) if not runs_at else runs_at if way == WAYS[0] else other(runs_at)
        runs_at = runs_at or asked
        victim = asked if way == WAYS[1] else runs_at
        known = {site: self.tasks(site, type_) for site in SITES}
        began_ns = time.time_ns()
        task_id = self._order_and_kill(action, body, asked, victim)
        ordered = Ordered(task_id, runs_at, began_ns)
        print(f"{action} at {asked}, carried out by {runs_at}; killed: the manager of {victim}")
        for site in {asked, runs_at}:
            task = self.ended(site, task_id)
            assert task["Status"]["State"] == COMPLETED, (action, site, task)
            assert self.tasks(site, type_) - known[site] == {task_id}
        until(lambda: self.effects(ordered) == 1, END_SECONDS, f"{action} is recorded once")
        self.once()
        return ordered

    def _order_and_kill(self, action: str, body: dict[str, Any] | None, asked: str, victim: str) -> str:
        while True:
            began = time.monotonic()
            reply = self._ask_and_kill(action, body, asked, victim)
            elapsed = time.monotonic() - began
            assert reply.status_code == 200, (action, reply.text)
            task_id = task_of(reply)
            # Not answered in 2 s by the site that it was passed on to: given out, and ended as not begun [G1, I8].
            if elapsed < PASSED_ON_SECONDS or "Nothing was changed" not in self.ended(asked, task_id)["CompleteReason"]:
                return task_id

    def _ask_and_kill(self, action: str, body: dict[str, Any] | None, asked: str, victim: str) -> httpx.Response:
        api = self.lab.api[asked]
        method, path, sent = self._request(action, body, asked)
        api.request("GET", "/v1/localsite")  # signed in
        context = ssl.create_default_context(cafile=api.site["ca"])
        with httpx.Client(base_url=api.site["url"], verify=context, trust_env=False, timeout=30) as client:
            client.get("/v1/localsite", headers=api.headers)  # connected
            pid = self.manager(victim)
            reply = client.request(method, path, headers=api.headers | sent["headers"], content=sent["content"])
            os.kill(pid, signal.SIGKILL)
        self.kills += 1
        return reply

    def _request(self, action: str, body: dict[str, Any] | None, asked: str) -> tuple[str, str, dict[str, Any]]:
        """Method, path, and what is sent: in JSON or in XML, as drawn."""
        if self.random.random() < 0.5:
            content = json.dumps(body or {})
            form = "application/json"
        else:
            members = "".join(f"<{name}>{value}</{name}>" for name, value in (body or {}).items())
            content = f'<any xmlns="{API[1:-1]}">{members}</any>'
            form = "application/xml"
        sent = {"headers": {"Content-Type": form, "Accept": form}, "content": content}
        if action in ("create", "change"):
            settings_id = self._new_settings(asked) if action == "create" else self._changed_settings(asked)
            return "POST", f"/v1/vpgSettings/{settings_id}/commit", sent
        vpg = f"/v1/vpgs/{self.vpg_id}"
        return ("DELETE", vpg, sent) if action == "DELETE" else ("POST", f"{vpg}/{action}", sent)

    def _changed_settings(self, asked: str) -> str:
        """A settings object at that site, of the VPG with another RPO."""
        api = self.lab.api[asked]
        settings_id = str(api.request("POST", "/v1/vpgSettings", {"VpgIdentifier": self.vpg_id}).json())
        whole = api.request("GET", f"/v1/vpgSettings/{settings_id}").json()
        whole["Basic"]["RpoInSeconds"] += 1
        reply = api.request("PUT", f"/v1/vpgSettings/{settings_id}", whole)
        assert reply.status_code == 200, reply.text
        return settings_id

    def _new_settings(self, asked: str) -> str:
        """A settings object at that site, of a VPG of all VMs."""
        ids = {name: self.lab.api[name].request("GET", "/v1/localsite").json()["SiteIdentifier"] for name in SITES}
        basic = {
            "Name": self.lab.vpg,
            "ProtectedSiteIdentifier": ids["north"],
            "RecoverySiteIdentifier": ids["south"],
            "CheckpointIntervalInSeconds": 1,
        }
        vms = [{"VmIdentifier": vm["id"]} for vm in self.definitions("north")]
        reply = self.lab.api[asked].request("POST", "/v1/vpgSettings", {"Basic": basic, "Vms": vms})
        assert reply.status_code == 200, reply.text
        return str(reply.json())

    @property
    def vpg_id(self) -> str:
        """The VPG that is there now."""
        return str(self.lab.asked("south", "SELECT id FROM vpg WHERE phase <> 'released'")[0][0])

    def definitions(self, site: str) -> list[dict[str, Any]]:
        """The VMs of a site's inventory."""
        return [json.loads(path.read_text()) for path in (self.lab.folder_of(site) / "vms").glob("*.json")]

    def manager(self, site: str) -> int:
        """The process of a site's manager."""

        def found() -> list[int]:
            return [p.pid for p in site_processes(self.lab.folder_of(site)) if p.role == "manager"]

        return int(until(found, 30, f"a manager at {site}")[0])

    # -- what is seen

    def tasks(self, site: str, type_: str) -> set[str]:
        """The tasks of that type that a site lists."""
        listed = self.lab.api[site].request("GET", "/v1/tasks").json()
        return {task["TaskIdentifier"] for task in listed if task["Type"] == type_}

    def ended(self, site: str, task_id: str) -> dict[str, Any]:
        """A task that has ended, as the site tells of it."""

        def found() -> dict[str, Any] | None:
            task: dict[str, Any] = self.lab.api[site].request("GET", f"/v1/tasks/{task_id}").json()
            return task if task["Status"]["State"] != RUNNING else None

        return dict(until(found, END_SECONDS, f"the end of {task_id}"))

    def effects(self, ordered: Ordered) -> int:
        """How often it was carried out, by the events of both sites."""
        query = "SELECT count(*) FROM event, task WHERE event.kind = task.type AND task.id = ? AND occurred_ns > ?"
        return sum(self.lab.asked(site, query, ordered.task_id, ordered.began_ns)[0][0] for site in SITES)

    def once(self) -> None:
        """No VM, no file twice: each disk's file is one definition's, each name and identifier one VM's."""
        for site in SITES:
            folder = self.lab.folder_of(site)
            definitions = self.definitions(site)
            names = collections.Counter(vm["name"] for vm in self.lab.vms(site) if vm["power"] == "running")
            assert set(names.values()) <= {1}, (site, names)
            assert len({vm["name"] for vm in definitions}) == len(definitions), (site, definitions)
            used = collections.Counter(disk["path"] for vm in definitions for disk in vm["disks"])
            files = [str(path) for path in (folder / "disks").rglob("*") if path.is_file()]
            assert sorted(used) == sorted(files), site
            assert set(used.values()) <= {1}, (site, used)

    def await_state(self, state: tuple[int, int], source: str) -> None:
        """Until both sites list the VPG so, alone."""

        def listed() -> bool:
            found = [
                [(vpg["Status"], vpg["SubStatus"], vpg["SourceSite"]) for vpg in self.lab.api[site].vpgs()]
                for site in SITES
            ]
            return found == [[(*state, source)]] * 2

        until(listed, END_SECONDS, f"{state} from {source}")

    def nothing_left(self) -> None:
        """No pin, view, recovered VM or scratch of any operation, at either site."""
        for site in SITES:
            until(lambda site=site: self.lab.api[site].left_behind() == [], 30, f"nothing is left at {site}")

    # -- data

    def write(self, site: str) -> dict[tuple[str, str], bytes]:
        """Write here and there on the VMs that run at the site; what they hold."""
        content = self.lab.write_at_random(site, self.content, self.random)
        return {name: bytes(found) for name, found in content.items()}

    def check_disks(self, site: str) -> None:
        """The VMs that run there hold it, to the last byte."""
        self.lab.check_disks(site, self.content)

    def check_checkpoint(self, checkpoint_id: str) -> None:
        """That checkpoint at south holds it, by the journal's files alone."""
        names = {vm["id"]: vm["name"] for vm in self.definitions("north")}
        for (vm_id, disk_id), number in self.lab.volumes(checkpoint_id, self.vpg_id).items():
            found = self.lab.view_of(checkpoint_id, number)
            assert found == self.content[names[vm_id], disk_id], f"{names[vm_id]} {disk_id} at {checkpoint_id}"


def other(site: str) -> str:
    """The other site."""
    return SITES[1 - SITES.index(site)]


def task_of(reply: httpx.Response) -> str:
    """The task of a reply, in either notation, object or bare."""
    if "xml" in reply.headers["content-type"]:
        top = fromstring(reply.text)
        return str(top.findtext(f"{API}TaskIdentifier") or top.text)
    told = reply.json()
    return str(told["TaskIdentifier"] if isinstance(told, dict) else told)
