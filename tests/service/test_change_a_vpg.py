"""A protected VPG is changed by the commit of its settings: name, settings, VMs that come and go, over HTTPS.

Two whole sites with storage-daemon VMs; what a test recovers is compared with what was written, to the last byte.
"""

import random

import pytest

from farshore.nbd.client import NbdClient
from tests.api_lab import COMPLETED, SITES, ApiLab
from tests.recovery_lab import read_whole
from tests.storage_lab import until


class ChangingLab(ApiLab):
    """Three VMs of north, of which a VPG protects the first two; nothing writes but what a test does."""

    def __init__(self):
        super().__init__(vms=3, size="8M")
        self.id = self.path.rpartition("/")[2]

    def begin(self, name="shop"):
        """Protect two of the three."""
        self.run("north", "vpg", "create", name, "--vm", "vm-1", "--vm", "vm-2", "--checkpoint-interval", 1, "--json")
        self.vpg = name
        return self

    def listed(self, site):
        """The VPG, as a site lists it."""
        (found,) = self.api[site].vpgs()
        return found

    def ordinals(self):
        """The checkpoints, ascending."""
        found = self.api["south"].request("GET", f"/v1/vpgs/{self.id}/checkpoints").json()
        return sorted(int(checkpoint["CheckpointIdentifier"]) for checkpoint in found)

    def vm_id(self, name):
        """The identifier of a VM of north."""
        return next(vm["vm_id"] for vm in self.call("north", "list_vms") if vm["name"] == name)

    def disk(self, site, name):
        """(socket, export) of the disk of the VM whose name begins so."""
        for vm in self.call(site, "list_vms"):
            if vm["name"].startswith(name) and vm["power"] == "running":
                return vm["disks"][0]["nbd_socket"], vm["disks"][0]["nbd_export"]
        return None

    def write(self, name, seed):
        """Fill a VM's disk at random; what it holds."""
        with NbdClient(*self.disk("north", name)) as client:
            content = random.Random(seed).randbytes(client.size_bytes)
            for at in range(0, len(content), 1 << 20):
                client.pwrite(at, content[at : at + (1 << 20)])
            client.flush()
        return content

    def later(self):
        """A checkpoint that was cut after this was asked for."""
        newest = self.ordinals()[-1]

        def found():
            known = self.api["south"].request("GET", f"/v1/vpgs/{self.id}/checkpoints").json()
            fresh = [int(c["CheckpointIdentifier"]) for c in known if int(c["CheckpointIdentifier"]) > newest]
            return max(fresh, default=0) if len(fresh) > 1 else 0  # the first may have been cut before

        return str(until(found, 60, "a checkpoint that was cut later"))

    def commit(self, site, *, vms=None, **basic):
        """Commit the VPG's settings with these members of Basic and these VMs; the reply."""
        api = self.api[site]
        settings = api.request("POST", "/v1/vpgSettings", {"VpgIdentifier": self.id}).json()
        path = f"/v1/vpgSettings/{settings}"
        if basic:
            assert api.request("PUT", f"{path}/basic", basic).status_code == 200
        if vms is not None:
            whole = api.request("GET", path).json()
            whole["Vms"] = [{"VmIdentifier": self.vm_id(name)} for name in vms]
            assert api.request("PUT", path, whole).status_code == 200
        return api.request("POST", f"{path}/commit")

    def changed(self, site, **changes):
        """The same, and its task has completed; its words."""
        reply = self.commit(site, **changes)
        assert reply.status_code == 200, reply.text
        task = self.task(site, reply.json())
        assert task["Status"]["State"] == COMPLETED, task
        return task["CompleteReason"]

    def status(self):
        """How north protects it."""
        return self.call("north", "call", "protection_status", vpg_id=self.id)

    def recovered(self, checkpoint, body=None):
        """{VM: content} of a failover test at that checkpoint, which is stopped again."""
        path = f"/v1/vpgs/{self.id}"
        order = {"CheckpointIdentifier": checkpoint} | (body or {})
        task = self.task("south", self.api["south"].order("POST", f"{path}/FailoverTest", order))
        assert task["Status"]["State"] == COMPLETED, task
        contents = {}
        for name in ("vm-1", "vm-2", "vm-3"):
            disk = self.disk("south", name)
            if disk is not None:
                with NbdClient(*disk) as client:
                    contents[name] = read_whole(client)
        stop = self.api["south"].order("POST", f"{path}/FailoverTestStop", {"FailoverTestSuccess": True})
        assert self.task("south", stop)["Status"]["State"] == COMPLETED
        return contents


