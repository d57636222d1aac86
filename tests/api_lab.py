"""A lab of storage VMs with both sites' APIs: orders are given and seen as a person does it."""

from __future__ import annotations

import sqlite3

from tests.recovery_lab import RecoveryLab
from tests.service.test_operations_on_a_lab import ApiOf
from tests.storage_lab import farshore, until

SITES = ("north", "south")
RUNNING, FAILED, COMPLETED = 1, 4, 6
MEETING_SLA, NEEDS_CONFIGURATION = 1, 7
TASK_SECONDS = 120


class ApiLab(RecoveryLab):
    """VMs of north with a chain of records that goes on, protected by one VPG to south."""

    def __init__(self, vms=2, size="8M", **more):
        super().__init__(vms=vms, disks=2, size=size, **more)
        try:
            self.begin()
            until(self.checkpoints, 60, "a first checkpoint")
            self.api = {name: ApiOf(self.site(name)) for name in SITES}
            self.path = f"/v1/vpgs/{self.vpg_id}"
        except BaseException:
            self.close()
            raise

    def lab(self, *words):
        """`farshore lab`."""
        return farshore("lab", *words, "--dir", self.folder / "lab")

    def task(self, site, task_id):
        """A task that has ended, as a site tells of it."""

        def ended():
            task = self.api[site].request("GET", f"/v1/tasks/{task_id}").json()
            return task if task["Status"]["State"] != RUNNING else None

        return until(ended, TASK_SECONDS, f"the end of task {task_id}")

    def order(self, site, action, body=None):
        """Give an order; its task, completed."""
        task_id = self.api[site].order("POST", f"{self.path}/{action}", body)
        task = self.task(site, task_id)
        assert task["Status"]["State"] == COMPLETED, task
        return task_id

    def state(self, site):
        """(status, substatus, source) of the VPG as a site lists it."""
        return next(
            (v["Status"], v["SubStatus"], v["SourceSite"]) for v in self.api[site].vpgs() if v["VpgName"] == self.vpg
        )

    def await_protected(self, source):
        """Wait until the VPG is protected from that site, with nothing going on."""
        until(lambda: self.state("south") == (MEETING_SLA, 0, source), 90, f"protected from {source}")

    def alerts(self, site):
        """{key: words} of the alerts of a site, from its database."""
        path = self.folder_of(site) / "manager" / "site.sqlite"
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
            return dict(database.execute("SELECT key, fact || ' ' || remedy FROM alert").fetchall())

    def vms(self, site):
        """{name: VM} of those that a site's appliance lists."""
        return {vm["name"]: vm for vm in self.call(site, "call", "list_vms")}
