"""A lab of storage VMs whose operations can be killed at any point, and what is to be seen of it at the end.

The points are put in by tests/killing/sitecustomize.py, in the lab's own processes; the product knows nothing of them.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import re
import sqlite3
import tempfile
from pathlib import Path

from farshore.cli.processes import site_processes
from farshore.errors import Unavailable
from farshore.model.site import SiteConfig
from farshore.nbd.client import NbdClient
from tests.recovery_lab import RecoveryLab, first_difference, read_whole
from tests.service.test_operations_on_a_lab import ApiOf
from tests.storage_lab import ROOT, until

SITES = ("north", "south")
UUID = re.compile(r"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32})(\.vm-\d)?")
UNSEEN = ("log", "manager", "identity", "vms", "disks")
"""Folders of a site in which nothing is an operation's, and those that `faults` looks at."""
ENDED = re.compile(r"(journal|appliance/keep)/")
"""What stays of the journal of an earlier direction: its epoch."""
KEPT = ("appliance/promotions/", "appliance/members/")
"""What is kept of all earlier ones: the answers to repeated calls, and which VMs those may name."""
GROWING = re.compile(r"journal/[^/]*/(segments|checkpoints|replica|definitions)/|\.(seg|index|tmp)$")
SETTLE_SECONDS = 90
WRITES = 12