@pytest.fixture(scope="module")
def lab():
    """One lab for all tests here."""
    with ChangingLab() as found:
        yield found


def test_settings_and_name_change_without_a_break(lab):
    """From either site; what `Basic` leaves out stays; no checkpoint goes, and no sync is made."""
    before, synced = lab.ordinals()[0], lab.status()["last_sync"]
    lab.changed("north", Name="store", RpoInSeconds=120, JournalHistoryInHours=3)
    for site in SITES:
        until(lambda site=site: lab.listed(site)["VpgName"] == "store", 30, f"{site} knows the name")
        assert lab.listed(site)["ConfiguredRpoSeconds"] == 120
        settings = lab.api[site].request("POST", "/v1/vpgSettings", {"VpgIdentifier": lab.id}).json()
        basic = lab.api[site].request("GET", f"/v1/vpgSettings/{settings}").json()["Basic"]
        assert (basic["JournalHistoryInHours"], basic["CheckpointIntervalInSeconds"]) == (3, 1.0)
    lab.changed("south", Name="shop", CheckpointIntervalInSeconds=2)
    assert lab.status()["last_sync"] == synced
    assert lab.ordinals()[0] == before
    lab.changed("south", CheckpointIntervalInSeconds=1)


def test_what_cannot_be_changed_is_refused(lab):
    """Other sites, no VMs, VMs that are not there: 400, and all is as before."""
    here = lab.api["north"].request("GET", "/v1/localsite").json()["SiteIdentifier"]
    for refused in (
        lab.commit("south", RecoverySiteIdentifier=here),
        lab.commit("south", vms=[]),
        lab.commit("north", JournalHistoryInHours=10**6),
    ):
        assert refused.status_code == 400, refused.text
    assert lab.listed("south")["VmsCount"] == 2


def test_vms_come_and_go_and_old_checkpoints_keep_what_they_hold(lab):
    """A VM is added: later checkpoints hold it, earlier ones the others. It is taken out: it is in no later one."""
    first = {name: lab.write(name, 1) for name in ("vm-1", "vm-2", "vm-3")}
    of_two = lab.later()
    assert "being synced" in lab.changed("north", vms=["vm-1", "vm-2", "vm-3"])
    until(lambda: lab.status()["state"] == "protecting", 60, "it is synced")
    second = {name: lab.write(name, 2) for name in ("vm-1", "vm-2", "vm-3")}
    of_three = lab.later()
    assert lab.recovered(of_three) == second
    assert lab.recovered(of_two) == {name: first[name] for name in ("vm-1", "vm-2")}
    path = f"/v1/vpgs/{lab.id}/FailoverTest"
    refused = lab.api["south"].request(
        "POST", path, {"CheckpointIdentifier": of_two, "VmIdentifiers": [lab.vm_id("vm-3")]}
    )
    assert refused.status_code == 400
    assert "vm-3" in refused.text

    lab.changed("south", vms=["vm-1", "vm-3"])
    until(lambda: lab.status()["state"] == "protecting", 60, "it is synced")
    third = {name: lab.write(name, 3) for name in ("vm-1", "vm-2", "vm-3")}
    without = lab.later()
    assert lab.recovered(without) == {name: third[name] for name in ("vm-1", "vm-3")}
    assert lab.recovered(of_three) == {name: second[name] for name in ("vm-1", "vm-3")}

    lab.changed("south", vms=["vm-1", "vm-2", "vm-3"])  # again: with new numbers, nothing of the old is taken for it
    until(lambda: lab.status()["state"] == "protecting", 60, "it is synced")
    assert lab.recovered(lab.later()) == third
    assert lab.recovered(of_three) == {name: second[name] for name in ("vm-1", "vm-3")}