class KilledLab(RecoveryLab):
    """See the module. `plan` says what is killed where; all sites are reached by their APIs, after a kill too."""

    def __init__(self):
        self.control = Path(tempfile.mkdtemp(prefix="fsk", dir="/tmp"))
        (self.control / "reached").mkdir()
        self.plan(play=0)
        path = f"{ROOT / 'src'}{os.pathsep}{ROOT / 'tests' / 'killing'}"
        environment = {"PYTHONPATH": path, "FARSHORE_KILLS": str(self.control)}
        super().__init__(vms=2, disks=2, size="16M", interval=1, environment=environment)
        self.api = {name: ApiOf(self.site(name)) for name in SITES}

    def plan(self, **plan):
        """From now on kill so."""
        sites = [self.site(name)["folder"] for name in SITES] if hasattr(self, "made") else []
        aside = self.control / "plan.new"
        aside.write_text(json.dumps(plan | {"sites": sites}))
        aside.replace(self.control / "plan.json")

    def trace(self, play):
        """All points that a play reached, in their order."""
        try:
            lines = (self.control / "trace").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [line for line in map(json.loads, lines) if line["play"] == play]

    def close(self):
        """Keep nothing."""
        super().close()
        for path in (self.control / "reached").iterdir():
            path.unlink()
        (self.control / "reached").rmdir()
        for path in self.control.iterdir():
            path.unlink()
        self.control.rmdir()

    def vms(self, site):
        """The VMs of a site as its appliance lists them, as soon as it answers: it may just have been killed."""

        def listed():
            try:
                return (self.call(site, "call", "list_vms"),)
            except Unavailable:
                return None

        (found,) = until(listed, SETTLE_SECONDS, f"the watcher of {site} answers")
        return found

    def running_disks(self, site):
        """{(VM's name, disk): (socket, export)} of the VMs that run at a site."""
        return {
            (vm["name"], disk["disk_id"]): (disk["nbd_socket"], disk["nbd_export"])
            for vm in self.vms(site)
            if vm["power"] == "running"
            for disk in vm["disks"]
        }

    def read_disks(self, site):
        """{(VM's name, disk): content}, as the VMs that run at the site have it."""
        contents = {}
        for name, (socket, export) in self.running_disks(site).items():
            with NbdClient(socket, export) as client:
                contents[name] = read_whole(client)
        return contents

    def write_at_random(self, site, content, random):
        """Write here and there on the disks of the VMs that run there, which hold `content`; what they hold then."""
        content = {name: bytearray(old) for name, old in content.items()}
        for name, (socket, export) in self.running_disks(site).items():
            with NbdClient(socket, export) as client:
                for _ in range(WRITES):
                    length = random.choice([512, 4096, 65536])
                    offset = random.randrange(0, len(content[name]) - length) & ~511
                    data = random.randbytes(length)
                    client.pwrite(offset, data)
                    content[name][offset : offset + length] = data
                client.flush()
        return content

    def check_disks(self, site, expected):
        """The site's VMs have that content, to the last byte."""
        found = self.read_disks(site)
        assert set(found) == set(expected), f"VMs that run at {site}: {sorted(found)}"
        for name, content in expected.items():
            at = first_difference(bytes(content), found[name])
            assert at is None, f"{name} at {site} differs at {at}"

    def row(self, site):
        """The VPG's row in a site's database."""
        ((body, phase),) = self.asked(site, "SELECT body, phase FROM vpg")
        return json.loads(body) | {"phase": phase}

    def asked(self, site, query, *values):
        """All rows that a query of a site's database gives."""
        path = self.folder_of(site) / "manager" / "site.sqlite"
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            return database.execute(query, values).fetchall()

    def owed(self, site):
        """How many calls a site owes to others, and how many deadlines run."""
        return [self.asked(site, f"SELECT count(*) FROM {table}")[0][0] for table in ("debt", "before_commit")]

    def recorded(self, site, since_ns):
        """How often each operation is among the site's events; what happens by itself is not counted."""
        query = "SELECT kind, count(*) FROM event WHERE occurred_ns > ? AND kind IN (SELECT type FROM task) GROUP BY 1"
        return dict(self.asked(site, query, since_ns))

    def files(self, site):
        """Names of the site's files, without identifiers and without what grows by itself, counted."""
        top, names = self.folder_of(site), collections.Counter()
        for folder, below, found in os.walk(top):
            if folder == str(top):
                below[:] = [name for name in below if name not in UNSEEN]
            for name in found:
                path = os.path.relpath(os.path.join(folder, name), top)
                if not GROWING.search(path) and not (self.retired(site) and ENDED.match(path)):
                    names[UUID.sub("ID", path)] += 1
        return {name: count for name, count in sorted(names.items()) if not name.startswith(KEPT)}

    def retired(self, site):
        """Whether the site's journal is one that has ended with a commit."""
        return any((self.folder_of(site) / "journal").glob("*/retired.json"))

    def faults(self, site):
        """What must never be, whatever came before: a VM or disk twice, a hold of nothing, a promotion half done."""
        folder = self.folder_of(site)
        definitions = {path.stem: json.loads(path.read_text())["name"] for path in (folder / "vms").glob("*.json")}
        held = {path.stem for path in (folder / "vms").glob("*.held")}
        disks = [path for path in (folder / "disks").rglob("*") if path.is_file()]
        promotions = [json.loads(path.read_text())["state"] for path in folder.glob("appliance/promotions/*")]
        history = list(folder.glob("journal/*/pins/*"))
        history += list(folder.glob("journal/*/segments/*")) + list(folder.glob("journal/*/checkpoints/*"))
        found = {
            "a name twice": len(definitions) - len(set(definitions.values())),
            "held, but not there": sorted(held - set(definitions)),
            "too many disks": max(0, len(disks) - 4),
            "not adopted": [state for state in promotions if state != "adopted"],
            "of a journal that has ended": [str(path) for path in history] if self.retired(site) else [],
            "recovered, but off": [vm["name"] for vm in self.vms(site) if vm["recovered"] and vm["power"] == "off"],
        }
        return {what: fault for what, fault in found.items() if fault}

    def seen(self, site, roles, base, fenced):
        """All that one sees of a site, in words that are the same whichever site it is."""
        folder, row = self.folder_of(site), self.row(site)
        vpgs = [
            (vpg["VpgName"], vpg["Status"], vpg["SubStatus"], roles[vpg["SourceSite"]]) for vpg in self.api[site].vpgs()
        ]
        names = {SiteConfig.load(self.folder_of(name)).site_id: roles[name] for name in SITES}
        # The other site's row is the owner's of a moment ago; its stages come with the next comparison of rows.
        owner = names[row["owner_site_id"]] == roles[site]
        recovery, home = (row["recovery"] or {}, row["way_home"] or {}) if owner else ({}, {})
        processes = collections.Counter(
            role for _, role in self.processes(site) if role not in ("carrier", "sync", "link")
        )
        protects = self.protects(site, row["id"], fenced=fenced)
        if self.retired(site):
            del processes["journal"]
        if protects == "paused":  # a watcher that is started meanwhile starts them at the resume
            del processes["tap"], processes["sender"]
        return {
            "vpgs": vpgs,
            "row": {
                "phase": row["phase"],
                "epoch": row["epoch"] - base["epoch"] if owner else None,
                "sites": [names[row[f"{which}_site_id"]] for which in ("protected", "recovery", "owner")],
                "recovery": [recovery.get(word) for word in ("kind", "stage", "exact")],
                "way_home": [home.get(word) for word in ("asked", "began", "exact")],
            },
            "owed": self.owed(site),
            "events": self.recorded(site, base["time_ns"]),
            "vms": sorted((vm["name"], vm["power"], vm["recovered"]) for vm in self.vms(site) if not vm["problem"]),
            "processes": dict(sorted(processes.items())),
            "vm processes": sum(1 for process in site_processes(folder) if process.role == "vm"),
            "protects": protects,
            "files": self.files(site),
            "faults": self.faults(site),
        }

    def protects(self, site, vpg_id, *, fenced):
        """How the site's taps stand; None without. Before a commit their stream is fenced off: what broke stays so."""
        if not (self.folder_of(site) / "appliance" / "protect" / f"{vpg_id}.json").exists():
            return None
        state = self.call(site, "protection_status", vpg_id)["state"]
        return "fenced off" if fenced else state

    def both(self, roles, base):
        """What one sees of both sites, by role."""
        fenced = any(self.row(site)["recovery"] for site in SITES)
        return {roles[site]: self.seen(site, roles, base, fenced) for site in SITES}

    def await_checkpoint(self, site, vpg_id, after_ns):
        """Wait until what was written before that time is in a checkpoint at the recovery site."""

        def newest():
            listed = self.call(site, "list_checkpoints", vpg_id, limit=1, newest_first=True)
            return bool(listed) and listed[0]["time_ns"] > after_ns

        until(newest, SETTLE_SECONDS, "a checkpoint of the last writes")
